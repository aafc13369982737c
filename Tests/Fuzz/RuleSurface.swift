import Codec
import EventRules
import FunnelModel

/// A document of normalisation rules, which is read, written, and applied to events.
enum RuleSurface {
    static func read(_ bytes: [UInt8]) {
        guard let list = try? RuleList.parse(bytes) else { return }
        guard var again = try? RuleList.parse(list.json) else { return Fuzz.check(false, "rules that were written cannot be read") }
        again.replaces = list.replaces
        Fuzz.check(again == list, "rules change when they are written again")
        let tables = RuleTables(list)
        let (first, second) = (tables.apply(to: events), tables.apply(to: events))
        EventChecks.check(first.batch)
        Fuzz.check(first.batch.count == first.rows.count, "rows and their places differ in number")
        Fuzz.check(encode(first.batch) == encode(second.batch), "rules make different events the second time")
        let places = (first.rows + first.dropped.map(\.row) + first.rejected.map(\.row)).sorted()
        Fuzz.check(places == Array(0..<events.count), "an event is neither left, dropped nor rejected, or twice")
        for endpoint in EventEndpoint.allCases {
            _ = tables.missingTimestamp(at: endpoint)
            _ = tables.timestampFault(at: endpoint)
        }
    }

    private static func encode(_ batch: EventBatch) -> [UInt8] { EventBatchCodec.encode(batch, compressed: false) }

    /// The names and keys of the seeds, and values of every type.
    private static let events: EventBatch = {
        let long = ByteString(Array(repeating: UInt8(ascii: "v"), count: Limits.propertyValueBytes))
        let properties: [Event.Property] = [
            .init("plan", .string("Pro")), .init("amount", .string("12.50")), .init("count", .integer(7)), .init("ratio", .double(0.5)),
            .init("paid", .bool(true)), .init("Plan", .string("")), .init("long", .string(long)),
        ]
        let names: [ByteString] = ["Visit", "visit", "page view", "app.Visit", "Purchase", "$identify", "$set"]
        return EventBatchBuilder(
            names.enumerated().map { i, name in
                Event(user: "u", name: name, time: EventChecks.now, id: "i", properties: Array(properties.dropFirst(i % 3)))
            }
        ).finish()
    }()
}

import FunnelModel
import FunnelProtocol

/// Pages of an export, and how they are asked for.
extension Samples {
    private static let atID = ExportPlace(
        data: 0x0102_0304_0506_0708,
        position: ExportPosition(user: 0xFFC0_0001, after: .init(time: 1_710_892_800_990_000, name: "Sign Up", id: "m-1")))
    private static let atRepeat = ExportPlace(
        data: 1, position: ExportPosition(user: 0, after: .init(time: 7, name: "é", id: "", properties: .max, repeats: 300)))
    private static let atUser = ExportPlace(data: .max, position: ExportPosition(user: .max))

    static let exports: [Sample] = [
        Sample(
            name: "all from the beginning", kind: .exportQuery, context: asked,
            message: .exportQuery(ExportQuery(question: ExportQuestion(times: .min..<Int64.max), limit: 65_536))),
        Sample(
            name: "some after an event with an id", kind: .exportQuery, context: asked,
            message: .exportQuery(
                ExportQuery(
                    question: ExportQuestion(times: 0..<7, events: ["Sign Up", "é"], user: "ann"), limit: 1, after: atID))),
        Sample(
            name: "all after equal events without an id", kind: .exportQuery, context: asked,
            message: .exportQuery(ExportQuery(question: ExportQuestion(times: 5..<5), limit: 300, after: atRepeat))),
        Sample(
            name: "no names before a user", kind: .exportQuery, context: asked,
            message: .exportQuery(ExportQuery(question: ExportQuestion(times: -1..<1, events: []), limit: 2, after: atUser))),
        Sample(
            name: "the end without events", kind: .exportPage,
            message: .exportPage(ExportPageMessage(batch: EventBatch(), next: nil))),
        Sample(
            name: "events and a claim before a user", kind: .exportPage,
            message: .exportPage(
                ExportPageMessage(
                    batch: EventBatchBuilder([example, Claim(kind: .alias, child: "ann", parent: "bob", time: 9).row]).finish(),
                    next: atUser))),
        Sample(
            name: "one event, and where to go on", kind: .exportPage,
            message: .exportPage(ExportPageMessage(batch: EventBatchBuilder([example]).finish(), next: atID))),
    ]

    /// Times from 0 to 1 (0 excluded), then flags.
    private static let times: [UInt8] = [0, 2]
    /// A data id and an ordinal.
    private static let place: [UInt8] = [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]

    static let exportRejects: [(name: String, kind: FrameKind, body: [UInt8])] = [
        ("export query: the end is before the start", .exportQuery, [2, 0, 0, 1]),
        ("export query: unknown flag", .exportQuery, times + [8, 1]),
        ("export query: over 100 events", .exportQuery, times + [1, 101]),
        ("export query: an empty event", .exportQuery, times + [1, 1, 0, 1]),
        ("export query: a reserved event", .exportQuery, times + [1, 1, 1, 0, 1]),
        ("export query: an event twice", .exportQuery, times + [1, 2, 1, 97, 1, 97, 1]),
        ("export query: an empty user", .exportQuery, times + [2, 0, 1]),
        ("export query: limit 0", .exportQuery, times + [0, 0]),
        ("export query: a limit over 65,536", .exportQuery, times + [0, 0x81, 0x80, 4]),
        ("export query: bytes after it", .exportQuery, times + [0, 1, 0]),
        ("export query: a place that is cut short", .exportQuery, times + [4, 1] + place),
        ("export query: event of a place is neither 0 nor 1", .exportQuery, times + [4, 1] + place + [2]),
        ("export query: a place without repeats", .exportQuery, times + [4, 1] + place + [1, 0, 1, 97, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("export page: next is neither 0 nor 1", .exportPage, [2]),
        ("export page: no batch", .exportPage, [0]),
        ("export page: a place without a batch", .exportPage, [1] + place + [0]),
        (
            "export page: bytes after the batch", .exportPage,
            ExportPageMessage(batch: EventBatchBuilder([example]).finish(), next: nil).body + [0]
        ),
    ]
}

extension ExportQuery {
    var meaning: JSONValue {
        var members: [JSONValue.Member] = [
            .init("start", number(question.times.lowerBound)), .init("end", number(question.times.upperBound)),
        ]
        if let events = question.events { members.append(.init("events", .array(events.map { .string($0) }))) }
        if let user = question.user { members.append(.init("user", .string(user))) }
        members.append(.init("limit", number(limit)))
        if let after { members.append(.init("after", after.meaning)) }
        return .object(members)
    }

    init(meaning m: JSONValue) throws {
        self.init(
            question: ExportQuestion(
                times: try m.int("start")..<m.int("end"), events: try m["events"].map { _ in try m.list("events").compactMap(\.asString) },
                user: m["user"]?.asString), limit: try m.int("limit"), after: try m["after"].map { try ExportPlace(meaning: $0) })
    }
}

extension ExportPlace {
    fileprivate var meaning: JSONValue {
        var members: [JSONValue.Member] = [.init("data", number(data)), .init("ordinal", number(position.user))]
        if let after = position.after {
            members += [.init("microseconds", number(after.time)), .init("event", .string(after.name)), .init("id", .string(after.id))]
            if after.id.isEmpty { members += [.init("properties", number(after.properties)), .init("repeats", number(after.repeats))] }
        }
        return .object(members)
    }

    fileprivate init(meaning m: JSONValue) throws {
        var position = ExportPosition(user: try m.int("ordinal"))
        if m["event"] != nil {
            var event = ExportPosition.Event(time: try m.int("microseconds"), name: try m.text("event"), id: try m.text("id"))
            if event.id.isEmpty { (event.properties, event.repeats) = (try m.int("properties"), try m.int("repeats")) }
            position.after = event
        }
        self.init(data: try m.int("data"), position: position)
    }
}

extension ExportPageMessage {
    var meaning: JSONValue {
        let place: [JSONValue.Member] = next.map { [.init("next", $0.meaning)] } ?? []
        return .object(place + [.init("events", .array(batch.events.map(Message.json)))])
    }

    init(meaning m: JSONValue) throws {
        self.init(
            batch: EventBatchBuilder(try m.list("events").map(Message.event)).finish(),
            next: try m["next"].map { try ExportPlace(meaning: $0) })
    }
}

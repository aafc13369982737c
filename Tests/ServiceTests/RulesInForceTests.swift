import EventRules
import FunnelModel
import FunnelProtocol
import IngestService
import TestSupport
import Testing

/// The rules that an ingest has in force, and what they make of a request.
struct RulesInForceTests {
    private static func sent(_ project: UInt32, _ revision: UInt64, _ rules: String) -> ProjectRules {
        ProjectRules(project: project, revision: revision, document: ByteString(#"{"rules":["# + rules + "]}"))
    }

    private static let drop = #"{"drop_events":["d"]}"#
    private static let later = #"{"a_rule_of_a_later_release":true}"#

    @Test func eachProjectHasItsOwnRules() {
        let rules = RulesInForce(logger: FakeShards.quiet)
        #expect(rules.tables(of: 1) == nil && rules.newest == 0)
        let list = [Self.sent(1, 5, Self.drop), Self.sent(3, 9, #"{"lower_case_events":true}"#)]
        #expect(rules.take(list) == list)
        #expect(rules.tables(of: 1)?.revision == 5 && rules.tables(of: 2) == nil && rules.tables(of: 3)?.revision == 9)
        #expect(rules.newest == 9 && rules.unreadable == 0)
        #expect(rules.take([list[0]]) == [list[0]])
        #expect(rules.tables(of: 3) == nil && rules.newest == 5)
        #expect(rules.take([]) == [] && rules.tables(of: 1) == nil)
    }

    @Test func rulesThatCannotBeReadLeaveTheLastInForce() {
        let rules = RulesInForce(logger: FakeShards.quiet)
        let good = Self.sent(1, 5, Self.drop)
        _ = rules.take([good])
        // What is in force is kept on disk, and no rules of a project that had none.
        #expect(rules.take([Self.sent(1, 6, Self.later), Self.sent(2, 7, Self.later)]) == [good])
        #expect(rules.tables(of: 1)?.revision == 5 && rules.tables(of: 2) == nil && rules.unreadable == 2)
        #expect(rules.take([Self.sent(1, 8, Self.drop), Self.sent(2, 7, Self.later)]) == [Self.sent(1, 8, Self.drop)])
        #expect(rules.tables(of: 1)?.revision == 8 && rules.unreadable == 1)
        #expect(rules.take([]) == [] && rules.unreadable == 0)
    }

    // MARK: - A request from the wire

    private static let now: Int64 = 1_700_000_000_000_000

    private static func tables(_ rules: String) throws -> RuleTables {
        RuleTables(try RuleList.parse(Array((#"{"rules":["# + rules + "]}").utf8)), revision: 3)
    }

    private static func event(_ user: ByteString, _ name: ByteString, ahead: Bool = false, _ properties: [Event.Property] = []) -> Event {
        Event(user: user, name: name, time: ahead ? now + 10 * 86_400_000_000 : now, properties: properties)
    }

    private static func read(_ events: [Event]) -> ReadBatch {
        BatchReader(now: now, idempotencyKey: "", eventsMax: 1_000_000).columns(EventBatchBuilder(events).finish())
    }

    @Test func indexesAreThoseOfTheRequest() throws {
        var read = Self.read([
            Self.event("u", "d"), Self.event("", "a"), Self.event("u", "A"), Self.event("u", "a", [.init("n", .string("x"))]),
            Self.event("u", "d"), Self.event("u", "a"),
        ])
        try read.apply(
            Self.tables(Self.drop + #",{"lower_case_events":true},{"cast_properties":"n","to":"number","otherwise":"reject"}"#),
            isNumbered: true)
        #expect(read.index == [2, 5] && read.batch.events.map(\.name) == ["a", "a"])
        #expect(read.rejected.map(\.index) == [1, 3] && read.rejected.last?.fault.reason == "properties.n: is no number (rules[2])")
        #expect(read.ruled?.dropped == [0, 4] && read.ruled?.changed == 1 && read.ruled?.rejected == [3] && read.ruled?.sliceStarts == [0])
    }

    /// The time is a fault of the event itself. A retry must be answered as the first time, so the shard decides on the row that is left.
    @Test func aTimeTooFarAheadGoesBeforeRules() throws {
        var read = Self.read([
            Self.event("u", "d", ahead: true), Self.event("u", "a", ahead: true), Self.event("u", "d"), Self.event("u", "b"),
        ])
        try read.apply(Self.tables(Self.drop), isNumbered: true)
        #expect(read.index == [1, 3] && read.ruled?.dropped == [2])
        #expect(read.rejected.map(\.index) == [0] && read.rejected.first?.fault == .tooFarAhead)
    }

    @Test func claimsStayAsTheyAre() throws {
        let claim = Claim(kind: .identify, child: "device", parent: "u", time: Self.now).row
        var read = Self.read([Self.event("u", "d"), claim])
        try read.apply(Self.tables(Self.drop + #",{"drop_events":["a"],"match":"prefix"},{"lower_case_events":true}"#), isNumbered: true)
        #expect(read.index == [1] && read.batch.events == [claim])
    }

    /// A shard recognises a slice by its number, so a retry must be cut as the first delivery, also if the rules have changed since.
    @Test func slicesOfANumberedRequestDoNotDependOnRules() async throws {
        let text = PropertyValue.string(ByteString([UInt8](repeating: 120, count: 8_000)))
        let events = (0..<2_600).map { row in
            Self.event(ByteString("u\(row % 50)"), row < 1_100 || row % 3 == 0 ? "d" : "a", [.init("text", text)])
        }
        try await FakeShards.with(2) { shards in
            func send(_ rules: String?) async throws -> [UInt32: Set<Int>] {
                var read = Self.read(events)
                if let rules { try read.apply(Self.tables(rules), isNumbered: true) }
                let before = shards.sent.count
                let message = Append(producer: 5, sequence: 9, part: 0, batch: EventBatch())
                let rows = ShardRouter.Rows(batch: read.batch, index: read.index, sliceStarts: read.ruled?.sliceStarts)
                _ = try await shards.router.append(
                    rows, delivery: .init(of: message, fingerprint: 1, project: 1), sender: Sender(project: 1), request: 1)
                var slices: [UInt32: Set<Int>] = [:]
                for one in shards.sent[before...] {
                    let numbers = (0..<one.append.batch.count).map { one.append.numbers?[$0] ?? $0 }
                    slices[one.append.part >> 16, default: []].formUnion(numbers)
                }
                return slices
            }
            let whole = try await send(nil)
            #expect(whole.count == 3)
            for rules in [
                Self.drop, #"{"drop_properties":"text"}"#,
                #"{"default_property":"more","value":"\#(String(repeating: "y", count: 1_000))"}"#,
            ] {
                for (slice, rows) in try await send(rules) {
                    #expect(rows.isSubset(of: whole[slice] ?? []), "slice \(slice) after \(rules.prefix(40))")
                }
            }
            // The first slice has nothing but what is dropped; the others keep their numbers.
            #expect(try await send(Self.drop).keys.sorted() == [1, 2])
        }
    }

    @Test func aSliceThatGrowsOverAFrameIsRefused() throws {
        let defaults = (0..<32).map { #"{"default_property":"p\#($0)","value":\#($0).5}"# }.joined(separator: ",")
        var read = Self.read((0..<150_000).map { Self.event(ByteString("u\($0 % 100)"), "a") })
        let tables = try Self.tables(defaults)
        let error = #expect(throws: ProtocolError.self) { try read.apply(tables, isNumbered: true) }
        #expect(error?.code == .tooLarge)
        // Without a number it is cut by its size.
        var other = Self.read((0..<150_000).map { Self.event(ByteString("u\($0 % 100)"), "a") })
        try other.apply(tables)
        #expect(other.batch.count == 150_000 && other.ruled?.sliceStarts == nil && other.ruled?.changed == 150_000)
    }
}

import EventRules
import FunnelModel
import FunnelProtocol
import IngestService
import Testing

/// What messages of Kafka become.
struct KafkaReadTests {
    private static let now: Int64 = 1_767_225_600_000_000
    private static let partition = KafkaPartition("shop", 3)

    private static func message(_ offset: Int64, _ payload: String, _ headers: [(String, String)] = []) -> KafkaMessage {
        KafkaMessage(partition, offset, headers: headers.map { .init($0.0, Array($0.1.utf8)) }, payload: Array(payload.utf8))
    }

    private static func read(_ messages: [KafkaMessage], rules: String? = nil, bytesMax: Int = 1 << 20, eventsMax: Int = 100) throws
        -> KafkaRead
    {
        let tables = try rules.map { RuleTables(try RuleList.parse(Array((#"{"rules":["# + $0 + "]}").utf8)), revision: 1) }
        return try KafkaRead(messages, rules: tables, now: now, bytesMax: bytesMax, eventsMax: eventsMax)
    }

    /// By row: index of the record, user and event id.
    private static func rows(_ read: KafkaRead) -> [String] {
        (0..<read.rows.batch.count).map { row in
            let event = read.rows.batch.event(row)
            return "\(read.rows.index[row]) \(event.user.string) \(event.name.string) \(event.id.string)"
        }
    }

    private static func event(_ user: String, _ more: String = "") -> String {
        #"{"user_id":"\#(user)","event":"E","timestamp":1767225600\#(more)}"#
    }

    @Test func anEventWithoutAnIdGetsThatOfItsPlace() throws {
        let read = try Self.read([
            Self.message(5, Self.event("a")), Self.message(6, Self.event("b", #","event_id":"own""#)),
            Self.message(7, "[\(Self.event("c")),\(Self.event("d", #","event_id":"own""#)),\(Self.event("e"))]"),
            Self.message(8, #"{"events":[\#(Self.event("f"))]}"#), Self.message(9, "\(Self.event("g"))\r\n\n\(Self.event("h"))\n"),
            Self.message(10, "\u{FEFF} {\n\(Self.event("i").dropFirst())\n"),
        ])
        #expect(
            Self.rows(read) == [
                "0 a E shop/3/5", "1 b E own", "2 c E shop/3/7/0", "3 d E own", "4 e E shop/3/7/2", "5 f E shop/3/8/0", "6 g E shop/3/9/0",
                "7 h E shop/3/9/1", "8 i E shop/3/10",
            ])
        #expect(read.rows.rejected.isEmpty)
        #expect((0..<9).map(read.message) == [5, 6, 7, 7, 7, 8, 9, 9, 10].map { "shop/3/\($0)" })
    }

    @Test func theSameMessagesGiveTheSameRows() throws {
        let messages = [Self.message(1, Self.event("a")), Self.message(2, "[\(Self.event("b"))]")]
        #expect(try Self.rows(Self.read(messages)) == Self.rows(Self.read(messages)))
        // Alone or with others.
        #expect(try Self.read([messages[1]]).rows.batch.event(0) == Self.read(messages).rows.batch.event(1))
    }

    @Test func cloudEventsAreReadInAllModes() throws {
        let event = #"{"specversion":"1.0","type":"E","source":"/s","id":"1","time":"2026-01-01T00:00:00Z","data":{"user_id":"a"}}"#
        let other = event.replacing(#""id":"1""#, with: #""id":"2""#)
        let attributes = [
            ("ce_specversion", "1.0"), ("ce_type", "E"), ("ce_source", "/100%"), ("ce_id", "3 ä"), ("ce_time", "2026-01-01T00:00:00Z"),
            ("content-type", "application/json"), ("trace", "x"),
        ]
        let read = try Self.read([
            Self.message(1, Self.event("n")), Self.message(2, event, [("content-type", "application/cloudevents+json; charset=UTF-8")]),
            Self.message(3, "[\(event),\(other)]", [("Content-Type", "application/cloudevents-batch+json")]),
            Self.message(4, #"{"user_id":"b"}"#, attributes), Self.message(5, Self.event("m")),
        ])
        // Native events come first.
        #expect(Self.rows(read) == ["0 n E shop/3/1", "1 m E shop/3/5", "2 a E /s 1", "3 a E /s 1", "4 a E /s 2", "5 b E /100% 3 ä"])
        #expect((0..<6).map(read.message) == [1, 5, 2, 3, 3, 4].map { "shop/3/\($0)" })
        #expect(read.rows.rejected.isEmpty)
    }

    @Test(arguments: [
        (#"{"user_id":"#, "body"), ("[1,2", "body"), ("null", "body"), ("\u{0}", "body"),
        (#"{"user_id":"","event":"E","timestamp":1}"#, "user_id"),
        ("{\n \"user_id\": \"u\",\n", "body"), (String(repeating: " ", count: 3) + String(repeating: "[", count: 100), "body"),
    ])
    func aMessageThatCannotBeReadIsOneRejectedRecord(payload: String, field: String) throws {
        let read = try Self.read([Self.message(1, Self.event("a")), Self.message(2, payload), Self.message(3, Self.event("b"))])
        #expect(Self.rows(read) == ["0 a E shop/3/1", "2 b E shop/3/3"])
        #expect(read.rows.rejected.map(\.index) == [1] && read.rows.rejected.map(\.fault.field) == [field])
        #expect(read.content(1).bytes == Array(payload.utf8))
        #expect(read.message(1) == "shop/3/2")
    }

    @Test func cloudEventsThatCannotBeReadAreKeptAsTheyCame() throws {
        let structured = [("content-type", "application/cloudevents+json")]
        let read = try Self.read([
            Self.message(1, #"{"specversion":"1.0"}"#, structured), Self.message(2, "{", structured),
            Self.message(3, "x", [("content-type", "application/cloudevents+avro")]),
            Self.message(4, #"{"a":1}"#, [("ce_specversion", "1.0")]),
        ])
        #expect(read.rows.batch.count == 0 && read.rows.rejected.count == 4)
        let kept = Dictionary(uniqueKeysWithValues: read.rows.rejected.map { (read.message($0.index), read.content($0.index)) })
        #expect(kept["shop/3/1"] == .record(Array(#"{"specversion":"1.0"}"#.utf8), product: "cloudEvents"))
        #expect(kept["shop/3/2"] == .text(Array("{".utf8), isCut: false))
        #expect(kept["shop/3/3"] == .text(Array("x".utf8), isCut: false))
        #expect(kept["shop/3/4"]?.bytes == Array(#"{"a":1}"#.utf8))
    }

    @Test func aMessageWithoutEventsIsNothing() throws {
        let read = try Self.read(["", " \n", "[]", #"{"events":[]}"#].enumerated().map { Self.message(Int64($0.offset), $0.element) })
        #expect(read.rows.batch.count == 0 && read.rows.rejected.isEmpty)
    }

    @Test func limitsRejectAMessageAsAWhole() throws {
        let list = "[\(Self.event("a")),\(Self.event("b")),\(Self.event("c"))]"
        let lines = (0..<3).map { Self.event("\($0)") }.joined(separator: "\n")
        let read = try Self.read([Self.message(1, list), Self.message(2, lines), Self.message(3, Self.event("d"))], eventsMax: 2)
        #expect(Self.rows(read) == ["2 d E shop/3/3"] && read.rows.rejected.map(\.index) == [0, 1])
        #expect(read.rows.rejected.allSatisfy { $0.fault.message.contains("events-per-request") })
        let long = try Self.read([Self.message(1, Self.event("a") + String(repeating: " ", count: 100))], bytesMax: 100)
        #expect(long.rows.rejected.map(\.fault.message).first?.contains("the limit is 100 (body-mb)") == true)
    }

    @Test func rulesOfTheProjectApply() throws {
        let cloud = #"{"specversion":"1.0","type":"d","source":"/s","id":"1","data":{"user_id":"a"}}"#
        let drop = Self.event("a").replacing(#""E""#, with: #""d""#)
        let untimed = #"{"user_id":"u","event":"E"}"#
        let messages = [
            Self.message(1, drop), Self.message(2, Self.event("b")), Self.message(3, untimed),
            Self.message(4, cloud, [("content-type", "application/cloudevents+json")]),
        ]
        let plain = try Self.read(messages)
        #expect(plain.rows.batch.count == 3 && plain.rows.rejected.map(\.index) == [2] && plain.rows.ruled == nil)
        let rules = #"{"drop_events":["d"]},{"missing_timestamp":["events"],"to":"server_time"}"#
        let read = try Self.read(messages, rules: rules)
        #expect(Self.rows(read) == ["1 b E shop/3/2", "2 u E shop/3/3"])
        #expect(read.rows.ruled?.dropped == [0, 3] && read.rows.rejected.isEmpty)
        // A replay at another time is the same event, by its id and its mark.
        #expect(read.rows.batch.event(1).serverTimed)
    }

    @Test func onlySomeRecordsAreStoredAgain() throws {
        let claim = Self.event("c", #","anonymous_id":"x""#)
        let alias = #"{"type":"alias","previous_id":"p","user_id":"q","timestamp":1767225600}"#
        var read = try Self.read(
            [Self.event("a"), "nonsense", Self.event("b", #","anonymous_id":"y""#), claim, alias].enumerated().map {
                Self.message(Int64($0.offset), $0.element)
            })
        #expect(read.rows.claims.count == 3 && read.rows.aliases == [4])
        read.keep(only: [0, 3, 4, 4])
        #expect(Self.rows(read) == ["0 a E shop/3/0", "3 c E shop/3/3"])
        #expect(read.rows.rejected.isEmpty && read.rows.claims.indexes == [3, 4] && read.rows.aliases == [4])
        #expect(read.content(3) == .event(Array(claim.utf8)))
        read.keep(only: [])
        #expect(read.rows.batch.count == 0 && read.rows.claims.isEmpty)
    }
}

import FunnelModel
import FunnelProtocol
import Testing

/// Lines of files of rejected events, and the events that `GET /v1/rejected` shows.
struct RejectedEventTests {
    private static func rejected(_ content: RejectedEvent.Content, _ reason: String = "user_id: field required") -> RejectedEvent {
        RejectedEvent(
            time: 1_767_268_800_123_456, project: 7, endpoint: "/v1/events", key: "7f3k9q2mzt", reason: reason, content: content)
    }

    private static func text(_ event: RejectedEvent) -> String { String(decoding: event.line, as: UTF8.self) }

    @Test func aLineHasTheEventAsItCame() {
        let event = Self.rejected(.init(Array("{\"event\":\r\n \"Visit\",\n \"n\":1.10}".utf8)))
        #expect(
            Self.text(event) == """
                {"time":"2026-01-01T12:00:00.123456Z","project":7,"endpoint":"/v1/events","key":"7f3k9q2mzt",\
                "reason":"user_id: field required","field":"user_id","event":{"event":   "Visit",  "n":1.10}}

                """)
        let record = Self.rejected(.init(Array("{\"type\":\"track\"}".utf8), product: "segment"))
        #expect(Self.text(record).hasSuffix(#""product":"segment","record":{"type":"track"}}"# + "\n"))
    }

    @Test func textThatIsNoEventIsText() {
        #expect(RejectedEvent.Content(Array("{\"a\":".utf8)) == .text(Array("{\"a\":".utf8), isCut: false))
        #expect(RejectedEvent.Content([0xFF, 0x0A]) == .text([0xFF, 0x0A], isCut: true))
        let long = RejectedEvent.Content(Array("[\"\(String(repeating: "x", count: RejectedEvent.textMax))\"]".utf8))
        #expect(long.bytes.count == RejectedEvent.textMax)
        let line = Self.text(Self.rejected(long))
        #expect(line.hasSuffix(#"","cut":true}"# + "\n") && line.split(separator: "\n").count == 1)
        // Bytes that are not UTF-8 and line ends do not break the line.
        #expect(Self.text(Self.rejected(.init([0xFF, 0x0A]))).split(separator: "\n").count == 1)
    }

    @Test func aLineReadsBack() throws {
        for content in [
            RejectedEvent.Content(Array(#"{"event":"Visit"}"#.utf8)), .init(Array(#"{"a":1}"#.utf8), product: "mixpanel"),
            .init(Array("no JSON".utf8)), .init([]), .text(Array("cut".utf8), isCut: true),
        ] {
            let event = Self.rejected(content)
            let line = Array(event.line.dropLast())
            #expect(RejectedEvent(line: line) == event)
            for end in 0..<line.count { #expect(RejectedEvent(line: Array(line[..<end])) == nil, "\(end)") }
        }
        for line in ["", "null", "[]", "{}", #"{"time":"2026-01-01T12:00:00Z","project":-1,"endpoint":"","reason":"","text":""}"#] {
            #expect(RejectedEvent(line: Array(line.utf8)) == nil)
        }
    }

    @Test(arguments: [
        ("user_id: field required", "user_id"), ("properties.a.b: has 9 bytes", "properties.a.b"),
        ("event_names_max: the", "event_names_max"),
        ("no field", ""), ("no field: at all", ""), ("", ""), (":", ""),
    ])
    func theFieldIsBeforeTheColon(reason: String, field: String) {
        #expect(Self.rejected(.init([]), reason).field == field)
    }

    @Test func namesAreFoundInRecordsOfAllProducts() {
        func names(_ text: String) -> [String] {
            let event = IncomingEvent(Self.rejected(.init(Array(text.utf8))))
            return [event.event, event.user]
        }
        #expect(names(#"{"event_type":"A","event":"B","user_id":"u"}"#) == ["A", "u"])
        #expect(names(#"{"type":"identify","anonymousId":"d"}"#) == ["identify", "d"])
        #expect(names(#"{"event":"C","properties":{"distinct_id":"u2"}}"#) == ["C", "u2"])
        #expect(names(#"{"event":7,"user_id":""}"#) == ["", ""])
        #expect(names("{") == ["", ""] && names("[1]") == ["", ""])
    }

    @Test func anIncomingEventReadsBackAndIsCut() throws {
        let long = String(repeating: "é", count: 3_000)
        let event = IncomingEvent(time: 5_000_000, endpoint: long, key: "k", event: long, user: long, reason: long, record: long)
        #expect(event.record.utf8.count == IncomingEvent.recordMax && event.event.utf8.count == Limits.eventNameBytes)
        #expect(IncomingEvent(event.json()) == event)
        let taken = IncomingEvent(Event(user: "u", name: "Visit", time: 1), time: 9, endpoint: "append", key: nil)
        #expect(taken.json()["outcome"] == "taken" && taken.json()["reason"] == .null && IncomingEvent(taken.json()) == taken)
        #expect(taken.json(ingest: "a:1")["ingest"] == "a:1")
        for text in ["null", "{}", #"{"time":"1970-01-01T00:00:00Z","endpoint":"","outcome":"lost","record":""}"#] {
            #expect(IncomingEvent(try JSONParser.parse(Array(text.utf8))) == nil)
        }
    }

    @Test func aRequestIsReadFromTexts() throws {
        let asked = try IncomingRequest.parse([
            "kind": "all", "limit": "7", "after": "2026-01-01T12:00:00Z", "event": "isi",
        ])
        #expect(asked == IncomingRequest(kind: .all, limit: 7, after: 1_767_268_800_000_000, event: "isi"))
        #expect(try IncomingRequest.parse(asked.json) == asked)
        #expect(try IncomingRequest.parse([:]) == IncomingRequest(kind: .rejected, limit: 100))
        let bad: JSONValue = ["kind": "most", "limit": "201", "after": "now", "event": .text(String(repeating: "x", count: 257)), "x": "1"]
        do throws(InvalidDocument) {
            _ = try IncomingRequest.parse(bad)
            Issue.record("a request full of faults was accepted")
        } catch {
            #expect(Set(error.faults.map(\.field)) == ["kind", "limit", "after", "event", "x"])
        }
    }
}

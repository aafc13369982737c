import EventSDKs
import FunnelModel
import Testing

struct CloudEventTests {
    private let structured = #"""
        {"specversion":"1.0","id":"7","source":"/shop","type":"com.acme.order","time":"2026-01-01T10:00:00.5Z","subject":"orders/7",
        "datacontenttype":"application/json","region":"eu","data":{"user_id":"u1","anonymous_id":"a1","total":5,"source":"data","x":NaN}}
        """#

    private func read(_ type: String, _ body: String, _ headers: [(name: String, value: String)] = []) throws -> SDKReading {
        try SDKReading(.post("/v1/events", body, headers + [("Content-Type", type), ("Authorization", "Bearer k")]))
    }

    @Test func structuredAndBatched() throws {
        let expected = #"u1 com.acme.order 2026-01-01T10:00:00.500Z /shop 7 region="eu" source="data" subject="orders/7" total=5"#
        let one = try read("application/cloudevents+json; charset=utf-8", structured)
        let two = try read("application/cloudevents-batch+json", "[\(structured),\(structured)]")
        #expect(one.events == [expected] && two.events == [expected, expected])
        #expect(one.claims == ["identify a1 -> u1 2026-01-01T10:00:00.500Z"])
        #expect(one.batch.key == "k")
        #expect(one.answer().line == #"200 application/json {"accepted":1,"rejected":[]}"#)
        #expect(try read("application/cloudevents-batch+json", "[]").answer().line == #"200 application/json {"accepted":0,"rejected":[]}"#)
        #expect(
            two.answer(SDKOutcome(rejected: [0: EventFault("timestamp", "is old")], retry: [1])).line
                == #"503 application/json Retry-After: 1 {"accepted":0,"retry":[1],"rejected":[{"index":0,"reason":"time: is old"}],"#
                + #""detail":"some events are not stored: send those of \"retry\" again"}"#)
    }

    @Test func binary() throws {
        let headers = [
            (name: "ce-specversion", value: "1.0"), ("ce-id", "7"), ("Ce-Source", "/shop"), ("ce-type", "order"),
            ("ce-userid", "u%20%C3%A91"),
            ("ce-", "x"), ("ce-data", "x"),
        ]
        let json = try read("application/vnd.acme+json", #"{"total":5,"user_id":"u2"}"#, headers)
        #expect(json.events == [#"u é1 order 2026-01-01T12:00:00Z /shop 7 source="/shop" total=5"#])
        #expect(json.records[0].isServerTimed)
        #expect(
            try read("text/plain", "hello", headers).events == [#"u é1 order 2026-01-01T12:00:00Z /shop 7 data="hello" source="/shop""#])
        #expect(try read("application/json", "", headers).events == [#"u é1 order 2026-01-01T12:00:00Z /shop 7 source="/shop""#])
        #expect(
            try read("application/json", "[1,2]", headers).events == [
                #"u é1 order 2026-01-01T12:00:00Z /shop 7 data="[1,2]" source="/shop""#
            ])
        let other = try read("application/avro", "\u{1}", headers)
        #expect(other.events == [#"u é1 order 2026-01-01T12:00:00Z /shop 7 source="/shop""#])
        #expect(other.records[0].ignored == ["data of the type \"application/avro\" are not supported"])
        #expect(try read("application/json", "{", headers).faults == ["data: malformed JSON at byte 1: expected a member name"])
        #expect(try read("application/json", "{}", headers + [("ce-x", "%")]).faults == ["x: cannot be decoded"])
    }

    @Test func whoTheUserIs() throws {
        func user(_ members: String) throws -> String? {
            let text = #"{"specversion":"1.0","id":"7","source":"s","type":"t","time":"2026-01-01",\#(members)}"#
            let reading = try read("application/cloudevents+json", text)
            return reading.faults[0] ?? reading.events[0].split(separator: " ").first.map(String.init)
        }
        #expect(try user(#""userid":"a","subject":"s","data":{"user_id":"d"}"#) == "a")
        #expect(try user(#""subject":"s","data":{"user_id":12}"#) == "12")
        #expect(try user(#""subject":"s","data":{"anonymous_id":"n"}"#) == "n")
        #expect(try user(#""subject":"s","data":"text""#) == "s")
        #expect(try user(#""data":{}"#)?.hasPrefix("user_id: is missing") == true)
    }

    @Test func dataInBase64() throws {
        func reading(_ members: String) throws -> SDKReading {
            try read(
                "application/cloudevents+json",
                #"{"specversion":"1.0","id":"7","source":"s","type":"t","time":"2026-01-01","subject":"u",\#(members)}"#)
        }
        #expect(try reading(#""data_base64":"\#(base64(#"{"a":1}"#))""#).events == [#"u t 2026-01-01T00:00:00Z s 7 a=1 source="s""#])
        #expect(
            try reading(#""datacontenttype":"image/png","data_base64":"AAAA""#).records[0].ignored
                == ["data of the type \"image/png\" are not supported"])
        #expect(try reading(#""data_base64":"A""#).faults == ["data_base64: is not base64"])
    }

    @Test func faults() throws {
        let bad = [
            structured.replacing(#""1.0""#, with: #""0.3""#), structured.replacing(#""id":"7","#, with: ""),
            structured.replacing(#""type":"com.acme.order""#, with: #""type":"""#), structured.replacing("2026-01-01T10", with: "then"),
            "7",
        ]
        let reading = try read("application/cloudevents-batch+json", "[\((bad + [structured]).joined(separator: ","))]")
        #expect(
            reading.faults == [
                "specversion: \"0.3\" is not supported; 1.0 is", "id: field required", "type: field required",
                "timestamp: \"then:00:00.5Z\": expected a digit at byte 0", "specversion: field required", nil,
            ])
        #expect(throws: SDKFault.self) { try read("application/cloudevents-batch+json", structured) }
        #expect(throws: SDKFault.self) { try read("application/cloudevents+json", "{") }
        #expect(throws: SDKFault.unsupported("the format application/cloudevents+avro is not supported; use application/cloudevents+json"))
        {
            try read("application/cloudevents+avro", "x")
        }
        let endpoint = try #require(SDKEndpoint.at(.post, "/v1/events").first)
        #expect(
            endpoint.answer(.unsupported("x"), to: reading.request).line == #"415 application/json {"code":"unsupported","detail":"x"}"#)
        #expect(endpoint.answer(.missingKey, to: reading.request).status == 401)
    }

    @Test func aLongSourceIsHashedInTheID() throws {
        let text = structured.replacing("/shop", with: String(repeating: "/s", count: 200))
        let event = try #require(try read("application/cloudevents+json", text).records[0].events.first)
        let id = try #require(event["event_id"]?.asString)
        #expect(id.count <= 18 && id.string.hasSuffix(" 7"))
    }
}

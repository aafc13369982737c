import EventSDKs
import FunnelModel
import Testing

struct SegmentTests {
    /// As the Python SDK sends it.
    private let batch = #"""
        {"batch": [
          {"integrations": {}, "anonymousId": null, "timestamp": "2026-01-01T10:00:00.123+00:00", "type": "track", "userId": "u1",
           "event": "Order Completed", "properties": {"total": 12.5, "ratio": NaN, "items": [1, 2], "page": {"a": true}, "none": null},
           "context": {"library": {"name": "analytics-python", "version": "2.4.0"}, "ip": "10.0.0.1"}, "messageId": "m1"},
          {"anonymousId": "a1", "timestamp": "2026-01-01T10:00:01+00:00", "context": {"library": {"name": "x"}}, "integrations": {},
           "messageId": "m2", "type": "identify", "userId": "u1", "traits": {"plan": "pro", "age": 30}},
          {"anonymousId": "a1", "timestamp": "2026-01-01T10:00:02+00:00", "messageId": "m3", "type": "page", "userId": null,
           "category": "Docs", "name": "Home", "properties": {"url": "https://a.example/?utm_source=ad"}},
          {"timestamp": "2026-01-01T10:00:03+00:00", "messageId": "m4", "type": "alias", "previousId": "a1", "userId": "u1"},
          {"timestamp": "2026-01-01T10:00:04+00:00", "messageId": "m5", "type": "group", "userId": "u1", "groupId": 7,
           "traits": {"name": "Acme"}}
        ], "sentAt": "2026-01-01T10:00:05.000+00:00", "writeKey": "w1"}
        """#

    @Test func aBatch() throws {
        let reading = try SDKReading(.post("/v1/batch", batch, [SDKRequest.basic("w1:")]))
        #expect(reading.batch.key == "w1")
        #expect(
            reading.events == [
                #"u1 Order Completed 2026-01-01T10:00:00.123Z m1 context.ip="10.0.0.1" context.library.name="analytics-python" "#
                    + #"context.library.version="2.4.0" items="[1,2]" page.a=true total=12.5"#,
                #"u1 $identify 2026-01-01T10:00:01Z m2 age=30 plan="pro""#,
                #"a1 page 2026-01-01T10:00:02Z m3 category="Docs" name="Home" url="https://a.example/?utm_source=ad" utm_source="ad""#,
                #"u1 $groupidentify 2026-01-01T10:00:04Z m5 group_id="7" name="Acme""#,
            ])
        #expect(reading.claims == ["identify a1 -> u1 2026-01-01T10:00:01Z", "alias a1 -> u1 2026-01-01T10:00:03Z"])
        #expect(reading.faults == [nil, nil, nil, nil, nil])
        #expect(reading.records.allSatisfy { !$0.isServerTimed && $0.ignored.isEmpty })
        #expect(reading.answer().line == #"200 application/json {"success":true}"#)
        #expect(try SDKReading(.post("/b", batch)).batch.key == "w1")
        #expect(try SDKReading(.post("/v1/import/", batch.replacing("w1", with: ""))).batch.key == nil)
    }

    @Test func rudderStackPutsTraitsIntoTheContextAndTheKeyIntoTheHead() throws {
        let body = #"""
            {"batch": [{"channel": "server", "context": {"traits": {"plan": "pro"}, "library": {"name": "rudder"}}, "type": "identify",
            "messageId": "m", "userId": "u", "anonymousId": null, "originalTimestamp": "2026-01-01T10:00:00Z",
            "integrations": {"All": true}}], "sentAt": "2026-01-01T10:00:00Z"}
            """#
        let reading = try SDKReading(.post("/v1/batch", body, [SDKRequest.basic("k2:")]))
        #expect(reading.events == [#"u $identify 2026-01-01T10:00:00Z m plan="pro""#])
        #expect(reading.batch.key == "k2" && reading.claims.isEmpty)
    }

    /// As analytics.js sends it: one call, as text, without a type in the tests of its path.
    @Test func singleCallsOfABrowser() throws {
        let context = #"""
            "context":{"page":{"path":"/x","referrer":"https://www.google.com/","search":"?utm_medium=cpc","title":"T",
            "url":"https://a.example/x?utm_medium=cpc"},"userAgent":"UA","locale":"de"}
            """#
        let call = #"{"timestamp":"2026-01-01T10:00:00.000Z","anonymousId":"a","messageId":"m","writeKey":"w","sentAt":"x",\#(context)"#
        let page =
            #"context.locale="de" context.page.path="/x" context.page.referrer="https://www.google.com/" "#
            + #"context.page.search="?utm_medium=cpc" context.page.title="T" context.page.url="https://a.example/x?utm_medium=cpc" "#
            + #"context.userAgent="UA""#
        for path in ["/v1/t", "/t", "/v1/track", "/v1/track/"] {
            let reading = try SDKReading(
                .post(path, call + #","event":"Signed Up","properties":{"plan":"pro"}}"#, [("content-type", "text/plain")]))
            #expect(
                reading.events == [
                    #"a Signed Up 2026-01-01T10:00:00Z m \#(page) plan="pro" referrer_host="www.google.com" utm_medium="cpc""#
                ])
            #expect(reading.batch.key == "w")
        }
        for (path, name) in [("/v1/p", "page"), ("/v1/screen", "screen"), ("/s", "screen")] {
            let reading = try SDKReading(.post(path, call + #","name":"Home","properties":{"a":1}}"#))
            #expect(
                reading.events == [
                    #"a \#(name) 2026-01-01T10:00:00Z m a=1 \#(page) name="Home" referrer_host="www.google.com" utm_medium="cpc""#
                ])
        }
        // The type of the body counts.
        let typed = try SDKReading(.post("/v1/t", #"{"type":"alias","userId":"u","previousId":"a","timestamp":0.1e10}"#))
        #expect(typed.events.isEmpty && typed.claims == ["alias a -> u 2001-09-09T01:46:40Z"])
    }

    @Test func aMissingTimeIsTheServers() throws {
        for time in ["", #""timestamp":null,"#, #""timestamp":"","#] {
            let reading = try SDKReading(.post("/v1/i", #"{\#(time)"userId":"u","anonymousId":"a"}"#))
            #expect(reading.events == ["u $identify 2026-01-01T12:00:00Z "])
            #expect(reading.claims == ["identify a -> u 2026-01-01T12:00:00Z"])
            #expect(reading.records[0].isServerTimed)
        }
    }

    @Test func aBadCallIsRejectedAlone() throws {
        let good = #"{"type":"track","event":"e","userId":"u","timestamp":"2026-01-01T10:00:00Z"}"#
        let bad = [
            #"{"event":"e","userId":"u"}"#, #"{"type":"trick","userId":"u"}"#, #"{"type":"track","event":"e"}"#,
            #"{"type":"track","event":"e","userId":"u","timestamp":"yesterday"}"#,
            #"{"type":"track","event":"e","userId":"u","timestamp":"1969-01-01"}"#,
            #"{"type":"track","event":"e","userId":"u","timestamp":"2026-01-03"}"#,
            #"{"type":"track","event":"e","userId":"u","timestamp":[1]}"#, #"{"type":"track","event":"e","userId":{}}"#,
            #"{"type":"track","event":"e","userId":"u","anonymousId":[]}"#, #"{"type":"group","userId":"u"}"#,
            #"{"type":"alias","userId":"u"}"#, #"{"type":"identify","userId":"u","traits":[]}"#,
            #"{"type":"track","event":"e","userId":"u","properties":"x"}"#, "7", "[{}]", "{\"type\":tru}",
        ]
        let reading = try SDKReading(.post("/v1/batch", #"{"batch":[\#(([good] + bad + [good]).joined(separator: ","))]}"#))
        #expect(
            reading.faults == [
                nil, "type: field required", "type: \"trick\" is no call of the Segment specification",
                "user_id: is missing or empty; the record has \"type\", \"event\"",
                "timestamp: \"yesterday\": expected a digit at byte 0", "timestamp: \"1969-01-01\": is before 1971-01-01",
                "timestamp: \"2026-01-03\": is more than 24 h ahead of the server's clock",
                "timestamp: must be text or a number, not an array", "userId: must be text or an integer, not an object",
                "anonymousId: must be text or an integer, not an array", "groupId: field required", "previousId: field required",
                "traits: must be an object, not an array", "properties: must be an object, not a string", "type: field required",
                "type: field required", "body: malformed JSON at byte 8 of the event: not a JSON value", nil,
            ])
        #expect(reading.events.count == 2 && reading.claims.isEmpty)
        #expect(reading.answer().line == #"200 application/json {"success":true}"#)
        #expect(reading.answer(SDKOutcome(retry: [0], retryAfter: 3)).status == 503)
    }

    @Test func idsThatAreIntegersOrTooLong() throws {
        let long = String(repeating: "a", count: 513)
        let reading = try SDKReading(
            .post(
                "/v1/batch",
                #"""
                {"batch":[{"type":"track","event":"e","userId":12345678901234567890,"messageId":9,"timestamp":"2026-01-01"},
                {"type":"track","event":"e","userId":"u","anonymousId":"\#(long)","timestamp":"2026-01-01"}]}
                """#))
        #expect(reading.events == ["12345678901234567890 e 2026-01-01T00:00:00Z 9"])
        #expect(reading.faults == [nil, "anonymousId: has 513 bytes; the limit is 512"])
    }

    @Test func failures() throws {
        let endpoint = try #require(SDKEndpoint.at(.post, "/v1/batch").first)
        func line(_ fault: SDKFault) -> String { endpoint.answer(fault, to: .post("/v1/batch", "")).line }
        #expect(
            line(.malformed("x")) == #"400 application/json {"code":"invalid_request","message":"x"}"#)
        #expect(line(.missingKey) == #"401 application/json {"code":"missing_api_key","message":"the request has no API key"}"#)
        #expect(
            line(.wrongKey) == #"401 application/json {"code":"invalid_api_key","message":"the API key is not valid for writing events"}"#)
        #expect(line(.refusedKey("x")) == #"401 application/json {"code":"invalid_api_key","message":"x"}"#)
        #expect(
            line(.tooLarge(limit: 9))
                == #"400 application/json {"code":"payload_too_large","message":"the body is larger than 9 bytes, the limit"}"#)
        #expect(
            line(.tooManyEvents(limit: 9))
                == #"400 application/json {"code":"too_many_events","message":"the request has more than 9 events, the limit"}"#)
        #expect(
            line(.unsupportedEncoding("br"))
                == #"400 application/json {"code":"unsupported_encoding","message":"the content encoding \"br\" is not supported; "#
                + #"use gzip or none"}"#
        )
        #expect(
            line(.rateLimited(retryAfter: 2))
                == #"429 application/json Retry-After: 2 {"code":"rate_limited","message":"too many requests; try again in 2 s"}"#)
        #expect(
            line(.overloaded(retryAfter: 0))
                == #"503 application/json Retry-After: 1 {"code":"overloaded","message":"some events are not stored; send the "#
                + #"request again in 0 s"}"#
        )
        for body in ["", "{}", #"{"batch":[}"#, "[1", #"{"batch":5}"#] {
            #expect(throws: SDKFault.self) { try SDKReading(.post("/v1/batch", body)) }
        }
        for body in ["", "{", "x"] { #expect(throws: SDKFault.self) { try SDKReading(.post("/v1/track", body)) } }
        #expect(throws: SDKFault.tooManyEvents(limit: 4)) { try SDKReading(.post("/v1/batch", batch), limit: 4) }
        #expect(try SDKReading(.post("/v1/batch", #"{"batch":[]}"#)).answer().status == 200)
    }
}

import EventSDKs
import FunnelModel
import Testing

struct AmplitudeTests {
    /// As the Python SDK sends it, but for the two events at the end.
    private let body = #"""
        {"api_key": "amp1", "events": [
          {"event_properties": {"plan": "pro", "page_url": "https://a.example/?fbclid=f", "x": NaN, "referrer": "https://t.co/"},
           "event_type": "Signed Up", "insert_id": "i1", "library": "amplitude-python/1.3.0", "time": 1767261600123, "user_id": "user-1",
           "device_id": "device-1", "session_id": -1, "groups": {"team": "red"}, "price": 3.5},
          {"event_type": "$identify", "device_id": "device-1", "insert_id": "i2", "time": 1767261601000,
           "user_properties": {"$set": {"a": 1}, "$setOnce": {"b": 2}, "$add": {"c": 3}, "$unset": {"d": "-"}}},
          {"event_type": "Bought", "user_id": "user-1", "insert_id": "i3", "time": 1767261602000, "user_properties": {"plan": "gold"}},
          {"event_type": "$groupidentify", "groups": {"team": "red"}, "group_properties": {"$set": {"size": 2}},
          "insert_id": "i4", "time": 1767261603000},
          {"event_type": "Late", "user_id": "user-1", "insert_id": "i5"},
          {"event_type": "Bad", "insert_id": "i6", "time": 1767261600123},
          {"event_type": "Bad", "user_id": "user-1", "time": "soon"}
        ], "options": {"min_id_length": 5}}
        """#

    @Test func aBatch() throws {
        for path in ["/2/httpapi", "/batch", "/2/httpapi/"] {
            let reading = try SDKReading(.post(path, body, [("content-type", "application/json; charset=UTF-8")]))
            #expect(reading.batch.key == "amp1")
            #expect(
                reading.events == [
                    #"user-1 Signed Up 2026-01-01T10:00:00.123Z i1 fbclid="f" groups.team="red" library="amplitude-python/1.3.0" "#
                        + #"page_url="https://a.example/?fbclid=f" plan="pro" price=3.5 referrer="https://t.co/" referrer_host="t.co" "#
                        + #"session_id=-1"#,
                    "device-1 $identify 2026-01-01T10:00:01Z i2 a=1", "device-1 $set_once 2026-01-01T10:00:01Z i2/$set_once b=2",
                    "user-1 Bought 2026-01-01T10:00:02Z i3", #"user-1 $identify 2026-01-01T10:00:02Z i3/$identify plan="gold""#,
                    #"$team_red $groupidentify 2026-01-01T10:00:03Z i4 group_id="red" group_type="team" size=2"#,
                    "user-1 Late 2026-01-01T12:00:00Z i5",
                ])
            #expect(reading.claims == ["identify device-1 -> user-1 2026-01-01T10:00:00.123Z"])
            #expect(reading.records.map(\.isServerTimed) == [false, false, false, false, true, false, false])
            #expect(reading.records[1].ignored == ["$add is not supported", "$unset is not supported"])
            #expect(
                reading.answer().line
                    == #"200 application/json {"code":200,"events_ingested":5,"payload_size_bytes":\#(body.utf8.count),"#
                    + #""server_upload_time":1767268800000,"events_with_missing_fields":{"user_id":[5]},"events_with_invalid_fields":{"time":[6]}}"#
            )
        }
    }

    @Test func answersAlwaysHaveACode() throws {
        let reading = try SDKReading(.post("/2/httpapi", body))
        #expect(
            reading.answer(SDKOutcome(retry: [0, 4], retryAfter: 2)).line
                == #"429 application/json Retry-After: 2 {"code":429,"error":"Too many requests for some devices and users","#
                + #""throttled_devices":{},"#
                + #""throttled_users":{},"throttled_events":[0,4]}"#)
        func line(_ fault: SDKFault, _ batch: SDKBatch? = nil) -> String {
            reading.endpoint.answer(fault, to: reading.request, batch: batch).line
        }
        #expect(line(.malformed("x")) == #"400 application/json {"code":400,"error":"x","missing_field":"events"}"#)
        #expect(line(.missingKey) == #"400 application/json {"code":400,"error":"the request has no API key","missing_field":"api_key"}"#)
        #expect(
            line(.wrongKey)
                == #"400 application/json {"code":400,"error":"Invalid API key: the API key is not valid for writing events"}"#)
        #expect(line(.refusedKey("x")) == #"400 application/json {"code":400,"error":"Invalid API key: x"}"#)
        #expect(line(.tooLarge(limit: 5)) == #"413 application/json {"code":413,"error":"the body is larger than 5 bytes, the limit"}"#)
        #expect(line(.unsupportedEncoding("br")).hasPrefix(#"400 application/json {"code":400,"#))
        #expect(
            line(.rateLimited(retryAfter: 3))
                == #"503 application/json Retry-After: 3 {"code":503,"error":"too many requests; try again in 3 s"}"#)
        #expect(
            line(.rateLimited(retryAfter: 3), reading.batch).hasSuffix(#""throttled_events":[0,1,2,3,4,5,6]}"#))
        #expect(line(.overloaded(retryAfter: 1)).hasPrefix(#"503 application/json Retry-After: 1 {"code":503,"#))
        for text in ["", "{}", "[1", #"{"api_key":"k","events":{}}"#] {
            #expect(throws: SDKFault.self) { try SDKReading(.post("/2/httpapi", text)) }
        }
        let none = try SDKReading(.post("/2/httpapi", #"{"api_key":"k","events":[{"user_id":"u"}]}"#))
        let missing = SDKOutcome(rejected: [0: EventFault("event_type", "field required", "missing")])
        #expect(none.answer(missing).line.hasSuffix(#""events_with_missing_fields":{"event_type":[0]}}"#))
        #expect(none.events == ["rejected: event_type: field required"])
    }
}

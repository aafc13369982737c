import EventSDKs
import FunnelModel
import Testing

struct MixpanelTests {
    private let list = [
        #"{"event": "Signed Up", "properties": {"token": "t1", "distinct_id": "u1", "time": 1767261600, "$insert_id": "#
            + #""i1", "plan": "pro", "x": Infinity}}"#,
        #"{"event": "Bought", "properties": {"token": "t1", "distinct_id": "u1", "time": 1767261600.123456, "$insert_id": "i2"}}"#,
        #"{"event": "Bought", "properties": {"token": "t1", "distinct_id": "u1", "time": 1767261600123, "$insert_id": "i3"}}"#,
    ]
    private var events: String { "[\(list.joined(separator: ",\n "))]" }
    private let expected = [
        #"u1 Signed Up 2026-01-01T10:00:00Z i1 plan="pro""#, "u1 Bought 2026-01-01T10:00:00.123456Z i2",
        "u1 Bought 2026-01-01T10:00:00.123Z i3",
    ]
    private let formType = [(name: "Content-Type", value: "application/x-www-form-urlencoded")]

    @Test func trackInAllForms() throws {
        let requests: [(SDKRequest, String)] = [
            // Python: JSON in a form.
            (.post("/track", "data=\(escaped(events))&verbose=1&ip=0", formType), #"200 application/json {"status":1,"error":null}"#),
            // JavaScript: base64 in a form, `verbose` in the query.
            (
                .post("/track/", "data=" + escaped(base64(events)), query: "verbose=1&ip=1&_=1767261600000", formType),
                #"200 application/json {"status":1,"error":null}"#
            ),
            (.post("/track/", "data=" + base64(events), query: "ip=1"), "200 application/json 1"),
            (.post("/track", events, [("content-type", "application/json")]), "200 application/json 1"),
            (.get("/track/", query: "data=\(escaped(base64(events)))&ip=1"), "200 application/json 1"),
            (.get("/track", query: "verbose=1&data=" + base64(events, url: true)), #"200 application/json {"status":1,"error":null}"#),
        ]
        for (request, answer) in requests {
            let reading = try SDKReading(request)
            #expect(reading.events == expected)
            #expect(reading.batch.key == "t1")
            #expect(reading.answer().line == answer)
        }
        let image = try SDKReading(.get("/track", query: "img=1&verbose=1&data=" + base64(events)))
        #expect(
            image.answer().contentType == "image/gif" && image.answer().body.starts(with: "GIF89a".utf8) && image.answer().body.count == 43)
    }

    @Test func importIsAnsweredByItsForm() throws {
        let lines = list.joined(separator: "\r\n")
        let secret = SDKRequest.basic("s1:")
        let json = try SDKReading(.post("/import", events, query: "strict=1", [secret, ("content-type", "application/json")]))
        let ndjson = try SDKReading(.post("/import/", lines + "\n", [secret, ("content-type", "application/x-ndjson")]))
        for reading in [json, ndjson] {
            #expect(reading.events == expected)
            #expect(reading.batch.key == "s1")
            #expect(reading.answer().line == #"200 application/json {"code":200,"num_records_imported":3,"status":"OK"}"#)
        }
        let form = try SDKReading(.post("/import", "data=\(escaped(events))&verbose=1&ip=0&api_key=s2", formType))
        #expect(form.events == expected && form.batch.key == "s2")
        #expect(form.answer().line == #"200 application/json {"status":1,"error":null}"#)
    }

    @Test func failedRecordsOfAStrictImport() throws {
        let body = #"""
            [{"event":"a","properties":{"distinct_id":"u","time":1767261600,"$insert_id":"i0"}},
             {"event":"b","properties":{"time":1767261600,"$insert_id":"i1"}},
             {"event":"c","properties":{"distinct_id":"u","time":1,"$insert_id":"i2"}},
             {"event":tru}]
            """#
        let strict = try SDKReading(.post("/import", body, query: "strict=1&project_id=7", [SDKRequest.basic("s:x")]))
        let later = SDKOutcome(rejected: [0: EventFault("event_type", "is one name too many")])
        #expect(
            strict.answer(later).line
                == #"400 application/json {"code":400,"error":"some data points in the request failed validation","failed_records":["#
                + #"{"index":0,"insert_id":"i0","field":"event","message":"is one name too many"},"#
                + #"{"index":1,"insert_id":"i1","field":"properties.distinct_id","message":"is missing or empty; the record has "#
                + #"\"event\", \"properties\""},"#
                + #"{"index":2,"insert_id":"i2","field":"properties.time","message":"is before 1971-01-01"},"#
                + #"{"index":3,"insert_id":"","field":"body","message":"malformed JSON at byte 9 of the event: not a JSON value"}],"#
                + #""num_records_imported":0,"status":"Bad Request"}"#)
        let lenient = try SDKReading(.post("/import", body, query: "strict=0", [SDKRequest.basic("s:x")]))
        #expect(lenient.answer().line == #"200 application/json {"code":200,"num_records_imported":1,"status":"OK"}"#)
    }

    @Test func allTokensMustBeEqual() throws {
        let body = #"""
            [{"event":"a","properties":{"distinct_id":"u","time":1767261600}},
             {"event":"b","properties":{"distinct_id":"u","time":1767261600,"token":"t1"}},
             {"event":"c","properties":{"distinct_id":"u","time":1767261600,"token":"t2"}}]
            """#
        let fault = "token: is missing, or is not the API key of the request's first event"
        let reading = try SDKReading(.post("/track", body))
        #expect(reading.batch.key == "t1" && reading.faults == [fault, nil, fault])
        // A key in the head is the key of all.
        let known = try SDKReading(.post("/import", body, [SDKRequest.basic("s:")]))
        #expect(known.batch.key == "s" && known.faults == [nil, nil, nil])
        #expect(try SDKReading(.post("/track", #"{"event":"a","properties":{"distinct_id":"u"}}"#)).batch.key == nil)
    }

    @Test func identities() throws {
        func event(_ name: String, _ properties: String) -> String {
            #"{"event":"\#(name)","properties":{"token":"t","time":1767261600,\#(properties)}}"#
        }
        let body = [
            event("a", #""distinct_id":"$device:d1","$device_id":"d1""#),
            event("b", #""distinct_id":"u1","$device_id":"d1","$user_id":"u1""#),
            event("$identify", #""distinct_id":"u1","$anon_distinct_id":"$device:d1","$device_id":"d1","$user_id":"u1""#),
            event("$identify", #""distinct_id":"u2","$anon_distinct_id":"d2","$identified_id":"u3""#),
            event("$create_alias", #""distinct_id":"u1","alias":"x""#), event("$merge", #""$distinct_ids":["u1",42]"#),
            event("$create_alias", #""distinct_id":"u1""#), event("$merge", #""$distinct_ids":["u1"]"#),
            event("$merge", #""$distinct_ids":7"#),
            event("c", #""$device_id":"$device:""#),
        ]
        let reading = try SDKReading(.post("/track", "[\(body.joined(separator: ","))]"))
        #expect(
            reading.events == ["d1 a 2026-01-01T10:00:00Z ", "u1 b 2026-01-01T10:00:00Z ", "$device: c 2026-01-01T10:00:00Z "])
        #expect(
            reading.claims.map { $0.replacing(" 2026-01-01T10:00:00Z", with: "") } == [
                "identify d1 -> u1", "identify d1 -> u1", "identify d2 -> u3", "alias x -> u1", "alias 42 -> u1",
            ])
        #expect(
            reading.faults == [
                nil, nil, nil, nil, nil, nil, "alias: field required",
                #"user_id: is missing or empty; the record has "event", "properties""#,
                #"user_id: is missing or empty; the record has "event", "properties""#, nil,
            ])
    }

    @Test func profiles() throws {
        let body = #"""
            [{"$token":"t","$distinct_id":"u1","$set":{"plan":"pro"},"$time":1767261600000},
             {"$token":"t","$distinct_id":"$device:d","$set_once":{"first":1},"$device_id":"d","$user_id":"u1"},
             {"$token":"t","$distinct_id":"u1","$add":{"n":1}},
             {"$token":"t","$distinct_id":"u1","$set":{"a":1},"$union":{"l":[1]},"$set_once":{"b":2}},
             {"$token":"t","$distinct_id":"u1","$delete":"u1"}, {"$token":"t","$set":{"a":1}}, {"$token":"t","$distinct_id":"u1","$set":5}]
            """#
        let reading = try SDKReading(.post("/engage", "data=\(escaped(body))&verbose=1", formType))
        #expect(
            reading.events == [
                #"u1 $set 2026-01-01T10:00:00Z  plan="pro""#, "u1 $set_once 2026-01-01T12:00:00Z  first=1",
                "u1 $set 2026-01-01T12:00:00Z  a=1",
                "u1 $set_once 2026-01-01T12:00:00Z  b=2",
            ])
        #expect(reading.claims == ["identify d -> u1 2026-01-01T12:00:00Z"])
        #expect(reading.records.map(\.isServerTimed) == [false, true, true, true, true, false, false])
        #expect(
            reading.records.map(\.ignored) == [
                [], [], ["$add is not supported"], ["$union is not supported"], ["$delete is not supported"], [], [],
            ])
        #expect(
            reading.faults.suffix(2) == [
                #"user_id: is missing or empty; the record has "$token", "$set""#, "$set: must be an object, not a number",
            ])
        #expect(reading.batch.key == "t")
        #expect(reading.answer().line == #"200 application/json {"status":1,"error":null}"#)
    }

    @Test func groups() throws {
        let body = #"""
            [{"$token":"t","$group_key":"company","$group_id":"acme","$set":{"size":3},"$time":1767261600},
             {"$token":"t","$group_key":"company","$group_id":7,"$remove":{"a":1}}, {"$token":"t","$group_key":"company"},
             {"$token":"t","$group_id":"acme"}]
            """#
        let reading = try SDKReading(.post("/groups/", body))
        #expect(reading.events == [#"$company_acme $groupidentify 2026-01-01T10:00:00Z  group_id="acme" group_type="company" size=3"#])
        #expect(reading.records[1].ignored == ["$remove is not supported"])
        #expect(reading.faults == [nil, nil, "$group_id: field required", "$group_key: field required"])
        #expect(reading.answer().line == "200 application/json 1")
    }

    @Test func campaignOfThePage() throws {
        let body = #"""
            {"event":"$mp_web_page_view","properties":{"token":"t","distinct_id":"u","time":1767261600,"$referrer":"https://t.co/",
            "current_url_search":"?utm_source=ad"}}
            """#
        #expect(
            try SDKReading(.post("/track/", body)).events == [
                #"u $mp_web_page_view 2026-01-01T10:00:00Z  $referrer="https://t.co/" current_url_search="?utm_source=ad" "#
                    + #"referrer_host="t.co" utm_source="ad""#
            ])
    }

    @Test func failures() throws {
        func line(_ path: String, _ fault: SDKFault, _ headers: [(name: String, value: String)] = []) throws -> String {
            try #require(SDKEndpoint.at(.post, path).first).answer(fault, to: .post(path, "", headers)).line
        }
        #expect(try line("/track", .malformed("x")) == #"400 application/json {"status":0,"error":"x"}"#)
        #expect(try line("/engage/", .missingKey) == #"401 application/json {"status":0,"error":"the request has no API key"}"#)
        #expect(
            try line("/import", .wrongKey)
                == #"401 application/json {"code":401,"error":"the API key is not valid for writing events","status":"invalid_api_key"}"#)
        #expect(
            try line("/import", .wrongKey, formType)
                == #"401 application/json {"status":0,"error":"the API key is not valid for writing events"}"#)
        #expect(try line("/track", .tooManyEvents(limit: 1)).hasPrefix("413 application/json {"))
        #expect(try line("/track", .rateLimited(retryAfter: 2)).hasPrefix(#"429 application/json Retry-After: 2 {"status":0,"error":"#))
        let reading = try SDKReading(.post("/track", events))
        #expect(
            reading.answer(SDKOutcome(retry: [2], retryAfter: 4)).line
                == #"503 application/json Retry-After: 4 {"status":0,"error":"some events are not stored; send the request again in 4 s"}"#)
        for body in ["", "data=", "data=%zz", "data=AAAA", "verbose=1", "{"] {
            #expect(throws: SDKFault.self) { try SDKReading(.post("/track", body)) }
        }
        for query in ["", "data=", "verbose=1", "data=%", "data=%7B"] {
            #expect(throws: SDKFault.self) { try SDKReading(.get("/track", query: query)) }
        }
    }
}

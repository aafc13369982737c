import EventSDKs
import FunnelModel
import Testing

struct PostHogTests {
    /// As the Python SDK sends it.
    private let batch = #"""
        {"batch": [
          {"properties": {"plan": "pro", "$lib": "posthog-python", "$lib_version": "7.9"}, "timestamp": "2026-01-01T10:00:00.123456+00:00",
           "distinct_id": "u1", "event": "signed up", "uuid": "id1"},
          {"properties": {"$set": {"name": "A"}}, "timestamp": "2026-01-01T10:00:01+00:00", "distinct_id": "u1",
          "event": "$set", "uuid": "id2",
           "$set": {"plan": "pro"}},
          {"properties": {}, "timestamp": "2026-01-01T10:00:02+00:00", "distinct_id": "u1", "event": "$set_once", "uuid": "id3",
           "$set_once": {"first": 1}},
          {"properties": {"distinct_id": "u1", "alias": "a1"}, "timestamp": "2026-01-01T10:00:03+00:00", "distinct_id": "u1",
           "event": "$create_alias", "uuid": "id4"},
          {"properties": {"$group_type": "company", "$group_key": "acme", "$group_set": {"size": 3}}, "event": "$groupidentify",
           "distinct_id": "$company_acme", "timestamp": "2026-01-01T10:00:04+00:00", "uuid": "id5"}
        ], "historical_migration": false, "sent_at": "2026-01-01T10:00:05+00:00", "api_key": "phc_1"}
        """#

    @Test func aBatch() throws {
        let reading = try SDKReading(.post("/batch/", batch))
        #expect(reading.batch.key == "phc_1")
        #expect(
            reading.events == [
                #"u1 signed up 2026-01-01T10:00:00.123456Z id1 $lib="posthog-python" $lib_version="7.9" plan="pro""#,
                #"u1 $set 2026-01-01T10:00:01Z id2 name="A" plan="pro""#, "u1 $set_once 2026-01-01T10:00:02Z id3 first=1",
                #"$company_acme $groupidentify 2026-01-01T10:00:04Z id5 group_id="acme" group_type="company" size=3"#,
            ])
        #expect(reading.claims == ["alias a1 -> u1 2026-01-01T10:00:03Z"])
        #expect(reading.answer().line == #"200 application/json {"status":1}"#)
    }

    /// As posthog-js sends queued events: a list with the token in each, and `offset` for the timestamp.
    @Test func eventsOfABrowser() throws {
        let events = #"""
            [{"uuid":"id1","event":"$pageview","offset":2999,"properties":{"token":"phc_1","distinct_id":"a1","$device_id":"a1",
            "$time":1767261600.5,
            "$insert_id":"x","$current_url":"https://a.example/?utm_campaign=c&gclid=g","$referrer":"https://t.co/x","utm_campaign":"own"},
            "$set_once":{"$initial_referrer":"$direct"},"$set":{"$browser":"Firefox"}},
            {"uuid":"id2","event":"$identify","offset":1,"properties":{"token":"phc_1","distinct_id":"u1","$anon_distinct_id":"a1",
            "$time":1767261601}},
            {"uuid":"id3","event":"e","properties":{"token":"phc_2","distinct_id":"u1"}},
            {"uuid":"id4","event":"e","properties":{"distinct_id":"u1"}}]
            """#
        let expected = [
            #"a1 $pageview 2026-01-01T10:00:00.500Z id1 $current_url="https://a.example/?utm_campaign=c&gclid=g" $device_id="a1" "#
                + #"$referrer="https://t.co/x" gclid="g" referrer_host="t.co" utm_campaign="own""#,
            #"a1 $set 2026-01-01T10:00:00.500Z id1/$set $browser="Firefox""#,
            #"a1 $set_once 2026-01-01T10:00:00.500Z id1/$set_once $initial_referrer="$direct""#, "u1 $identify 2026-01-01T10:00:01Z id2",
        ]
        let plain = SDKRequest.post("/e/", events, query: "ip=0&_=1767261603&ver=1.3")
        let form = SDKRequest.post(
            "/i/v0/e/", "data=" + escaped(base64(events)), query: "compression=base64&beacon=1",
            [("content-type", "application/x-www-form-urlencoded")])
        let bare = SDKRequest.post("/capture/", base64(events), query: "compression=base64")
        for request in [plain, form, bare] {
            let reading = try SDKReading(request)
            #expect(reading.events == expected)
            #expect(reading.claims == ["identify a1 -> u1 2026-01-01T10:00:01Z"])
            #expect(reading.batch.key == "phc_1")
            let other = "token: is missing, or is not the API key of the request's first event"
            #expect(reading.faults == [nil, nil, other, other])
        }
    }

    @Test func singleEvents() throws {
        let reading = try SDKReading(
            .post("/capture/", #"{"api_key":"k","event":"e","distinct_id":5,"timestamp":"2026-01-01","uuid":"i"}"#))
        #expect(reading.events == ["5 e 2026-01-01T00:00:00Z i"] && reading.batch.key == "k")
        let merge = try SDKReading(
            .post("/e", #"{"event":"$merge_dangerously","distinct_id":"u","properties":{"alias":"v"},"timestamp":"2026-01-01"}"#))
        #expect(merge.events.isEmpty && merge.claims == ["alias v -> u 2026-01-01T00:00:00Z"])
        let both = try SDKReading(
            .post(
                "/e",
                #"{"event":"$identify","distinct_id":"u","timestamp":"2026-01-01","uuid":"i","properties":{"$set":{"a":1},"#
                    + #""$set_once":{"b":2}}}"#
            ))
        #expect(both.events == ["u $identify 2026-01-01T00:00:00Z i a=1", "u $set_once 2026-01-01T00:00:00Z i/$set_once b=2"])
    }

    @Test func resultsByUUID() throws {
        let body = #"""
            {"created_at": "2026-01-01T10:00:00Z", "batch": [
              {"event": "a", "uuid": "i0", "distinct_id": "u", "timestamp": "2026-01-01T10:00:00Z",
              "options": {"process_person_profile": true}},
              {"event": "b", "uuid": "i1", "timestamp": "2026-01-01T10:00:00Z"},
              {"event": "c", "uuid": "i2", "distinct_id": "u", "timestamp": "2026-01-01T10:00:00Z", "$set": {"a": 1},
              "properties": {"$unset": ["b"]}},
              {"event": "d", "distinct_id": "u", "timestamp": "2026-01-01T10:00:00Z"},
              {"event": "e", "uuid": "i4", "distinct_id": "u", "timestamp": "2026-01-01T10:00:00Z"},
              {"event": "f", "uuid": "i0", "distinct_id": "u", "timestamp": "2026-01-01T10:00:00Z"}]}
            """#
        let reading = try SDKReading(.post("/i/v1/analytics/events", body, [("Authorization", "Bearer phc_1"), ("PostHog-Attempt", "1")]))
        #expect(reading.batch.key == "phc_1")
        #expect(reading.events[0] == "u a 2026-01-01T10:00:00Z i0")
        #expect(
            reading.answer().line
                == #"200 application/json {"results":{"i0":{"result":"ok"},"i1":{"result":"drop","details":"distinct_id: is missing or empty; "#
                + #"the record has \"event\", \"uuid\", \"timestamp\""},"i2":{"result":"warning","details":"$unset is not "#
                + ##"supported"},"#3":{"result":"ok"},"i4":{"result":"ok"}}}"##
        )
        let part = SDKOutcome(rejected: [4: EventFault("event_type", "is too long")], retry: [2, 5])
        #expect(
            reading.answer(part).line
                == #"200 application/json {"results":{"i0":{"result":"retry","details":"not stored"},"i1":{"result":"drop","#
                + #""details":"distinct_id: is missing or empty; "#
                + #"the record has \"event\", \"uuid\", \"timestamp\""},"i2":{"result":"retry","details":"not stored"},"#
                + ##""#3":{"result":"ok"},"i4":{"result":"drop","details":"event: is too long"}}}"##)
    }

    /// A record that is too long to be parsed, or no JSON, is named by its uuid all the same; without one by its index.
    @Test func resultsOfRecordsThatAreNotParsed() throws {
        let long = String(repeating: "x", count: Limits.eventTextBytes)
        let body = #"""
            {"batch": [{"event": "a", "distinct_id": "u", "timestamp": "2026-01-01T10:00:00Z", "uuid": "i0", "properties": {"p": "\#(long)"}},
              {"event": "a", "uuid": "i1", "x": tru}, {"uuid": 5, "event": }, {"event": "a", "uuid": "i3", "distinct_id": "u"}]}
            """#
        let reading = try SDKReading(.post("/i/v1/analytics/events", body, [("Authorization", "Bearer phc_1")]))
        let results = try JSONParser.parse(reading.answer().body)["results"]
        #expect((results?.asObject ?? []).map { $0.key.string } == ["i0", "i1", "#2", "i3"])
        #expect(["i0", "i1", "#2"].allSatisfy { results?[$0]?["result"] == "drop" } && results?["i3"]?["result"] == "ok")
        #expect(results?["i0"]?["details"]?.asString?.string.contains("the limit is 1048576") == true)
    }

    @Test func failures() throws {
        let endpoint = try #require(SDKEndpoint.at(.post, "/e").first)
        func line(_ fault: SDKFault) -> String { endpoint.answer(fault, to: .post("/e/", "")).line }
        #expect(
            line(.malformed("x")) == #"400 application/json {"type":"validation_error","code":"invalid_request","detail":"x","attr":null}"#)
        #expect(
            line(.wrongKey)
                == #"401 application/json {"type":"authentication_error","code":"invalid_api_key","detail":"the API key is not "#
                + #"valid for writing events","attr":null}"#
        )
        #expect(line(.tooLarge(limit: 1)).hasPrefix("413 ") && line(.unsupportedEncoding("br")).hasPrefix("415 "))
        #expect(
            line(.rateLimited(retryAfter: 7))
                == #"503 application/json Retry-After: 7 {"type":"throttled_error","code":"rate_limited","detail":"too many "#
                + #"requests; try again in 7 s","attr":null}"#
        )
        #expect(
            line(.overloaded(retryAfter: 1)).hasPrefix(#"503 application/json Retry-After: 1 {"type":"server_error","code":"overloaded""#))
        let reading = try SDKReading(.post("/batch/", batch))
        #expect(reading.answer(SDKOutcome(retry: [1])).line.hasPrefix("503 application/json Retry-After: 1 {"))
        for body in ["", "data=", "data=%", "data=###", "data=W10x", "{", "x=1", "e30x"] {
            #expect(throws: SDKFault.self, "\(body)") { try SDKReading(.post("/e/", body, query: "compression=base64")) }
        }
    }
}

import FunnelModel
import TestSupport
import Testing

import EventSDKs

/// Bodies with random damage: nothing traps, and what comes out is no larger than a small multiple of what went in.
struct MutationTests {
    private static let forms: [SDKRequest] = [
        .post(
            "/v1/batch",
            #"{"batch":[{"type":"track","event":"e","userId":"u","anonymousId":"a","timestamp":"2026-01-01T10:00:00.123Z","#
                + #""messageId":"m","properties":{"a":1.5,"b":[1,{"c":NaN}]},"#
                + #""context":{"page":{"url":"https://a.example/?utm_source=%41%zz&gclid=1","referrer":"https://u@h:1/"}}},"#
                + #"{"type":"identify","userId":7,"traits":{"a":1}},{"type":"alias","userId":"u","previousId":"a"},"#
                + #"{"type":"group","userId":"u","groupId":"g"}],"writeKey":"w"}"#
        ),
        .post(
            "/v1/p",
            #"{"userId":null,"anonymousId":"a","name":"Home","originalTimestamp":"2026-01-01","properties":{"url":"/?utm_term=t"}}"#),
        .post("/s", #"{"type":"screen","userId":"u","name":"n"}"#),
        .post(
            "/e/",
            #"[{"uuid":"i","event":"$pageview","properties":{"token":"t","distinct_id":"a","$time":1767261600.5,"#
                + #""$set":{"x":1},"$set_once":{"y":2}}},{"uuid":"j","event":"$identify","$set":{"a":1},"properties":{"token":"t","#
                + #""distinct_id":"u","$anon_distinct_id":"a"}},{"event":"$groupidentify","distinct_id":"x","#
                + #""properties":{"token":"t","$group_key":"k","$group_set":{"a":1}}}]"#
        ),
        .post("/e/", "data=" + escaped(base64(#"{"event":"e","distinct_id":"u","api_key":"k"}"#)), query: "compression=base64"),
        .post(
            "/i/v1/analytics/events",
            #"{"batch":[{"event":"e","uuid":"i","distinct_id":"u"},{"event":"$create_alias","uuid":"j","distinct_id":"u","#
                + #""properties":{"alias":"x"}}]}"#
        ),
        .post("/batch", #"{"api_key":"k","batch":[{"event":"e","distinct_id":"u"}],"events":[]}"#),
        .post(
            "/track/",
            "verbose=1&data="
                + escaped(
                    #"[{"event":"e","properties":{"token":"t","distinct_id":"$device:d","$device_id":"d","$user_id":"u","#
                        + #""time":1767261600.1234567}},{"event":"$merge","properties":{"$distinct_ids":["a","b"],"token":"t"}}]"#
                )),
        .get("/track", query: "ip=1&data=" + base64(#"{"event":"e","properties":{"token":"t","distinct_id":"u"}}"#)),
        SDKRequest(
            .post, "/import", query: "strict=1", headers: [("content-type", "application/x-ndjson"), SDKRequest.basic("s:")],
            body: Array(
                "{\"event\":\"e\",\"properties\":{\"distinct_id\":\"u\",\"time\":1e9}}\r\n{\"event\":\"f\",\"properties\":{}}\n"
                    .utf8)),
        .post("/engage", #"[{"$token":"t","$distinct_id":"u","$set":{"a":1},"$set_once":{"b":[1]},"$add":{"c":1}}]"#),
        .post("/groups", #"{"$token":"t","$group_key":"k","$group_id":"g","$set":{"a":1}}"#),
        .post(
            "/2/httpapi",
            #"{"api_key":"k","events":[{"event_type":"e","user_id":"user1","device_id":"d","time":1767261600123,"#
                + #""insert_id":"i","event_properties":{"[Amplitude] Page Location":"https://a/?utm_source=s"},"#
                + #""user_properties":{"$set":{"a":1},"$setOnce":{"b":1},"c":3}},{"event_type":"$groupidentify","groups":{"a":"b","#
                + #""c":"d"},"group_properties":{"$set":{"x":1}}}]}"#
        ),
        .post(
            "/com.snowplowanalytics.snowplow/tp2",
            #"{"schema":"x","data":[{"e":"ue","uid":"u","duid":"d","dtm":"1767261600123","ue_pr":"{\"schema\":\"s\","#
                + #"\"data\":{\"schema\":\"iglu:a/b/c/d\",\"data\":{\"x\":1}}}","co":"{\"data\":[{\"schema\":\"iglu:a/b/c/d\","#
                + #"\"data\":{\"y\":[1]}}]}"},{"e":"se","uid":"u","se_ac":"a","se_va":"1e5","res":"1x2"}]}"#
        ),
        .get(
            "/i",
            query: "e=ue&uid=u&ue_px=\(base64(#"{"data":{"schema":"iglu:a/b/c/d","data":{"x":1}}}"#, url: true))&cx=e30&dtm=1767261600123"),
        SDKRequest(
            .post, "/v1/events", headers: [("content-type", "application/cloudevents-batch+json")],
            body: Array(
                #"[{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"u","time":"2026-01-01","data_base64":"eyJhIjoxfQ=="}]"#
                    .utf8)),
        SDKRequest(
            .post, "/v1/events",
            headers: [("ce-specversion", "1.0"), ("ce-id", "%31"), ("ce-source", "s"), ("ce-type", "t"), ("ce-subject", "u")],
            body: Array(#"{"user_id":5,"a":{"b":[]}}"#.utf8)),
    ]

    private static let pieces = [
        "NaN", "-Infinity", "null", "{", "}", "[", "]", "\"", "\\", ",", ":", "%", "%zz", "&", "=", "+", "\u{0}", "\u{FEFF}", "1e999", "-0",
        "99999999999999999999", "\\ud800", "$set", "é", "\r\n", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
        "true",
    ].map { Array($0.utf8) }

    private static func mutate(_ bytes: [UInt8], _ random: inout SplitMix64) -> [UInt8] {
        var bytes = bytes
        for _ in 0...random.below(3) {
            let at = random.below(bytes.count + 1)
            let end = min(bytes.count, at + random.below(12))
            switch random.below(6) {
            case 0 where at < bytes.count: bytes[at] = UInt8(truncatingIfNeeded: random.next())
            case 1: bytes.removeSubrange(at..<end)
            case 2: bytes.insert(contentsOf: random.pick(pieces), at: at)
            case 3: bytes.replaceSubrange(at..<end, with: random.pick(pieces))
            case 4: bytes.insert(contentsOf: bytes[at..<end], at: random.below(bytes.count + 1))
            default: bytes.removeSubrange((random.chance(90) ? bytes.count : at)...)
            }
        }
        return bytes
    }

    @Test(arguments: forms.indices)
    func damageNeverTraps(form: Int) throws {
        let original = Self.forms[form]
        var random = SplitMix64(seed: UInt64(form) &+ 1)
        var accepted = 0
        let outcomes = [SDKOutcome(), SDKOutcome(rejected: [0: EventFault("timestamp", "x")], retry: [0, 1])]
        for round in 0..<3_000 {
            var request = original
            if round > 0 {
                if original.method == .post {
                    request.body = Self.mutate(original.body, &random)
                } else {
                    request.query = String(decoding: Self.mutate(Array(original.query.utf8), &random), as: UTF8.self)
                }
            }
            let size = request.body.count + request.query.utf8.count + 1_000
            let found = SDKEndpoint.at(request.method, request.path)
            #expect(!found.isEmpty)
            _ = SDKEndpoint.owner(of: request)
            for endpoint in found {
                _ = endpoint.mayBeGzip(request)
                do throws(SDKFault) {
                    let batch = try endpoint.read(request, now: serverTime, limit: 50)
                    accepted += batch.records.count { $0.rejected == nil }
                    #expect(batch.records.count <= 50)
                    var bytes = 0
                    for record in batch.records {
                        #expect(record.events.count <= 5 && record.claims.count <= 3)
                        for event in record.events {
                            bytes += event.encode().count
                            _ = SDKReading.line(event)
                        }
                    }
                    #expect(bytes <= 40 * size, "\(String(decoding: request.body, as: UTF8.self))")
                    for outcome in outcomes {
                        #expect(endpoint.answer(batch, outcome, to: request, now: serverTime).body.count <= 40 * size)
                    }
                } catch {
                    #expect(endpoint.answer(error, to: request).body.count <= 2 * size)
                }
            }
        }
        #expect(accepted > 100, "only \(accepted)")
    }
}

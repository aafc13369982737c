import EventSDKs
import FunnelModel
import Testing

struct SnowplowTests {
    private func payload(_ events: String...) -> String {
        #"{"schema":"iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4","data":[\#(events.joined(separator: ","))]}"#
    }

    private func event(_ members: String) -> String {
        #"{"p":"web","tv":"py-1.1.0","aid":"shop","eid":"i1","dtm":"1767261600123","stm":"1767261605000",\#(members)}"#
    }

    private let common = #"app_id="shop""#
    private let tail = #"platform="web""#

    @Test func eventsOfAllTypes() throws {
        let unstruct =
            #"{"schema":"iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0","#
            + #""data":{"schema":"iglu:com.acme/sign_up/jsonschema/1-0-0","data":{"plan":"pro?~","nested":{"a":1}}}}"#
        let contexts = #"""
            {"schema":"iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0","data":[
            {"schema":"iglu:com.acme/user/jsonschema/1-0-0","data":{"tier":2}}, {"schema":"iglu:com.acme/user/jsonschema/1-0-0",
            "data":{"tier":3}},
            {"schema":"iglu:com.acme/big/jsonschema/1-0-0","data":{"x":"\#(String(repeating: "x", count: 1_100))"}},
            {"schema":"iglu:com.acme/deep/jsonschema/1-0-0","data":[[[[[1]]]]]}, {"schema":"x","data":{}}, 7]}
            """#
        let reading = try SDKReading(
            .post(
                "/com.snowplowanalytics.snowplow/tp2",
                payload(
                    event(
                        #""e":"pv","duid":"d1","url":"https://a.example/?utm_source=s","page":"Home","refr":"https://t.co/x","#
                            + #""res":"1920x1080","vp":"1x2x3""#
                    ),
                    event(#""e":"pp","duid":"d1","nuid":"n1","uid":"u1","pp_miy":"5","pp_may":"","ttm":"1767261599000""#),
                    event(#""e":"se","uid":"u1","se_ca":"cart","se_ac":"add","se_la":"l","se_pr":"p","se_va":"2.50""#),
                    event(#""e":"ue","uid":"u1","ue_px":"\#(base64(unstruct, url: true))","cx":"\#(base64(contexts))""#),
                    event(#""e":"ue","uid":"u1","ue_pr":\#(quoted(unstruct)),"co":\#(quoted(contexts))"#),
                    event(#""e":"tr","uid":"u1","tr_id":"007","tr_tt":"10","tr_cu":"EUR""#),
                    event(#""e":"ti","uid":"u1","ti_id":"007","ti_sk":"s","ti_pr":"5.0","ti_qu":"2""#))))
        let tracker = #"v_tracker="py-1.1.0""#
        let own = #"u1 sign_up 2026-01-01T10:00:00.123Z i1 app_id="shop" nested.a=1 plan="pro?~" platform="web" user.tier=2 \#(tracker)"#
        #expect(
            reading.events == [
                #"d1 page_view 2026-01-01T10:00:00.123Z i1 app_id="shop" dvce_screenheight=1080 dvce_screenwidth=1920 "#
                    + #"page_referrer="https://t.co/x" "#
                    + #"page_title="Home" page_url="https://a.example/?utm_source=s" platform="web" referrer_host="t.co" "#
                    + #"utm_source="s" \#(tracker) vp="1x2x3""#,
                #"u1 page_ping 2026-01-01T09:59:59Z i1 app_id="shop" platform="web" pp_yoffset_max="" pp_yoffset_min=5 \#(tracker)"#,
                #"u1 add 2026-01-01T10:00:00.123Z i1 app_id="shop" platform="web" se_action="add" se_category="cart" se_label="l" "#
                    + #"se_property="p" se_value=2.5 \#(tracker)"#,
                own, own,
                #"u1 transaction 2026-01-01T10:00:00.123Z i1 app_id="shop" platform="web" tr_currency="EUR" tr_orderid="007" "#
                    + #"tr_total=10 \#(tracker)"#,
                #"u1 transaction_item 2026-01-01T10:00:00.123Z i1 app_id="shop" platform="web" ti_orderid="007" ti_price=5 ti_quantity=2 "#
                    + #"ti_sku="s" \#(tracker)"#,
            ])
        #expect(reading.claims == ["identify d1 -> u1 2026-01-01T09:59:59Z", "identify n1 -> u1 2026-01-01T09:59:59Z"])
        #expect(reading.records[3].ignored == ["5 of 6 entities are large, repeated or without a schema"])
        #expect(reading.batch.key == "shop")
        #expect(reading.answer().line == "200 text/plain; charset=utf-8 ok")
    }

    private func quoted(_ text: String) -> String { String(decoding: JSONValue.text(text).encode(), as: UTF8.self) }

    @Test func thePixel() throws {
        let query = "e=pv&page=Caf%C3%A9+au&url=https%3A%2F%2Fa.example%2F%3Futm_term%3Dt%2526u&duid=d&eid=i&dtm=1767261600000&aid=shop"
        for method in [SDKEndpoint.Method.get, .head] {
            let reading = try SDKReading(SDKRequest(method, "/i", query: query))
            #expect(
                reading.events == [
                    #"d page_view 2026-01-01T10:00:00Z i app_id="shop" page_title="Café au" "#
                        + #"page_url="https://a.example/?utm_term=t%26u" utm_term="t&u""#
                ])
            #expect(reading.batch.key == "shop" && reading.answer().contentType == "image/gif" && reading.answer().status == 200)
        }
        let withKey = SDKRequest(.get, "/i", query: query, headers: [SDKRequest.basic("shop:")])
        #expect(!(try SDKReading(withKey).events.joined().contains("shop\"")))
        // Everyone who may read the project would see the key.
        #expect(!(try SDKReading(.get("/i", query: query), keyInBody: true).events.joined().contains("shop\"")))
        let empty = try SDKReading(.get("/i"))
        #expect(empty.records.isEmpty && empty.answer().contentType == "image/gif")
        for broken in ["e=%", "e=pv&x=%FF", "%z=1"] { #expect(throws: SDKFault.self) { try SDKReading(.get("/i", query: broken)) } }
    }

    @Test func faultyEventsAreRejectedAlone() throws {
        let body = payload(
            event(#""uid":"u""#), event(#""e":"xx","uid":"u""#), event(#""e":"pv""#), event(#""e":"ue","uid":"u""#),
            event(#""e":"ue","uid":"u","ue_px":"*""#), event(#""e":"ue","uid":"u","ue_px":"e30""#),
            event(#""e":"ue","uid":"u","ue_pr":"{""#),
            event(#""e":"pv","uid":"u","cx":"AAAA""#), event(#""e":"se","uid":"u""#), event(#""e":"pv","uid":"u""#),
            #"{"e":"pv","uid":"u","aid":"other"}"#)
        let reading = try SDKReading(.post("/com.snowplowanalytics.snowplow/tp2/", body))
        let schema = "ue_pr: must be an event with a schema and data"
        #expect(
            Array(reading.faults.map { $0?.prefix(52) }) == [
                "e: field required", "e: \"xx\" is not supported", "user_id: is missing or empty; the record has \"p\", \"t",
                schema.prefix(52), "ue_px: is not base64", schema.prefix(52), "ue_pr: malformed JSON at byte 1: expected a member n",
                "co: malformed JSON at byte 0: not a JSON value", nil, nil, "token: is missing, or is not the API key of the requ",
            ])
        #expect(reading.events.first == "rejected: event_type: field required")
        #expect(reading.answer().line == "200 text/plain; charset=utf-8 ok")
        // With a key in the head the app id is only a property.
        let known = try SDKReading(.post("/com.snowplowanalytics.snowplow/tp2", body, [("Authorization", "Bearer k")]))
        #expect(known.batch.key == "k" && known.faults.last == .some(nil))
    }

    @Test func failures() throws {
        let endpoint = try #require(SDKEndpoint.at(.post, "/com.snowplowanalytics.snowplow/tp2").first)
        func line(_ fault: SDKFault) -> String { endpoint.answer(fault, to: .post("/com.snowplowanalytics.snowplow/tp2", "")).line }
        #expect(line(.tooLarge(limit: 5)) == "400 text/plain; charset=utf-8 the body is larger than 5 bytes, the limit")
        #expect(line(.unsupportedEncoding("x\"y")).hasPrefix("400 "))
        #expect(line(.wrongKey).hasPrefix("401 ") && line(.rateLimited(retryAfter: 1)).hasPrefix("429 "))
        #expect(
            line(.overloaded(retryAfter: 1))
                == "503 text/plain; charset=utf-8 Retry-After: 1 some events are not stored; send the request again in 1 s")
        for body in ["", "{}", "{\"data\":[1}"] {
            #expect(throws: SDKFault.self) { try SDKReading(.post("/com.snowplowanalytics.snowplow/tp2", body)) }
        }
    }
}

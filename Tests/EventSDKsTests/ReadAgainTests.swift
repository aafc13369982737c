import EventSDKs
import FunnelModel
import Testing

/// Records that were rejected, kept without their API key, repaired and read again.
struct ReadAgainTests {
    private static let key = "k-secret"

    /// A request whose record lacks its user, the field to add, and the product.
    private static let rejected: [(product: String, request: SDKRequest, repair: JSONValue.Member)] = [
        (
            "segment",
            .post("/v1/batch", #"{"batch":[{"type":"track","event":"E","messageId":"m","writeKey":"k-secret"}]}"#), .init("userId", "u")
        ),
        ("segment", .post("/v1/track", #"{"event":"E","messageId":"m","writeKey":"k-secret"}"#), .init("userId", "u")),
        (
            "posthog",
            .post("/batch/", #"{"api_key":"k-secret","batch":[{"event":"E","uuid":"m","properties":{"token":"k-secret"}}]}"#),
            .init("distinct_id", "u")
        ),
        ("posthog", .post("/e/", #"{"event":"E","uuid":"m","api_key":"k-secret"}"#), .init("distinct_id", "u")),
        (
            "mixpanel", .post("/track", #"[{"event":"E","properties":{"token":"k-secret","time":1767268800}}]"#),
            .init("properties", ["distinct_id": "u", "$insert_id": "m"])
        ),
        ("amplitude", .post("/2/httpapi", #"{"api_key":"k-secret","events":[{"event_type":"E","insert_id":"m"}]}"#), .init("user_id", "u")),
        (
            "snowplow",
            .post("/com.snowplowanalytics.snowplow/tp2", #"{"data":[{"e":"se","se_ac":"E","eid":"m","aid":"k-secret"}]}"#),
            .init("uid", "u")
        ),
        ("snowplow", .get("/i", query: "e=se&se_ac=E&eid=m&aid=k-secret"), .init("uid", "u")),
        (
            "cloudEvents",
            .post(
                "/v1/events", #"{"specversion":"1.0","type":"E","source":"s","id":"m"}"#, [("content-type", "application/cloudevents+json")]
            ),
            .init("userid", "u")
        ),
    ]

    @Test(arguments: rejected)
    func aRepairedRecordIsRead(product: String, request: SDKRequest, repair: JSONValue.Member) throws {
        let reading = try SDKReading(request, keyInBody: true)
        let record = try #require(reading.records.first)
        #expect(record.rejected != nil && record.events.isEmpty)
        let kept = String(decoding: record.source, as: UTF8.self)
        #expect(!record.source.isEmpty && !kept.contains(Self.key), "\(kept)")
        #expect("\(reading.endpoint.product)" == product)
        let document = try JSONParser.parse(record.source)
        // Rejected again as it is.
        #expect(throws: EventFault.self) {
            try SDKEndpoint.readAgain(document, product: product, path: reading.endpoint.path, time: serverTime)
        }
        let repaired = JSONValue.object((document.asObject ?? []).filter { $0.key != repair.key } + [repair])
        let again = try SDKEndpoint.readAgain(repaired, product: product, path: reading.endpoint.path, time: serverTime)
        let event = try #require(again.events.first)
        let line = SDKReading.line(event)
        #expect(line.hasPrefix("u E 2026-01-01T12:00:00Z ") && line.contains("m"), "\(line)")
        #expect(again.source.isEmpty)
    }

    @Test func unknownEndpointsAreFaults() {
        for (product, path) in [("segment", "/nowhere"), ("nobody", "/v1/batch"), ("", ""), ("posthog", "/flags")] {
            #expect(throws: EventFault.self) { try SDKEndpoint.readAgain(["a": 1], product: product, path: path, time: serverTime) }
        }
    }
}

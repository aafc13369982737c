import FunnelModel

extension SDKEndpoint {
    /// All endpoints. Each path is served with and without `/` at its end (`paths`). Two rows of one method and path belong to two
    /// products (`owner(of:)`).
    package static let all: [SDKEndpoint] = segment + posthog + mixpanel + amplitude + snowplow + cloudEvents

    private static let segment: [SDKEndpoint] = {
        let keys: [KeyPlace] = [.basic, .body("writeKey"), .event("writeKey")]
        let batches = ["/v1/batch", "/v1/import", "/b", "/v1/b"]
        let settings = ["/v1/projects/{key}/settings", "/projects/{key}/settings"]
        return rows(.segment, .post, batches, .segmentBatch, [.json], keys, .plain)
            // A page that is left sends by `sendBeacon`, which has no header fields.
            + rows(.segment, .post, ["/beacon/v1/batch"], .segmentBatch, [.json], [.query("writeKey")] + keys, .plain)
            + SegmentCall.allCases.flatMap { call in
                let letter = call.rawValue.prefix(1)
                return rows(.segment, .post, ["/v1/\(call)", "/\(letter)", "/v1/\(letter)"], .segmentCall(call), [.json], keys, .plain)
            }
            + rows(.segment, .get, settings, .segmentSettings, [], [.path], .plain)
    }()

    private static let posthog: [SDKEndpoint] = {
        let keys: [KeyPlace] = [
            .bearer, .body("api_key"), .body("token"), .event("properties.token"), .event("token"), .event("api_key"),
        ]
        // The fallback of posthog-js without `fetch` sends credentials.
        let browsers = BrowserAccess.withCredentials
        return rows(.posthog, .post, ["/batch", "/e", "/capture", "/i/v0/e"], .posthogCapture, [.json, .form], keys, browsers)
            + rows(.posthog, .post, ["/i/v1/analytics/events"], .posthogResults, [.json], keys, browsers)
            + rows(.posthog, .post, ["/flags", "/decide"], .posthogFlags, [], [], browsers)
            + rows(.posthog, .get, ["/array/{key}/config"], .posthogConfig, [], [.path], browsers)
            + rows(.posthog, .get, ["/array/{key}/config.js"], .posthogScript, [], [.path], browsers)
            + rows(.posthog, .post, ["/s"], .posthogRecording, [], [], browsers)
    }()

    private static let mixpanel: [SDKEndpoint] = {
        let token: [KeyPlace] = [.event("properties.token"), .event("$token"), .basic]
        return rows(.mixpanel, .post, ["/track"], .mixpanelTrack, [.form, .json], token, .withCredentials)
            + rows(.mixpanel, .get, ["/track"], .mixpanelTrack, [.query], token, .withCredentials)
            + rows(.mixpanel, .post, ["/engage"], .mixpanelEngage, [.form, .json], token, .withCredentials)
            + rows(.mixpanel, .post, ["/groups"], .mixpanelGroups, [.form, .json], token, .withCredentials)
            + rows(
                .mixpanel, .post, ["/import"], .mixpanelImport, [.json, .lines, .form],
                [.basic, .bearer, .body("api_key"), .event("properties.token")], .none)
    }()

    private static let amplitude = rows(
        .amplitude, .post, ["/2/httpapi", "/batch"], .amplitudeUpload, [.json], [.body("api_key")], .plain)

    private static let snowplow: [SDKEndpoint] = {
        // Trackers send no key; their app id is the only text that an owner sets in each of them.
        let keys: [KeyPlace] = [.bearer, .basic, .event("aid")]
        return rows(
            .snowplow, .post, ["/com.snowplowanalytics.snowplow/tp2"], .snowplowPayload, [.json], keys, .withCredentials)
            + rows(.snowplow, .get, ["/i"], .snowplowPixel, [.query], keys, .withCredentials)
            + rows(.snowplow, .head, ["/i"], .snowplowPixel, [.query], keys, .withCredentials)
            + rows(.snowplow, .get, ["/health"], .snowplowHealth, [], [], .none)
    }()

    private static let cloudEvents = rows(
        .cloudEvents, .post, ["/v1/events"], .cloudEvents, [.json, .data], [.bearer, .basic], .none)

    private static func rows(
        _ product: SDKProduct, _ method: Method, _ paths: [String], _ call: Call, _ bodies: [BodyForm], _ keys: [KeyPlace],
        _ browsers: BrowserAccess
    ) -> [SDKEndpoint] {
        paths.map {
            SDKEndpoint(method: method, path: $0, product: product, call: call, bodies: bodies, keys: keys, browsers: browsers)
        }
    }
}

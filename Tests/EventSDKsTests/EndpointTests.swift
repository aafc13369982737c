import EventSDKs
import FunnelModel
import Testing

struct EndpointTests {
    private func call(_ request: SDKRequest) -> SDKEndpoint.Call? { SDKEndpoint.owner(of: request)?.call }

    @Test func everyPathIsFoundWithAndWithoutASlash() {
        for endpoint in SDKEndpoint.all {
            for path in endpoint.paths {
                let filled = path.replacing("{key}", with: "k1")
                #expect(SDKEndpoint.at(endpoint.method, filled).contains(endpoint), "\(endpoint.method) \(filled)")
            }
        }
        #expect(SDKEndpoint.at(.post, "/v1/elsewhere").isEmpty)
        #expect(SDKEndpoint.at(.get, "/v1/batch").isEmpty)
        #expect(SDKEndpoint.at(.get, "/").isEmpty && SDKEndpoint.at(.get, "").isEmpty)
    }

    @Test func onlyThreePathsHaveTwoOwners() {
        var counts: [String: Int] = [:]
        for endpoint in SDKEndpoint.all { counts["\(endpoint.method.rawValue) \(endpoint.path)", default: 0] += 1 }
        #expect(counts.filter { $0.value > 1 } == ["POST /batch": 2, "POST /s": 2])
        // The third is told apart by its method.
        #expect(call(.post("/i", "{}")) == .segmentCall(.identify))
        #expect(call(.get("/i", query: "e=pv")) == .snowplowPixel)
        #expect(call(SDKRequest(.head, "/i", query: "e=pv")) == .snowplowPixel)
    }

    @Test func batchBelongsToPostHogOrAmplitude() {
        #expect(call(.post("/batch/", #"{"api_key":"k","batch":[{}]}"#)) == .posthogCapture)
        #expect(call(.post("/batch", #"{"api_key":"k","batch":[]}"#)) == .posthogCapture)
        #expect(call(.post("/batch", "data=" + escaped(#"{"event":"a"}"#))) == .posthogCapture)
        #expect(call(.post("/batch", #"{"api_key":"k","events":[{}],"options":{}}"#)) == .amplitudeUpload)
        #expect(call(.post("/batch/", #"{"api_key":"k","events":[{"event_type":"batch","x":NaN}]}"#)) == .amplitudeUpload)
        // Unreadable: Amplitude's SDK needs JSON, and PostHog's paths end in a slash.
        #expect(call(.post("/batch", "{")) == .amplitudeUpload)
        #expect(call(.post("/batch/", "{")) == .posthogCapture)
        #expect(call(.post("/batch", "")) == .amplitudeUpload)
    }

    @Test func screenBelongsToSegmentOrPostHog() {
        #expect(call(.post("/s", #"{"type":"screen","name":"Home","anonymousId":"a","userId":null}"#)) == .segmentCall(.screen))
        #expect(call(.post("/s", "{", [SDKRequest.basic("key:")])) == .segmentCall(.screen))
        #expect(call(.post("/s/", #"[{"event":"$snapshot","properties":{"token":"t"}}]"#)) == .posthogRecording)
        #expect(call(.post("/s/", #"{"event":"$snapshot","type":"x","api_key":"k"}"#)) == .posthogRecording)
        #expect(call(.post("/s/", "data=eyJ9", query: "compression=base64")) == .posthogRecording)
        #expect(call(.post("/v1/s", "[")) == .segmentCall(.screen))
    }

    @Test func nativeEventsAreNoCloudEvents() {
        #expect(call(.post("/v1/events", "[]", [("Content-Type", "application/json")])) == nil)
        #expect(call(.post("/v1/events", "", [("CE-SpecVersion", "1.0")])) == .cloudEvents)
        #expect(call(.post("/v1/events", "", [("content-type", "Application/CloudEvents-Batch+JSON; charset=utf-8")])) == .cloudEvents)
    }

    @Test func keysOfHeads() throws {
        func key(_ request: SDKRequest) throws -> ByteString? {
            try #require(SDKEndpoint.owner(of: request)).key(inHeadOf: request)
        }
        #expect(try key(.post("/v1/batch", "", [SDKRequest.basic("w1:")])) == "w1")
        #expect(try key(.post("/v1/batch", "", [SDKRequest.basic("w1")])) == "w1")
        #expect(try key(.post("/v1/batch", "", [("authorization", "Basic %%%")])) == nil)
        #expect(try key(.post("/v1/batch", "", [("authorization", "Basic")])) == nil)
        #expect(try key(.post("/v1/batch", "", [("authorization", "Bearer w1")])) == nil)
        #expect(try key(.post("/i/v1/analytics/events", "", [("authorization", "bearer phc_1")])) == "phc_1")
        #expect(try key(.post("/beacon/v1/batch", "", query: "writeKey=w%201&v=1")) == "w 1")
        #expect(try key(.post("/v1/batch", "", query: "writeKey=w1")) == nil)
        #expect(try key(.get("/v1/projects/w%201/settings/")) == "w 1")
        #expect(SDKEndpoint.owner(of: .get("/v1/projects/w%/settings")) == nil)
        #expect(try key(.get("/array/phc_1/config.js")) == "phc_1")
    }

    @Test func gzipOfPostHogIsAnnouncedByTheQuery() throws {
        let endpoint = try #require(SDKEndpoint.at(.post, "/e/").first)
        func mayBeGzip(_ endpoint: SDKEndpoint, _ query: String, _ headers: [(name: String, value: String)] = []) -> Bool {
            endpoint.mayBeGzip(SDKRequest(.post, endpoint.path, query: query, headers: headers))
        }
        #expect(mayBeGzip(endpoint, "compression=gzip-js&ip=0&_=1&ver=1.2"))
        #expect(mayBeGzip(endpoint, "compression=gzip"))
        #expect(!mayBeGzip(endpoint, "compression=gzip-js", [("Content-Encoding", "gzip")]))
        #expect(!mayBeGzip(endpoint, "compression=base64"))
        #expect(!mayBeGzip(endpoint, "compression=%gz"))
        #expect(!mayBeGzip(try #require(SDKEndpoint.at(.post, "/track").first), "compression=gzip-js"))
    }

    @Test func fixedAnswers() throws {
        func line(_ request: SDKRequest) throws -> String {
            let endpoint = try #require(SDKEndpoint.owner(of: request))
            #expect(!endpoint.takesEvents)
            return try #require(endpoint.fixedAnswer(to: request)).line
        }
        for path in ["/v1/projects/w1/settings", "/projects/w1/settings/"] {
            #expect(
                try line(.get(path))
                    == #"200 application/json {"integrations":{"Segment.io":{"apiKey":"w1"}},"plan":{"track":{}},"edgeFunction":{}}"#)
        }
        let flags =
            #"200 application/json {"config":{"enable_collect_everything":false},"supportedCompression":["gzip-js","base64"],"#
            + #""hasFeatureFlags":false,"flags":{},"featureFlags":{},"featureFlagPayloads":{},"errorsWhileComputingFlags":false,"#
            + #""sessionRecording":false,"surveys":false,"siteApps":[],"toolbarParams":{},"isAuthenticated":false}"#
        #expect(try line(.post("/flags/", #"{"distinct_id":"u"}"#, query: "v=2")) == flags)
        #expect(try line(.post("/decide/", "", query: "v=3")) == flags)
        #expect(try line(.get("/array/phc_1/config")) == flags)
        #expect(try line(.get("/array/phc_1/config.js")) == "200 application/javascript ")
        #expect(try line(.post("/s/", "[]", query: "compression=gzip-js")) == #"200 application/json {"status":1}"#)
        #expect(try line(.get("/health")) == "200 text/plain; charset=utf-8 ok")
        for endpoint in SDKEndpoint.all where endpoint.takesEvents {
            #expect(endpoint.fixedAnswer(to: .get(endpoint.path)) == nil)
            #expect(!endpoint.keys.isEmpty)
        }
    }
}

import Codec
import EventSDKs
import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// The endpoints of other products' SDKs, over HTTP.
    struct SDKEndpointTests {
        private static let endpoints = SDKEndpoint.all.filter(\.takesEvents)

        static let environment = [
            "SLUICE_WRITE_KEYS": "write-key-of-project-1,2:write-key-of-project-2",
            "SLUICE_READ_KEYS": "read-key-of-project-1,2:read-key-of-project-2", "SLUICE_ADMIN_KEYS": "admin-key-of-project-1",
        ]

        /// A key, and the project that it writes to.
        private static let keys: [(text: String, project: Int?)] = [
            ("wrong-key-of-nobody", nil), ("read-key-of-project-1", nil), ("write-key-of-project-1", 1), ("write-key-of-project-2", 2),
            ("admin-key-of-project-1", 1),
        ]

        /// The statuses that make a product's SDKs drop a request.
        private struct Refusals {
            var key = 401
            var encoding = 415
            var size = 413
            /// Not dropped: sent again later.
            var rate = 429
        }

        private static let refusals: [SDKProduct: Refusals] = [
            .segment: Refusals(encoding: 400, size: 400), .posthog: Refusals(rate: 503), .mixpanel: Refusals(),
            .amplitude: Refusals(key: 400, encoding: 400, rate: 503), .snowplow: Refusals(encoding: 400, size: 400),
            .cloudEvents: Refusals(),
        ]

        /// One endpoint for each product, with a body.
        private static let samples = SDKProduct.allCases.compactMap { product in
            endpoints.first { $0.product == product && $0.method == .post }
        }

        // MARK: - Helpers

        func call(
            _ endpoint: SDKEndpoint, _ user: String, as form: SDKEndpoint.BodyForm? = nil, key: SDKCall.Key? = nil
        ) throws -> SDKCall {
            let event = try #require(SDKCall.event(endpoint.call, user: user, id: "id-\(user)"), "no event for \(endpoint.path)")
            let form = try form ?? #require(endpoint.bodies.contains(.json) ? .json : endpoint.bodies.first)
            return try SDKCall(endpoint, [event], as: form, key: key)
        }

        /// The users with rows.
        func users(_ cluster: Cluster, key: String? = nil) async throws -> Set<String> {
            let body: JSONValue = [
                "funnel": ["steps": [["name": "all", "events": SDKCall.names]]], "step": 1, "outcome": "reached", "limit": 10_000,
            ]
            let answer = try await HTTP.call("POST", cluster.coordinatorHTTP, "/v1/query/users", body: body.encode(), key: key)
            guard answer.status == 200 else { throw Trouble("users: \(answer.status) \(answer.text)") }
            return Set(answer.json["users"]?.asArray?.compactMap { $0.asString?.string } ?? [])
        }

        /// The number of users with a row, and of those with two.
        func counts(_ cluster: Cluster, more: [JSONValue.Member] = []) async throws -> [Int] {
            let steps: JSONValue = [["name": "first", "events": SDKCall.names], ["name": "second", "events": SDKCall.names]]
            let funnel: JSONValue = ["steps": steps, "conversion_order": ["flexible": ["limit": "1s"]]]
            return Report(try await cluster.query(.object([.init("funnel", funnel)] + more))).counts
        }

        func expectSame(_ found: Set<String>, _ wanted: Set<String>) {
            let (lost, other) = (wanted.subtracting(found).sorted(), found.subtracting(wanted).sorted())
            #expect(lost.isEmpty && other.isEmpty)
        }

        func expectSuccess(_ answer: HTTP.Answer, _ call: SDKCall) {
            #expect(
                answer.status == 200 && answer.text.hasPrefix(call.success),
                "\(call.endpoint.method) \(call.path) \(call.form): \(answer.status) \(answer.text)")
        }

        private func expectRefusal(_ answer: HTTP.Answer, _ call: SDKCall, _ fault: SDKFault, _ status: KeyPath<Refusals, Int>) {
            let isRefused = call.isRefused(answer, for: fault, status: Self.refusals[call.endpoint.product]?[keyPath: status])
            let request = "\(call.endpoint.method) \(call.path) \(call.form) \(call.headers["Authorization"] ?? "")"
            #expect(isRefused, "\(fault): \(request): \(answer.status) \(answer.text)")
        }

        // MARK: - Keys

        /// Why a key may not send a request. That of an admin may not be in a URL.
        private static func fault(ofKey key: String?) -> SDKFault {
            guard let key else { return .missingKey }
            if key.hasPrefix("read") { return .refusedKey("the API key has the role read; this needs the role write or admin") }
            guard key.hasPrefix("admin") else { return .wrongKey }
            return .refusedKey("an API key in a URL must have the role write; this one has the role admin")
        }

        @Test func keysOpenTheirProjectOnEveryEndpoint() async throws {
            try await Cluster.with(shards: 2, environment: Self.environment) { cluster in
                let ended = try await EndedKeys(cluster, admin: "admin-key-of-project-1")
                let keys = Self.keys + [(ended.expired, nil), (ended.revoked, nil)]
                var stored: [Int: Set<String>] = [1: [], 2: []]
                var number = 0
                func send(_ endpoint: SDKEndpoint, _ form: SDKEndpoint.BodyForm, _ key: SDKCall.Key?, _ project: Int?) async throws {
                    // Both spellings store; a redirect would be another status than 200.
                    for path in project == nil ? [nil] : endpoint.paths.map(Optional.some) {
                        number += 1
                        var call = try call(endpoint, "u\(number)", as: form, key: key)
                        call.path = path ?? call.path
                        // Each address may guess ten keys at once.
                        let source = project == nil ? "127.1.\(number / 250).\(number % 250 + 1)" : nil
                        let answer = try await call.send(to: cluster, from: source)
                        if let project {
                            expectSuccess(answer, call)
                            if let user = SDKCall.storedUser(endpoint.call, "u\(number)") { stored[project]?.insert(user) }
                        } else {
                            expectRefusal(answer, call, Self.fault(ofKey: key?.text), \.key)
                        }
                    }
                }
                for endpoint in Self.endpoints {
                    for form in endpoint.bodies {
                        try await send(endpoint, form, nil, nil)
                        for place in endpoint.keys where SDKCall.canHold(place, endpoint, form) {
                            for key in keys {
                                // An admin key in a URL would be in the logs of proxies. Records of a GET are in its URL.
                                var isInURL = place.isInURL
                                if case .event = place, endpoint.method != .post { isInURL = true }
                                let project = isInURL && key.text.hasPrefix("admin") ? nil : key.project
                                try await send(endpoint, form, .init(place: place, text: key.text), project)
                            }
                        }
                    }
                }
                for (project, wanted) in stored { expectSame(try await users(cluster, key: "read-key-of-project-\(project)"), wanted) }
            }
        }

        @Test func anAddressThatGuessesKeysMustWait() async throws {
            try await Cluster.with(shards: 1, environment: Self.environment) { cluster in
                for (number, endpoint) in Self.samples.enumerated() {
                    let place = try #require(endpoint.keys.first)
                    let call = try call(endpoint, "u", key: .init(place: place, text: "wrong-key-of-nobody"))
                    var answer = try await call.send(to: cluster, from: "127.2.0.\(number + 1)")
                    for _ in 0..<20 where answer.headers["retry-after"] == nil {
                        answer = try await call.send(to: cluster, from: "127.2.0.\(number + 1)")
                    }
                    #expect(answer.headers["retry-after"] == "1")
                    expectRefusal(answer, call, .rateLimited(retryAfter: 1), \.rate)
                }
            }
        }

        // MARK: - Paths and bodies

        @Test func sharedPathsBelongToTheProductOfTheRequest() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let shared = Self.endpoints.filter { ["/batch", "/s", "/i", "/v1/events"].contains($0.path) }
                #expect(shared.map(\.product) == [.segment, .segment, .posthog, .amplitude, .snowplow, .snowplow, .cloudEvents])
                var wanted: Set<String> = []
                for (number, endpoint) in shared.enumerated() {
                    for path in endpoint.paths {
                        let user = "\(number) \(path)"
                        var call = try call(endpoint, user)
                        call.path = path
                        expectSuccess(try await call.send(to: cluster), call)
                        wanted.insert(user)
                    }
                }
                for slash in ["", "/"] {
                    let recording = try await PlainHTTP.call(
                        "POST", cluster.ingestHTTP, "/s\(slash)", body: Array(#"[{"event":"$snapshot","properties":{"token":"t"}}]"#.utf8))
                    #expect(recording.status == 200 && recording.text == #"{"status":1}"#)
                    let events = JSONValue.array([event("native\(slash)", "paid", 0)])
                    let native = try await PlainHTTP.call(
                        "POST", cluster.ingestHTTP, "/v1/events\(slash)", body: events.encode(),
                        headers: ["Content-Type": "application/json"])
                    #expect(native.status == 200 && native.json == ["accepted": 1, "rejected": []])
                    wanted.insert("native\(slash)")
                }
                expectSame(try await users(cluster), wanted)
            }
        }

        @Test func headOfThePixelStoresTheEventOnce() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let head = try #require(Self.endpoints.first { $0.method == .head })
                var call = try call(head, "u")
                // Without an id a second row would be another event.
                call.query = call.query.replacing("&eid=id%2Du", with: "")
                let answer = try await call.send(to: cluster)
                #expect(answer.status == 200 && answer.body.isEmpty && answer.headers["content-type"] == "image/gif")
                #expect(try await counts(cluster) == [1, 0])
            }
        }

        #if Zstd
            private static let unreadEncodings = ["br"]
        #else
            private static let unreadEncodings = ["br", "zstd"]
        #endif

        @Test func bodiesMayBeCompressed() async throws {
            try await Cluster.with(shards: 2, environment: ["SLUICE_BODY_MB": "1"]) { cluster in
                var wanted: Set<String> = []
                let bomb = try #require(Gzip.encode([UInt8](repeating: 32, count: 2 << 20)))
                for endpoint in Self.samples {
                    let call = try call(endpoint, "\(endpoint.product)")
                    var encodings: [(name: String, field: String?, query: String, encode: ([UInt8]) -> [UInt8]?)] = [
                        ("gzip", "gzip", "", Gzip.encode), ("deflate", "deflate", "", zlib), ("identity", "identity", "", { $0 }),
                    ]
                    if endpoint.product == .posthog {
                        encodings.append(("gzip-js", nil, "compression=gzip-js&ip=0", Gzip.encode))
                        encodings.append(("announced", nil, "compression=gzip-js", { $0 }))
                    }
                    for encoding in encodings {
                        let user = "\(endpoint.product) \(encoding.name)"
                        var packed = try self.call(endpoint, user)
                        packed.headers["Content-Encoding"] = encoding.field
                        packed.query = encoding.query
                        let body: [UInt8] = try #require(packed.body.flatMap(encoding.encode))
                        packed.body = body
                        expectSuccess(try await packed.send(to: cluster), packed)
                        wanted.insert(user)
                        guard encoding.name.hasPrefix("gzip") else { continue }
                        packed.body = bomb
                        expectRefusal(try await packed.send(to: cluster), packed, .tooLarge(limit: 1 << 20), \.size)
                    }
                    for name in Self.unreadEncodings {
                        var other = call
                        other.headers["Content-Encoding"] = name
                        expectRefusal(try await other.send(to: cluster), other, .unsupportedEncoding(name), \.encoding)
                    }
                }
                expectSame(try await users(cluster), wanted)
            }
        }
    }
}

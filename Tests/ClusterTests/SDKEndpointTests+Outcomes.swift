import EventSDKs
import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite.SDKEndpointTests {
    /// An endpoint that takes several events, and what it answers.
    private struct Batch {
        let endpoint: SDKEndpoint
        var query = ""
        /// Status and texts of the answer to three events, of which the second has no user.
        var status = 200
        let texts: [String]

        init(_ product: SDKProduct, _ path: String, query: String = "", status: Int = 200, _ texts: String...) throws {
            endpoint = try #require(SDKEndpoint.at(.post, path).first { $0.product == product }, "\(path)")
            (self.query, self.status, self.texts) = (query, status, texts)
        }

        func user(_ number: Int) -> String { "\(endpoint.path)?\(query) \(number)" }

        func id(_ user: String) -> String { "id \(user)" }

        func call(_ users: [String]) throws -> SDKCall {
            let events = try users.map { try #require(SDKCall.event(endpoint.call, user: $0, id: id($0))) }
            var call = try SDKCall(endpoint, events, as: .json)
            call.query = query
            return call
        }

        /// Status and texts of the answer if the events with some indexes, of `count`, are not stored.
        func answer(without indexes: [Int], of count: Int) -> (status: Int, texts: [String]) {
            let list = "[\(indexes.map(String.init).joined(separator: ","))]"
            switch endpoint.product {
            case .posthog where endpoint.call == .posthogResults:
                return (200, (0..<count).map { #""\#(id(user($0)))":{"result":"\#(indexes.contains($0) ? "retry" : "ok")""# })
            case .amplitude: return (429, [#""throttled_events":\#(list)"#])
            case .cloudEvents: return (503, [#""retry":\#(list)"#])
            case .segment, .posthog, .mixpanel, .snowplow: return (503, [])
            }
        }
    }

    private static func batches() throws -> [Batch] {
        [
            try Batch(.segment, "/v1/batch", #"{"success":true}"#),
            try Batch(.posthog, "/batch", #"{"status":1}"#),
            try Batch(.posthog, "/i/v1/analytics/events", #""id ":{"result":"drop","#),
            try Batch(.mixpanel, "/track", "1"),
            try Batch(.mixpanel, "/engage", "1"),
            try Batch(.mixpanel, "/groups", "1"),
            try Batch(.mixpanel, "/import", #"{"code":200,"num_records_imported":2,"#),
            try Batch(
                .mixpanel, "/import", query: "strict=1", status: 400, #"{"code":400,"#,
                #""failed_records":[{"index":1,"insert_id":"id ","field":"properties.distinct_id","#, #""num_records_imported":2,"#),
            try Batch(.amplitude, "/2/httpapi", #"{"code":200,"events_ingested":2,"#, #"{"user_id":[1]}"#),
            try Batch(.snowplow, "/com.snowplowanalytics.snowplow/tp2", "ok"),
            try Batch(.cloudEvents, "/v1/events", #"{"accepted":2,"rejected":[{"index":1,"reason":"#),
        ]
    }

    // MARK: - Batches

    @Test func aBadEventIsRejectedAloneAndARepeatCountsOnce() async throws {
        try await Cluster.with(shards: 2) { cluster in
            var wanted: Set<String> = []
            for batch in try Self.batches() {
                let good = [batch.user(0), batch.user(2)]
                let call = try batch.call([good[0], "", good[1]])
                for _ in 0..<2 {
                    let answer = try await call.send(to: cluster)
                    #expect(
                        answer.status == batch.status && batch.texts.allSatisfy { answer.text.contains($0) },
                        "\(call.path): \(answer.status) \(answer.text)")
                }
                wanted.formUnion(good.compactMap { SDKCall.storedUser(batch.endpoint.call, $0) })
            }
            expectSame(try await users(cluster), wanted)
            #expect(try await counts(cluster) == [wanted.count, 0])
        }
    }

    @Test func aMissingShardMakesTheSDKSendAgain() async throws {
        try await Cluster.with(shards: 2) { try await sendAgain(to: $0) }
    }

    private func sendAgain(to cluster: Cluster) async throws {
        let batches = try Self.batches()
        let count = 12
        let calls = try batches.map { batch in try batch.call((0..<count).map(batch.user)) }
        let stored = batches.map { batch in (0..<count).compactMap { SDKCall.storedUser(batch.endpoint.call, batch.user($0)) } }
        let isAway = stored.map { $0.map { ClusterMap.bucket(ofUser: ByteString($0)) >= 512 } }
        // Stopped, not killed: it would be started again. It neither answers nor refuses.
        let shard = cluster.pid("shard-1")
        kill(shard, SIGSTOP)
        defer { kill(shard, SIGCONT) }
        let answers = try await Self.answers(of: calls, cluster)
        for (number, batch) in batches.enumerated() {
            let answer = try #require(answers[number])
            let indexes = (0..<count).filter { isAway[number][$0] }
            #expect(!indexes.isEmpty && indexes.count < count)
            let wanted = batch.answer(without: indexes, of: count)
            #expect(
                answer.status == wanted.status && wanted.texts.allSatisfy { answer.text.contains($0) }
                    && answer.headers["retry-after"] == (answer.status == 200 ? nil : "1"),
                "\(calls[number].path): \(answer.status) \(answer.headers) \(answer.text)")
        }
        let there = isAway.joined().filter { !$0 }.count
        #expect(try await counts(cluster, more: [.init("deadline", "1s"), .init("allow_partial", true)]) == [there, 0])
        kill(shard, SIGCONT)
        for call in calls {
            var isStored = false
            for _ in 0..<200 where !isStored {
                let answer = try await call.send(to: cluster)
                isStored = answer.status == 200 && !answer.text.contains(#""retry""#)
                if !isStored { try await Task.sleep(for: .milliseconds(50)) }
            }
            #expect(isStored, "\(call.path)")
        }
        expectSame(try await users(cluster), Set(stored.joined()))
        #expect(try await counts(cluster) == [calls.count * count, 0])
    }

    /// The answers by the index of the call; all calls run at the same time.
    private static func answers(of calls: [SDKCall], _ cluster: Cluster) async throws -> [Int: HTTP.Answer] {
        try await withThrowingTaskGroup(of: (Int, HTTP.Answer).self, returning: [Int: HTTP.Answer].self) { group in
            for (number, call) in calls.enumerated() { group.addTask { (number, try await call.send(to: cluster)) } }
            var answers: [Int: HTTP.Answer] = [:]
            for try await (number, answer) in group { answers[number] = answer }
            return answers
        }
    }

    // MARK: - Web pages

    /// Whether a page may read an answer. If two products share a path, the preflight may allow more than one of them needs.
    private static func mayRead(_ answer: HTTP.Answer, _ origin: String, _ access: SDKEndpoint.BrowserAccess) -> Bool {
        let allowed = answer.headers["access-control-allow-origin"]
        let isWithCredentials =
            allowed == origin && answer.headers["access-control-allow-credentials"] == "true" && answer.headers["vary"] == "Origin"
        switch access {
        case .none: return allowed == nil
        case .plain: return allowed == "*" || isWithCredentials
        case .withCredentials: return isWithCredentials
        }
    }

    private func preflight(
        _ cluster: Cluster, _ path: String, _ method: SDKEndpoint.Method, from origin: String
    ) async throws -> HTTP.Answer {
        let asked = ["Access-Control-Request-Method": method.rawValue, "Access-Control-Request-Headers": "content-type,x-own"]
        return try await PlainHTTP.call("OPTIONS", cluster.ingestHTTP, path, headers: asked.merging(["Origin": origin]) { $1 })
    }

    @Test func pagesMaySendEventsWithAKey() async throws {
        try await Cluster.with(shards: 1, environment: Self.environment) { cluster in
            let origin = "https://shop.example"
            for endpoint in SDKEndpoint.all {
                for path in endpoint.paths.map({ $0.replacing("{key}", with: "write-key-of-project-1") }) {
                    let asked = try await preflight(cluster, path, endpoint.method, from: origin)
                    let isOpen = endpoint.browsers != .none
                    #expect(asked.status == (isOpen ? 204 : 405) && Self.mayRead(asked, origin, endpoint.browsers), "\(path): \(asked)")
                    if isOpen {
                        #expect(asked.headers["access-control-allow-headers"] == "content-type,x-own")
                        #expect(asked.headers["access-control-allow-methods"] == "GET, POST, OPTIONS")
                    }
                    guard endpoint.takesEvents else {
                        let fixed = try await PlainHTTP.call(
                            endpoint.method.rawValue, cluster.ingestHTTP, path, headers: ["Origin": origin])
                        #expect(fixed.status == 200 && Self.mayRead(fixed, origin, endpoint.browsers), "\(path): \(fixed)")
                        continue
                    }
                    // The refusal too: an SDK that cannot read it would send again.
                    for key in [SDKCall.Key(place: try #require(endpoint.keys.first), text: "write-key-of-project-1"), nil] {
                        var call = try call(endpoint, "u", key: key)
                        call.path = path
                        call.headers["Origin"] = origin
                        let answer = try await call.send(to: cluster)
                        if key != nil { expectSuccess(answer, call) }
                        #expect(Self.mayRead(answer, origin, endpoint.browsers), "\(path): \(answer)")
                    }
                }
            }
        }
    }

    @Test func withoutKeysOnlyLocalPagesMaySendEvents() async throws {
        try await Cluster.with(shards: 1) { cluster in
            var wanted: Set<String> = []
            for (number, endpoint) in SDKEndpoint.all.enumerated() where endpoint.takesEvents {
                func send(_ headers: [String: String], _ user: String) async throws -> (HTTP.Answer, SDKCall) {
                    var call = try call(endpoint, user)
                    call.headers.merge(headers) { $1 }
                    return (try await call.send(to: cluster), call)
                }
                var others = [["Origin": "http://evil.example"], ["Origin": "null"], ["Host": "evil.example:8080"]]
                // An old browser sends an image's page in this header alone.
                others.append(["Referer": "http://evil.example/page?q=1"])
                var own = [["Origin": "http://localhost:3000"]]
                // An image has no Origin.
                if endpoint.method != .post {
                    others.append(["Sec-Fetch-Site": "cross-site"])
                    own.append(["Sec-Fetch-Site": "same-site"])
                }
                for headers in others {
                    let answer = try await send(headers, "evil").0
                    // The SDK drops either; a person who reads the answer learns that no key is at fault.
                    let says = endpoint.method == .head || answer.text.contains("without keys this service answers to")
                    #expect([400, 403].contains(answer.status) && says, "\(endpoint.path) \(headers): \(answer.status) \(answer.text)")
                }
                guard endpoint.browsers != .none else { continue }
                #expect(try await preflight(cluster, endpoint.path, endpoint.method, from: "http://evil.example").status == 403)
                #expect(try await preflight(cluster, endpoint.path, endpoint.method, from: "http://localhost:3000").status == 204)
                for (kind, headers) in own.enumerated() {
                    let user = "u\(number)-\(kind)"
                    let (answer, call) = try await send(headers, user)
                    expectSuccess(answer, call)
                    if let stored = SDKCall.storedUser(endpoint.call, user) { wanted.insert(stored) }
                }
            }
            expectSame(try await users(cluster), wanted)
        }
    }
}

import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// What the coordinator does for browsers: files, sessions, answers that follow the data.
    struct DashboardServiceTests {
        private static let funnel: JSONValue = ["funnel": ["steps": ["a", "b"]]]

        @Test func filesComeFromMemoryUnderAStrictPolicy() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let page = try await HTTP.call("GET", cluster.coordinatorHTTP, "/")
                #expect(page.status == 200 && page.headers["content-type"]?.hasPrefix("text/html") == true)
                let policy = page.headers["content-security-policy"] ?? ""
                #expect(policy.contains("default-src 'none'") && !policy.contains("unsafe"))
                #expect(!page.text.contains("/assets/@/"))
                let links = page.text.matches(of: /"(\/assets\/[^"]+)"/).map { String($0.output.1) }
                #expect(!links.isEmpty)
                for link in links {
                    let file = try await HTTP.call("GET", cluster.coordinatorHTTP, link)
                    #expect(file.status == 200 && file.headers["cache-control"]?.contains("immutable") == true, "\(link)")
                    #expect(!file.body.isEmpty && file.headers["x-content-type-options"] == "nosniff", "\(link)")
                }
                let again = try await HTTP.call("GET", cluster.coordinatorHTTP, "/", headers: ["If-None-Match": page.headers["etag"] ?? ""])
                #expect(again.status == 304)
                #expect(try await HTTP.call("GET", cluster.coordinatorHTTP, "/assets/../../etc/passwd").status == 404)
            }
        }

        @Test func aKeyOpensASessionThatOnlyOwnPagesCanUse() async throws {
            let environment = ["SLUICE_READ_KEYS": "a-read-key", "SLUICE_ADMIN_KEYS": "an-admin-key", "SLUICE_WRITE_KEYS": "a-write-key"]
            try await Cluster.with(shards: 1, environment: environment) { cluster in
                func call(_ method: String, _ path: String, _ body: JSONValue? = nil, _ headers: [String: String] = [:]) async throws
                    -> HTTP.Answer
                {
                    try await HTTP.call(method, cluster.coordinatorHTTP, path, body: body?.encode(), headers: headers)
                }
                let outside = try await call("GET", "/v1/session").json
                #expect(outside["keys_needed"] == true && outside["signed_in"] == false && outside["role"] == .null)
                #expect(try await call("POST", "/v1/session", ["key": "not a key"]).status == 401)
                #expect(try await call("POST", "/v1/session", ["key": "a-write-key"]).status == 403)
                #expect(try await call("POST", "/v1/session", ["keys": "a-read-key"]).status == 422)
                #expect(try await call("POST", "/v1/query", Self.funnel).status == 401)

                let signedIn = try await call("POST", "/v1/session", ["key": "a-read-key"])
                let cookie = signedIn.headers["set-cookie"] ?? ""
                #expect(signedIn.status == 200 && signedIn.json["role"] == "read")
                #expect(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && !cookie.contains("read-key"))
                let own = ["Cookie": String(cookie.prefix { $0 != ";" })]
                #expect(try await call("GET", "/v1/session", nil, own).json["signed_in"] == true)
                #expect(try await call("POST", "/v1/query", Self.funnel, own).status == 200)
                #expect(try await call("PUT", "/v1/funnels/f", ["steps": ["a", "b"]], own).status == 403)
                for other in [["Sec-Fetch-Site": "cross-site"], ["Sec-Fetch-Site": "same-site"], ["Origin": "http://elsewhere.example"]] {
                    #expect(try await call("POST", "/v1/query", Self.funnel, own.merging(other) { $1 }).status == 403, "\(other)")
                }
                let origin = ["Origin": "http://\(cluster.coordinatorHTTP)", "Sec-Fetch-Site": "same-origin"]
                #expect(try await call("POST", "/v1/query", Self.funnel, own.merging(origin) { $1 }).status == 200)

                let viewer = try EventStream(cluster.coordinatorHTTP, "/v1/live", Self.funnel, headers: own)
                #expect(try viewer.next()?.name == "report")
                #expect(try await call("DELETE", "/v1/session", nil, own).status == 204)
                #expect(try await call("POST", "/v1/query", Self.funnel, own).status == 401)
                #expect(try viewer.next()?.name == "end")
                #expect(try viewer.next() == nil)
            }
        }

        @Test func viewersOfOneQuestionShareItsEvaluations() async throws {
            try await Cluster.with(shards: 2) { cluster in
                func evaluations() async throws -> Int {
                    let lines = try await HTTP.call("GET", cluster.coordinatorHTTP, "/metrics").text.split(separator: "\n")
                    let line = lines.first { $0.hasPrefix("sluice_live_evaluations_total ") }
                    return line.flatMap { $0.split(separator: " ").last }.flatMap { Double($0) }.map { Int($0) } ?? -1
                }
                func counts(_ json: JSONValue) -> [Int] { Report(json).counts }
                let viewers = try (0..<200).map { _ in try EventStream(cluster.coordinatorHTTP, "/v1/live", Self.funnel) }
                for viewer in viewers { try viewer.report { counts($0) == [0, 0] } }
                #expect(viewers[0].head.contains("text/event-stream"))
                let before = try await evaluations()
                #expect(try await cluster.send([event("u", "a", 0)]).status == 200)
                for viewer in viewers { try viewer.report { counts($0) == [1, 0] } }
                #expect(try await cluster.send([event("u", "b", 1)]).status == 200)
                for viewer in viewers { try viewer.report { counts($0) == [1, 1] } }
                // One for each of the two events; as time goes by a few may come without any.
                #expect(try await evaluations() - before < 10)

                #expect(try await HTTP.call("POST", cluster.coordinatorHTTP, "/v1/live", body: Array("{".utf8)).status == 400)
                let bad: JSONValue = ["funnel": ["steps": ["a"]], "nonsense": 1]
                #expect(try await HTTP.call("POST", cluster.coordinatorHTTP, "/v1/live", body: bad.encode()).status == 422)
            }
        }

        @Test func theStatusTellsOfShardsThatAreAway() async throws {
            try await Cluster.with(shards: 2) { cluster in
                #expect(try await cluster.send((0..<50).map { event("u\($0)", "a", Double($0)) }).status == 200)
                let viewer = try EventStream(cluster.coordinatorHTTP, "/v1/live", Self.funnel)
                try viewer.report { Report($0).counts == [50, 0] }
                let status = try await HTTP.call("GET", cluster.coordinatorHTTP, "/v1/status").json
                let shards = status["shards"]?.asArray ?? []
                #expect(shards.count == 2 && shards.allSatisfy { $0["state"] == "ready" })
                #expect(shards.compactMap { $0["events"]?.asInteger }.reduce(0, +) == 50)
                #expect(shards.compactMap { $0["users"]?.asInteger }.reduce(0, +) == 50)
                #expect(shards.compactMap { $0["unsealed_events"]?.asInteger }.reduce(0, +) == 50)

                kill(cluster.pid("shard-1"), SIGSTOP)
                defer { kill(cluster.pid("shard-1"), SIGCONT) }
                // What the shards said is good for a second.
                var away = shards
                for _ in 0..<200 where away.last?["state"] == "ready" {
                    try await Task.sleep(for: .milliseconds(50))
                    away = try await HTTP.call("GET", cluster.coordinatorHTTP, "/v1/status").json["shards"]?.asArray ?? []
                }
                #expect(away.first?["state"] == "ready" && away.last?["state"] == "unreachable")
                #expect(away.last?["problem"]?.asString != nil && away.last?["events"] == .null)
            }
        }
    }
}

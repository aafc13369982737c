import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// Queries that take long, and whom they concern.
    struct HeavyUserServiceTests {
        // MARK: Users who take too much work

        private static let steps: JSONValue = [
            ["name": "1", "events": ["A"]], ["name": "2", "events": ["C"]], ["name": "3", "events": ["B"]], ["name": "4", "events": ["A"]],
        ]
        private static let funnel: JSONValue = [
            "steps": steps, "window_duration": "1d", "conversion_order": ["flexible": ["limit": "1h"]],
            "exclude": [["events": ["X"], "after": 1, "before": 4, "effect": "drop_user"]],
        ]

        private func sendRobot(_ cluster: Cluster) async throws {
            var random = SplitMix64(seed: 4)
            var events = (0..<1_500).map { _ in event("robot", random.pick(["A", "B", "C", "X"]), Double(random.below(3_600))) }
            for user in 0..<20 {
                for (i, name) in ["A", "C", "B", "A"].enumerated() {
                    events.append(event("user-\(user)", name, Double(60 * i), properties: ["plan": .text(user < 5 ? "pro" : "free")]))
                }
            }
            #expect(try await cluster.send(events).status == 200)
        }

        @Test func oneUserIsNamedOrLeftOutOfEveryReport() async throws {
            try await Cluster.with(shards: 2) { cluster in
                try await sendRobot(cluster)
                let shard = "shard-\(ClusterMap.bucket(ofUser: "robot") < 512 ? 0 : 1)"
                func ask(_ path: String, _ more: [JSONValue.Member]) async throws -> HTTP.Answer {
                    let body = JSONValue.object([.init("funnel", Self.funnel)] + more)
                    return try await HTTP.call("POST", cluster.coordinatorHTTP, path, body: body.encode())
                }
                let refused = try await ask("/v1/query", [])
                #expect(refused.status == 422 && refused.json["type"] == "urn:sluice:work_budget", "\(refused.text)")
                #expect(refused.json["shards"] == [.text(shard)] && refused.text.contains("robot"), "\(refused.text)")
                let wrong = try await ask("/v1/query", [.init("heavy_users", "perhaps")])
                #expect(wrong.status == 422 && wrong.json["errors"]?.asArray?.first?["field"] == "heavy_users")

                let leave = JSONValue.Member("heavy_users", "leave_out")
                let questions: [(String, [JSONValue.Member])] = [
                    ("/v1/query", []), ("/v1/query", [.init("times", "none"), .init("trend", ["by": "day"])]),
                    ("/v1/query", [.init("breakdown", ["property": "plan"])]), ("/v1/query", [.init("variants", ["property": "plan"])]),
                    ("/v1/query", [.init("segments", [["name": "pro", "where": [["property": "plan", "op": "=", "value": "pro"]]]])]),
                    ("/v1/query/paths", [.init("from", ["between": [1, 4]])]), ("/v1/query/predictors", []), ("/v1/query/times", []),
                    ("/v1/query/users", [.init("step", 4)]), ("/v1/query/users", [.init("step", 4), .init("after", "zzz")]),
                ]
                for (path, more) in questions {
                    let answer = try await ask(path, more + [leave])
                    #expect(answer.status == 200, "\(path) \(more): \(answer.text)")
                    #expect(
                        answer.json["completeness"]?["heavy_users"] == 1 && answer.json["completeness"]?["exact"] == false,
                        "\(path) \(more): \(answer.text)")
                }
                let whole = try await ask("/v1/query", [leave, .init("breakdown", ["property": "plan"])])
                #expect(whole.json["entered"] == 20 && whole.json["converted"] == 20)
                let users = try await ask("/v1/query/users", [leave, .init("step", 4)])
                #expect(users.json["users"]?.asArray?.count == 20)
                // Without anybody to leave out the answer is exact.
                let plain: JSONValue = ["funnel": ["steps": ["A", "B"]], "heavy_users": "leave_out"]
                let exact = try await cluster.query(plain)
                #expect(exact["completeness"]?["heavy_users"] == 0 && exact["completeness"]?["exact"] == true)
                // Nobody else can be meant where one user is explained.
                #expect(try await ask("/v1/query/explain", [leave, .init("user_id", "robot")]).status == 422)

                let file = cluster.directory.appendingPathComponent("funnel.json")
                try Data(Self.funnel.encode()).write(to: file)
                let command = ["query", "--file", file.path, "--to", cluster.coordinatorWire, "--heavy-users", "leave_out"]
                let table = try await Command.run("sluice", command)
                #expect(table.out.contains("1 heavy users left out"), "\(table.out) \(table.err)")
            }
        }

        // MARK: Callers who leave

        /// A request whose answer takes long, on a socket of its own.
        private final class Call {
            private let socket: Int32

            init(_ address: String, _ path: String, _ body: JSONValue?) throws {
                let parts = address.split(separator: ":")
                var target = sockaddr_in()
                target.sin_family = sa_family_t(AF_INET)
                target.sin_port = (UInt16(parts.last ?? "") ?? 0).bigEndian
                target.sin_addr.s_addr = inet_addr(String(parts.first ?? ""))
                socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
                let connected = withUnsafePointer(to: &target) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                    }
                }
                let json = body?.encode() ?? []
                let head = "\(body == nil ? "GET" : "POST") \(path) HTTP/1.1\r\nHost: \(address)\r\nContent-Length: \(json.count)\r\n\r\n"
                let bytes = Array(head.utf8) + json
                guard connected == 0, send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
                    throw Trouble("cannot send to \(address)")
                }
            }

            func close() { Glibc.close(socket) }
        }

        private func metric(_ name: String, _ address: String) async throws -> Int {
            let lines = try await HTTP.call("GET", address, "/metrics").text.split(separator: "\n")
            return lines.first { $0.hasPrefix(name + " ") }.flatMap { $0.split(separator: " ").last }.flatMap { Double($0) }.map { Int($0) }
                ?? -1
        }

        private func until(_ name: String, _ address: String, is wanted: Int) async throws {
            var found = -1
            for _ in 0..<600 {
                found = try await metric(name, address)
                if found == wanted { return }
                try await Task.sleep(for: .milliseconds(25))
            }
            #expect(found == wanted, "\(name)")
        }

        /// One user with so many attempts that to look at each of them takes minutes.
        private func sendLongHistory(_ cluster: Cluster) async throws {
            for part in 0..<5 {
                let events = (0..<20_000).map { event("long", $0 % 2 == 0 ? "a" : "b", Double(part * 20_000 + $0)) }
                #expect(try await cluster.send(events).status == 200)
            }
            #expect(try await cluster.send([event("short", "a", 0), event("short", "b", 5)]).status == 200)
        }

        private static let long: JSONValue = [
            "funnel": ["steps": ["a", "b"], "conversion_order": "any"], "user_id": "long", "deadline": "10m",
        ]

        @Test func callersWhoLeaveEndTheirQueriesAndTheirScans() async throws {
            try await Cluster.with(shards: 1) { cluster in
                try await sendLongHistory(cluster)
                let calls = try (0..<3).map { _ in try Call(cluster.coordinatorHTTP, "/v1/query/explain", Self.long) }
                try await until("sluice_queries_running", cluster.coordinatorHTTP, is: 3)
                try await until("sluice_shard_queries", cluster.shardHTTP(0), is: 3)
                // Others have their turn meanwhile.
                #expect(try await cluster.counts(["a", "b"]) == [2, 2])
                #expect(try await metric("sluice_queries_running", cluster.coordinatorHTTP) == 3)
                for call in calls { call.close() }
                try await until("sluice_queries_running", cluster.coordinatorHTTP, is: 0)
                try await until("sluice_shard_queries", cluster.shardHTTP(0), is: 0)
                // A deadline frees the thread as well.
                let late = JSONValue.object((Self.long.asObject ?? []).filter { $0.key != "deadline" } + [.init("deadline", "300ms")])
                #expect(try await HTTP.call("POST", cluster.coordinatorHTTP, "/v1/query/explain", body: late.encode()).status == 504)
                try await until("sluice_shard_queries", cluster.shardHTTP(0), is: 0)
                // A connection whose caller stays goes on serving.
                #expect(try await cluster.counts(["a"]) == [2])
                #expect(try await cluster.counts(["a"]) == [2])
            }
        }

        @Test func statusAnswersWhileAShardHangs() async throws {
            try await Cluster.with(shards: 2) { cluster in
                kill(cluster.pid("shard-1"), SIGSTOP)
                defer { kill(cluster.pid("shard-1"), SIGCONT) }
                let states = try await withThrowingTaskGroup(of: [JSONValue?].self) { group in
                    for _ in 0..<20 {
                        group.addTask {
                            try await HTTP.call("GET", cluster.coordinatorHTTP, "/v1/status").json["shards"]?.asArray?.map { $0["state"] }
                                ?? []
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                #expect(states.allSatisfy { $0 == ["ready", "unreachable"] })
                kill(cluster.pid("shard-1"), SIGCONT)
                var state: JSONValue?
                for _ in 0..<400 where state != "ready" {
                    try await Task.sleep(for: .milliseconds(50))
                    state = try await HTTP.call("GET", cluster.coordinatorHTTP, "/v1/status").json["shards"]?.asArray?[1]["state"]
                }
                #expect(state == "ready")
            }
        }
    }
}

import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// Paths and predictors of a running cluster.
    struct PathsServiceTests {
        private static let funnel: JSONValue = ["steps": ["a", "b"], "window_duration": "1h"]

        @Test func pathsAndPredictorsOfAHandMadeCluster() async throws {
            try await Cluster.with(shards: 3) { cluster in
                #expect(try await cluster.send(Self.events).status == 200)
                let paths = try await ask(cluster, "paths", ["from": ["dropped": "b"], "length": 2, "k": 2])
                #expect(paths["users"] == 70 && paths["rules"] == "sluice/1" && paths["completeness"]?["exact"] == true)
                // Nothing within the hour, for those whose only further event came later.
                #expect(
                    paths["paths"]?.asArray?.map { $0["events"] } == [["help", "help"], []]
                        && paths["paths"]?.asArray?.map { $0["users"] } == [40, 20])
                #expect(paths["other"] == ["paths": 1, "users": 10])
                #expect(paths["next"]?.asArray?.map { $0["event"] } == ["help", "search", .null])
                #expect(paths["next"]?.asArray?.map { $0["users"] } == [40, 10, 20])
                let list = try await cluster.users(Self.funnel, step: 2, outcome: "dropped")
                #expect(list.count == 70)
                let between = try await ask(cluster, "paths", ["from": ["between": [1, 2]]])
                #expect(between["paths"] == [["events": ["search"], "users": 30, "share": 1]])
                let some = try await ask(cluster, "paths", ["from": ["dropped": 2], "exclude_events": ["help"]])
                #expect(some["next"]?.asArray?.map { $0["users"] } == [50, 20] && some["exclude_events"] == ["help"])
                try await predictors(cluster)
                try await commands(cluster)
                try await refusals(cluster)
            }
        }

        /// 30 search and convert, 10 search, 40 ask for help twice, 20 do something too late.
        private static let events: [JSONValue] = (0..<100).flatMap { i -> [JSONValue] in
            let (user, start) = ("user \(i)", Double(i * 10))
            let first = event(user, "a", start, properties: ["plan": i < 25 ? "pro" : "free", "n": .count(i)])
            switch i {
            case ..<30: return [first, event(user, "search", start + 1), event(user, "b", start + 2), event(user, "help", start + 3)]
            case ..<40: return [first, event(user, "search", start + 5)]
            case ..<80: return [first, event(user, "help", start + 5), event(user, "help", start + 6), event(user, "search", start + 7)]
            default: return [first, event(user, "late", start + 3_601)]
            }
        }

        private func predictors(_ cluster: Cluster) async throws {
            let answer = try await ask(cluster, "predictors", ["as_of": "2024-01-01T00:00:00Z"])
            #expect(answer["users"] == 100 && answer["converted"] == 30 && answer["step"] == 2 && answer["of"] == 1)
            let rows = try #require(answer["predictors"]?.asArray)
            // The numbers of the users, each of one alone, are not tested; what came too late, or after the step, is not seen.
            #expect(rows.map { $0["event"] ?? $0["value"] } == ["free", "pro", "help", "search"])
            #expect(answer["tested"] == 4 && answer["left_out"] == [])
            #expect(rows.map { $0["direction"] } == ["down", "up", "down", "up"])
            #expect(rows[1]["with"] == ["users": 25, "converted": 25, "conversion": 1])
            #expect(rows[2]["with"] == ["users": 40, "converted": 0, "conversion": 0])
            #expect(rows[3]["with"] == ["users": 80, "converted": 30, "conversion": .double(0.375)])
            let events = try await ask(cluster, "predictors", ["properties": false, "min_users": 50])
            #expect(events["predictors"]?.asArray?.map { $0["event"] } == ["search"])
        }

        private func commands(_ cluster: Cluster) async throws {
            func sluice(_ arguments: [String]) async throws -> String {
                let usual = [
                    "query", "--steps", "a,b", "--window", "1h", "--as-of", "2024-01-01T00:00:00Z", "--to", cluster.coordinatorWire,
                ]
                let done = try await Command.run("sluice", usual + arguments)
                #expect(done.status == 0, "\(done.err)")
                return done.out
            }
            let moment: JSONValue = ["as_of": "2024-01-01T00:00:00Z"]
            for (arguments, report, more) in [
                (["--paths-after", "b", "--length", "2", "--k", "2"], "paths", ["from": ["dropped": "b"], "length": 2, "k": 2]),
                (["--paths-between", "1, 2"], "paths", ["from": ["between": [1, 2]]]), (["--predict", "b"], "predictors", ["step": "b"]),
            ] as [([String], String, JSONValue)] {
                let told = try JSONParser.parse(Array(try await sluice(arguments + ["--format", "json"]).utf8))
                #expect(try await told == ask(cluster, report, .object((more.asObject ?? []) + (moment.asObject ?? []))))
            }
            let paths = try await sluice(["--paths-after", "2"])
            #expect(paths.contains("70 users dropped at step 2") && paths.contains("help → help") && paths.contains("(nothing more)"))
            let predictors = try await sluice(["--predict", "2"])
            #expect(predictors.contains("30 of 100 users at step 1 reached step 2") && predictors.contains("plan = pro"))
            #expect(try await Command.run("sluice", ["query", "--steps", "a,b", "--length", "2"]).status != 0)
        }

        private func refusals(_ cluster: Cluster) async throws {
            for (report, more, field) in [
                ("paths", ["from": ["dropped": 1]], "from.dropped"), ("paths", ["from": ["dropped": 2], "length": 9], "length"),
                ("predictors", ["step": 1], "step"), ("predictors", ["steps": 1], "steps"),
            ] as [(String, JSONValue, String)] {
                let answer = try await call(cluster, report, more)
                #expect(answer.status == 422 && answer.json["errors"]?.asArray?.map { $0["field"] } == [.text(field)], "\(answer.text)")
            }
        }

        private func ask(_ cluster: Cluster, _ report: String, _ more: JSONValue) async throws -> JSONValue {
            let answer = try await call(cluster, report, more)
            guard answer.status == 200 else { throw Trouble("\(report): \(answer.status) \(answer.text)") }
            return answer.json
        }

        private func call(_ cluster: Cluster, _ report: String, _ more: JSONValue) async throws -> HTTP.Answer {
            let body = JSONValue.object([.init("funnel", Self.funnel)] + (more.asObject ?? []))
            return try await HTTP.call("POST", cluster.coordinatorHTTP, "/v1/query/\(report)", body: body.encode())
        }

        /// An answer that lacks a shard says so, or is refused.
        @Test func aMissingShardIsNamed() async throws {
            try await Cluster.with(shards: 2) { cluster in
                #expect(try await cluster.send(Self.events).status == 200)
                kill(cluster.pid("shard-1"), SIGSTOP)
                defer { kill(cluster.pid("shard-1"), SIGCONT) }
                let refused = try await call(cluster, "paths", ["from": ["dropped": 2], "deadline": "1s"])
                // Its time runs out, or on a busy machine its connection is given up first.
                #expect([503, 504].contains(refused.status) && refused.text.contains("shard-1"), "\(refused.status) \(refused.text)")
                let partial = try await ask(cluster, "predictors", ["deadline": "1s", "allow_partial": true])
                #expect(partial["completeness"]?["missing"] == [1] && partial["completeness"]?["exact"] == false)
            }
        }
    }
}

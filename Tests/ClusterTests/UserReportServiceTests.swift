import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// Lists, explanations, times and discovery of a running cluster, its data in segments and in memory.
    struct UserReportServiceTests {
        private static let names = ["a", "b", "c", "d"]

        @Test func listsAndExplanationsAgreeWithCounts() async throws {
            try await Cluster.with(shards: 2, arguments: ["--seal-rows", "1000"]) { cluster in
                var random = SplitMix64(seed: 7)
                var rows: [String: Int] = [:]
                for batch in 0..<6 {
                    var events: [JSONValue] = []
                    for i in 0..<1_000 {
                        let plan: JSONValue? = random.pick([nil, "pro", "free", 1, .double(2.5), true, "1"])
                        let name = random.pick(Self.names)
                        rows[name, default: 0] += 1
                        events.append(
                            event(
                                "user \(random.below(300))", name, Double(random.below(90_000)), id: "\(batch)/\(i)",
                                properties: plan.map { .object([.init("plan", $0), .init("n/1 %", .count(i % 7))]) }))
                    }
                    #expect(try await cluster.send(events).status == 200)
                }
                for _ in 0..<100 { try await checkFunnel(cluster, &random) }
                try await checkTimes(cluster)
                try await checkDiscovery(cluster, rows)
                try await checkRefusals(cluster)
                try await checkCommand(cluster)
            }
        }

        private static func funnel(_ random: inout SplitMix64) -> JSONValue {
            let steps = (0..<(2 + random.below(3))).map { _ -> JSONValue in
                let name = JSONValue.text(random.pick(names))
                if random.chance(80) { return name }
                return ["name": name, "where": [["property": "plan", "op": "exists"]]]
            }
            let order: JSONValue = random.pick(
                ["sequential", "sequential", ["flexible": ["limit": "1s"]], ["flexible": ["limit": "10m"]], "strict", "any"])
            var funnel: [JSONValue.Member] = [
                .init("steps", .array(steps)), .init("window_duration", .text(random.pick(["1h", "6h", "2d"]))),
                .init("conversion_order", order),
                .init("entry", .text(random.pick(["shortest", "earliest", "first"]))),
            ]
            if order != "any", order != "strict" {
                funnel.append(.init("window_anchor", .text(random.pick(["first_step", "previous_step"]))))
            }
            if order != "strict", random.chance(25) {
                let after = order == "any" ? 1 : 1 + random.below(steps.count - 1)
                funnel.append(
                    .init(
                        "exclude",
                        [
                            [
                                "events": [.text(random.pick(names))], "effect": .text(random.pick(["end_attempt", "drop_user"])),
                                "after": .count(after), "before": .count(order == "any" ? steps.count : after + 1),
                            ]
                        ]))
            }
            if random.chance(25) { funnel.append(.init("hold_constant", ["plan"])) }
            return .object(funnel)
        }

        private func checkFunnel(_ cluster: Cluster, _ random: inout SplitMix64) async throws {
            let funnel = Self.funnel(&random)
            let what = String(decoding: funnel.encode(), as: UTF8.self)
            let touch = random.pick(["first", "last", "step:2"])
            let asOf = JSONValue.text(Timestamp.format(1_700_000_000_000_000 + Int64(random.below(120_000)) * 1_000_000))
            let report = try await cluster.query(
                ["funnel": funnel, "as_of": asOf, "breakdown": ["property": "plan", "touch": .text(touch), "k": 100]])
            let counts = Report(report).counts
            var depths: [String: Int] = [:]
            var open: Set<String> = []
            for step in 1...counts.count {
                let reached = try await cluster.users(funnel, step: step, outcome: "reached", page: 200)
                #expect(reached.count == counts[step - 1], "\(what)")
                for user in reached { depths[user] = step }
                if step == 1 { continue }
                let dropped = try await cluster.users(funnel, step: step, outcome: "dropped")
                #expect(dropped.count == counts[step - 2] - counts[step - 1], "\(what)")
                let still = try await cluster.users(funnel, step: step, outcome: "open", asOf: asOf)
                #expect(Report(report).steps[step - 1]["open"] == .count(still.count) && Set(still).isSubset(of: dropped), "\(what)")
                open.formUnion(still)
            }
            #expect(
                Report(report).steps[0]["open"] == .null
                    && (report["expected_conversions"]?.asDouble != Double(counts.last ?? 0)) == !open.isEmpty)
            #expect(try await cluster.users(funnel, step: 1, outcome: "converted").count == counts[counts.count - 1])
            let all = ProcessInfo.processInfo.environment["SLUICE_FULL"] == "1"
            try await checkExplanations(cluster, funnel, asOf, open, depths.filter { _ in all || random.chance(4) }, steps: counts.count)
            let rows = try #require(report["breakdown"]?["rows"]?.asArray)
            let step = 1 + random.below(counts.count)
            var together: [String] = []
            for row in rows {
                let group: JSONValue = ["property": "plan", "touch": .text(touch), "value": row["value"] ?? .null]
                let users = try await list(cluster, funnel, step, group)
                #expect(users.count == Report(row).counts[step - 1], "\(what), \(group)")
                together += users
            }
            #expect(
                together.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
                    == (try await cluster.users(funnel, step: step, outcome: "reached")), "\(what)")
        }

        /// Every user that lists told of, with the step that they put them at.
        private func checkExplanations(
            _ cluster: Cluster, _ funnel: JSONValue, _ asOf: JSONValue, _ open: Set<String>, _ depths: [String: Int], steps: Int
        ) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, (user, depth)) in depths.enumerated() {
                    if number >= 12 { try await group.next() }
                    group.addTask {
                        let found = try await explain(cluster, funnel, user, asOf: asOf)
                        let what: Comment = "\(String(decoding: funnel.encode(), as: UTF8.self)), \(user)"
                        #expect(found["depth"] == .count(depth) && found["found"] == true, what)
                        let places = found["chosen"]?.asArray?.compactMap { $0["index"]?.asInteger }.map { Int($0) } ?? []
                        #expect(funnel["conversion_order"] == "any" ? Set(places).count == depth : places == Array(1...depth), what)
                        #expect((found["stopped"] == .null) == (depth == steps), what)
                        #expect((found["open_until"] != .null) == open.contains(user), what)
                        #expect(found["outcome"] == (depth == steps ? "converted" : "dropped"), what)
                    }
                }
                try await group.waitForAll()
            }
        }

        private func post(_ cluster: Cluster, _ path: String, _ body: JSONValue) async throws -> HTTP.Answer {
            try await HTTP.call("POST", cluster.coordinatorHTTP, path, body: body.encode())
        }

        private func explain(_ cluster: Cluster, _ funnel: JSONValue, _ user: String, asOf: JSONValue = .null) async throws -> JSONValue {
            let answer = try await post(cluster, "/v1/query/explain", ["funnel": funnel, "user_id": .text(user), "as_of": asOf])
            #expect(answer.status == 200, "\(answer.text)")
            return answer.json
        }

        private func list(_ cluster: Cluster, _ funnel: JSONValue, _ step: Int, _ group: JSONValue) async throws -> [String] {
            let answer = try await post(
                cluster, "/v1/query/users", ["funnel": funnel, "step": .count(step), "outcome": "reached", "group": group, "limit": 10_000])
            #expect(answer.status == 200, "\(answer.text)")
            return answer.json["users"]?.asArray?.compactMap { $0.asString?.string } ?? []
        }

        @Test func whoIsStillOpenIsToldFromWhoIsLost() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let day = 86_400.0
                let events = [
                    event("o1", "a", 50 * day), event("o2", "a", day), event("o3", "a", 50 * day), event("o3", "b", 51 * day),
                    event("o4", "a", day, properties: ["plan": "pro"]), event("o4", "a", 40 * day), event("o5", "a", 50 * day),
                    event("o5", "b", 51 * day), event("o5", "c", 52 * day),
                ]
                #expect(try await cluster.send(events).status == 200)
                let funnel: JSONValue = ["steps": ["a", "b", "c"], "window_duration": "31d", "entry": "earliest"]
                let asOf = JSONValue.text(Timestamp.format(1_700_000_000_000_000 + Int64(60 * day) * 1_000_000))
                let segments: JSONValue = [["name": "pro", "where": [["property": "plan", "op": "=", "value": "pro"]]]]
                let report = try await cluster.query(["funnel": funnel, "as_of": asOf, "segments": segments])
                // The attempt that speaks for o4 is over; a later one is open.
                #expect(
                    Report(report).steps.map { $0["dropoff"] } == [.null, 3, 1] && Report(report).steps.map { $0["open"] } == [.null, 2, 1])
                let pro = Report(report["segments"]?.asArray?[0] ?? .null).steps
                #expect(pro.map { $0["dropoff"] } == [.null, 1, 0] && pro.map { $0["open"] } == [.null, 0, 0])
                #expect(try await cluster.users(funnel, step: 2, outcome: "open", asOf: asOf) == ["o1", "o4"])
                #expect(try await cluster.users(funnel, step: 3, outcome: "open", asOf: asOf) == ["o3"])
                let group: JSONValue = [
                    "funnel": funnel, "as_of": asOf, "step": 2, "outcome": "open", "group": ["property": "plan", "value": "pro"],
                ]
                #expect(try await post(cluster, "/v1/query/users", group).json["users"] == ["o4"])
                let first = try await post(cluster, "/v1/query/users", ["funnel": funnel, "step": 1, "outcome": "open"])
                #expect(first.status == 422 && first.json["errors"]?.asArray?[0]["field"] == "outcome", "\(first.text)")

                let o1 = try await explain(cluster, funnel, "o1", asOf: asOf)
                let end = Timestamp.format(1_700_000_000_000_000 + Int64(81 * day) * 1_000_000)
                #expect(o1["open_until"] == .text(end) && o1["outcome"] == "dropped" && o1["stopped"]?["reason"] == "no_event", "\(o1)")
                #expect(
                    o1["stopped"]?["text"]?.asString?.string.hasSuffix(". Still open: the conversion window ends at \(end)") == true,
                    "\(o1)")
                let begun = Timestamp.format(1_700_000_000_000_000 + Int64(50 * day) * 1_000_000)
                let why = "The user has no event of step \"b\" after step \"a\" at \(begun)."
                #expect(o1["stopped"]?["text"]?.asString?.string.hasPrefix(why) == true, "\(o1)")
                for lost in ["o2", "o5"] { #expect(try await explain(cluster, funnel, lost, asOf: asOf)["open_until"] == .null) }

                let command = [
                    "query", "--steps", "a,b,c", "--window", "31d", "--to", cluster.coordinatorWire, "--as-of", asOf.asString?.string ?? "",
                ]
                let table = try await Command.run("sluice", command)
                #expect(
                    table.out.split(separator: "\n")[0].contains("still open") && table.out.contains("o1") == false,
                    "\(table.out)\(table.err)")
                let csv = try await Command.run("sluice", command + ["--format", "csv"])
                #expect(csv.out.split(separator: "\n")[0].contains(",dropoff,open,"), "\(csv.out)")
                let told = try await Command.run("sluice", command + ["--explain", "o1"])
                #expect(told.out.contains("Still open: the conversion window ends at \(end)"), "\(told.out)\(told.err)")
                let later = [
                    "query", "--steps", "a,b,c", "--window", "31d", "--to", cluster.coordinatorWire, "--as-of", "2024-12-01T00:00:00Z",
                ]
                #expect(try await Command.run("sluice", later).out.contains("still open") == false)
            }
        }

        private func checkTimes(_ cluster: Cluster) async throws {
            let funnel: JSONValue = ["steps": ["a", "b", "c"], "window_duration": "6h"]
            let report = Report(try await cluster.query(["funnel": funnel]))
            for (from, to, suffix) in [(1, 2, ""), (1, 3, ""), (2, 3, "_from_previous")] {
                let answer = try await post(cluster, "/v1/query/times", ["funnel": funnel, "from": .count(from), "to": .count(to)])
                #expect(answer.status == 200, "\(answer.text)")
                let step = report.steps[to - 1]
                for field in ["median_seconds", "average_seconds", "p90_seconds"] {
                    #expect(
                        answer.json[ByteString(field)]?.asDouble == step[ByteString(field + suffix)]?.asDouble, "\(field) \(from) \(to)")
                }
                #expect(answer.json["users"] == step["count"] && answer.json["skipped"] == 0 && answer.json["approximate"] == false)
                let bars = answer.json["histogram"]?.asArray ?? []
                #expect(bars.reduce(0) { $0 + ($1["users"]?.asInteger ?? 0) } == step["count"]?.asInteger)
                #expect(bars.count <= 20 && zip(bars, bars.dropFirst()).allSatisfy { $0["to_seconds"] == $1["from_seconds"] })
            }
            let whole = try await post(cluster, "/v1/query/times", ["funnel": funnel, "bins": 5])
            #expect(whole.json["from"] == 1 && whole.json["to"] == 3 && whole.json["histogram"]?.asArray?.count ?? 9 <= 5)
            let nobody = try await post(cluster, "/v1/query/times", ["funnel": ["steps": ["a", "none"]]])
            #expect(nobody.json["users"] == 0 && nobody.json["median_seconds"] == .null && nobody.json["histogram"] == [])
        }

        private func checkDiscovery(_ cluster: Cluster, _ rows: [String: Int]) async throws {
            func get(_ path: String) async throws -> JSONValue {
                let answer = try await HTTP.call("GET", cluster.coordinatorHTTP, path)
                #expect(answer.status == 200, "\(path): \(answer.text)")
                return answer.json
            }
            let events = try await get("/v1/events")["events"]?.asArray ?? []
            #expect(
                Dictionary(uniqueKeysWithValues: events.map { ($0["event"]?.asString?.string ?? "", Int($0["rows"]?.asInteger ?? 0)) })
                    == rows)
            #expect(try await get("/v1/events?prefix=b")["events"]?.asArray?.map { $0["event"] } == ["b"])
            let one = try await get("/v1/events?limit=1")
            #expect(one["events"]?.asArray?.count == 1 && one["total"] == 4)
            let properties = try await get("/v1/properties?event=a")["properties"]?.asArray ?? []
            let plan = try #require(properties.first { $0["property"] == "plan" })
            let kinds = ["string", "number", "boolean"].compactMap { plan["kinds"]?[ByteString($0)]?.asInteger }
            #expect(kinds.count == 3 && kinds.reduce(0, +) == plan["rows"]?.asInteger)
            let values = try await get("/v1/properties/plan/values?event=a")
            #expect(values["truncated"] == false && values["values"]?.asArray?.count == 6)
            #expect(values["values"]?.asArray?.reduce(0) { $0 + ($1["rows"]?.asInteger ?? 0) } == plan["rows"]?.asInteger)
            #expect(try await get("/v1/properties/plan/values?prefix=pr")["values"]?.asArray?.map { $0["value"] } == ["pro"])
            #expect(try await get("/v1/properties/n%2F1%20%25/values?limit=3")["total"] == 7)
            #expect(try await get("/v1/properties/missing/values")["values"] == [])
        }

        private func checkRefusals(_ cluster: Cluster) async throws {
            let funnel: JSONValue = ["steps": ["a", "b"]]
            let cases: [(String, JSONValue, String)] = [
                ("times", ["funnel": funnel, "from": 2, "to": 2], "to"), ("times", ["funnel": funnel, "from": 3], "from"),
                ("times", ["funnel": funnel, "bins": 4], "bins"), ("times", ["funnel": ["steps": ["a"]]], "to"),
                ("times", ["funnel": funnel, "until": 2], "until"), ("explain", ["funnel": funnel], "user_id"),
                ("explain", ["funnel": funnel, "user_id": ""], "user_id"), ("explain", ["funnel": funnel, "user_id": 1], "user_id"),
                ("users", ["funnel": funnel, "step": 1, "group": ["property": "plan"]], "group.value"),
                ("users", ["funnel": funnel, "step": 1, "group": ["value": 1]], "group.property"),
                ("users", ["funnel": funnel, "step": 1, "group": ["property": "p", "value": []]], "group.value"),
                ("users", ["funnel": funnel, "step": 1, "group": ["property": "p", "value": 1, "touch": "step:3"]], "group.touch"),
            ]
            for (path, body, field) in cases {
                let answer = try await post(cluster, "/v1/query/\(path)", body)
                #expect(
                    answer.status == 422 && answer.json["errors"]?.asArray?.map { $0["field"] } == [.text(field)],
                    "\(path) \(field): \(answer.text)")
            }
            for (path, field) in [("events?limit=0", "limit"), ("events?event=a", "event"), ("properties/p/values?limit=x", "limit")] {
                let answer = try await HTTP.call("GET", cluster.coordinatorHTTP, "/v1/\(path)")
                #expect(
                    answer.status == 422 && answer.json["errors"]?.asArray?.map { $0["field"] } == [.text(field)], "\(path): \(answer.text)"
                )
            }
            let unknown = try await explain(cluster, funnel, "nobody")
            #expect(
                unknown["found"] == false && unknown["depth"] == 0 && unknown["outcome"] == "not_entered" && unknown["stopped"] == .null)
        }

        private func checkCommand(_ cluster: Cluster) async throws {
            let story = [
                event("story", "a", 100), event("story", "x", 130), event("story", "b", 100.5), event("late", "a", 0),
                event("late", "b", 3_870),
            ]
            #expect(try await cluster.send(story).status == 200)
            let common = ["query", "--steps", "a,b", "--window", "1h", "--to", cluster.coordinatorWire, "--explain"]
            let told = try await Command.run("sluice", common + ["story"])
            #expect(
                told.status == 0 && told.out.contains("dropped, step 1 of 2") && told.out.contains("same second"), "\(told.out)\(told.err)")
            #expect(told.out.contains("● 1") && told.out.contains("(fits 2)"))
            let instants = [100.5, 100].map { Timestamp.format(1_700_000_000_000_000 + Int64($0 * 1e6)) }
            let same = "The event \"b\" at \(instants[0]) has the same second as step \"a\" at \(instants[1]), which it must follow"
            #expect(told.out.contains("\nstep 2 (b) was not reached: \(same)\n"), "\(told.out)")
            let late = try await explain(cluster, ["steps": ["a", "b"], "window_duration": "1h"], "late")
            #expect(late["stopped"]?["reason"] == "window", "\(late)")
            let at = Timestamp.format(1_700_000_000_000_000 + 3_870_000_000)
            let why = "The event \"b\" at \(at) came 4 min 30 s after the conversion window of 1h had ended"
            #expect(late["stopped"]?["text"] == .text(why), "\(late)")
            #expect(try await Command.run("sluice", common + ["nobody"]).out.contains("no events of this user"))
        }
    }
}

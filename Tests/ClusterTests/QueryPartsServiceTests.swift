import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// Segments, periods and variants of a running cluster, over data small enough to count by hand.
    struct QueryPartsServiceTests {
        private static let funnel: JSONValue = ["steps": ["view", "buy"], "window_duration": "1h"]
        private static let day = 86_400.0

        /// Events start on 2023-11-14 at 22:13:20. Of each variant so many users view, and so many of those buy.
        private static let experiment = [(value: "control", users: 40, buyers: 8), ("b", 40, 18), ("c", 40, 10)]

        private func traffic() -> [JSONValue] {
            var events: [JSONValue] = []
            for (value, users, buyers) in Self.experiment {
                for i in 0..<users {
                    let properties: JSONValue = ["v": .text(value), "plan": .text(i % 4 == 0 ? "pro" : "free")]
                    events.append(event("\(value)\(i)", "view", Double(i), properties: properties))
                    if i % 10 < 3 { events.append(event("\(value)\(i)", "cart", Double(i) + 10)) }
                    if i < buyers { events.append(event("\(value)\(i)", "buy", Double(i) + 60)) }
                }
            }
            // Two users without a variant, a day later; one has been here before.
            events += [event("late", "view", Self.day), event("late", "buy", Self.day + 5), event("b39", "view", Self.day + 1)]
            return events
        }

        @Test func partsOfAQueryAreCountedByHand() async throws {
            try await Cluster.with(shards: 2) { cluster in
                #expect(try await cluster.send(traffic()).status == 200)
                try await segments(cluster)
                try await cohorts(cluster)
                try await comparison(cluster)
                try await experiment(cluster)
                try await exposures(cluster)
                try await pairs(cluster)
                try await refusals(cluster)
                try await commandLine(cluster)
                let openapi = try await HTTP.call("GET", cluster.coordinatorHTTP, "/openapi.json")
                #expect(openapi.status == 200 && openapi.json["openapi"] == "3.1.0")
            }
        }

        private func segments(_ cluster: Cluster) async throws {
            let pro: JSONValue = [["property": "plan", "op": "=", "value": "pro"]]
            let both: JSONValue = [["property": "plan", "op": "=", "value": "pro"], ["property": "v", "op": "in", "value": ["b", "c"]]]
            let answer = try await cluster.query([
                "funnel": Self.funnel, "as_of": "2024-01-01T00:00:00Z",
                "segments": [
                    ["name": "pro", "where": pro], ["name": "pro b or c", "where": both],
                    ["name": "nobody", "where": [["property": "x", "op": "exists"]]],
                ],
            ])
            // Of each variant every fourth user is pro: 10 of 40; those below 8, 18 and 10 bought.
            #expect(Report(answer).counts == [121, 37])
            let segments = try #require(answer["segments"]?.asArray)
            #expect(segments.map { $0["name"] } == ["pro", "pro b or c", "nobody"])
            #expect(segments.map { Report($0).counts } == [[30, 10], [20, 8], [0, 0]])
            #expect(segments[2]["conversion"] == .null && segments[2]["biggest_dropoff"] == .null)
            #expect(answer["segments_note"]?.asString?.string.contains("may overlap") == true)
            // A segment is the same query with its conditions at step 1.
            let narrowed: JSONValue = ["steps": [["name": "view", "where": both], "buy"], "window_duration": "1h"]
            let same = try await cluster.query(["funnel": narrowed, "as_of": "2024-01-01T00:00:00Z"])
            for key in ["entered", "conversion_ci", "steps", "biggest_dropoff", "expected_conversions", "times"] as [ByteString] {
                #expect(segments[1][key] == same[key], "\(key.string)")
            }
        }

        /// Into the cart: i % 10 < 3, 12 of each variant; of the buyers 0-2 of control, 0-2 and 10-12 of b, 0-2 of c.
        private func cohorts(_ cluster: Cluster) async throws {
            let saved: JSONValue = ["steps": ["view", "cart"], "window_duration": "1h", "count_by": "attempts"]
            #expect(try await HTTP.call("PUT", cluster.coordinatorHTTP, "/v1/funnels/carted", body: saved.encode()).status == 201)
            let reached: JSONValue = ["reached": ["funnel_id": "carted", "step": "cart"]]
            let dropped: JSONValue = ["dropped": ["funnel_id": "carted", "step": 2]]
            let b: JSONValue = [["property": "v", "op": "=", "value": "b"]]
            let answer = try await cluster.query([
                "funnel": Self.funnel,
                "segments": [
                    ["name": "cart", "cohort": reached], ["name": "no cart", "cohort": dropped],
                    ["name": "b", "where": b, "cohort": reached],
                ],
                // A cohort is of all time.
                "start": "2023-11-14", "end": "2023-11-15", "times": "none",
            ])
            #expect((answer["segments"]?.asArray ?? []).map { Report($0).counts } == [[36, 12], [85, 25], [12, 6]])
            let part = try await cluster.query([
                "funnel": Self.funnel, "cohort": dropped, "segments": [["name": "b", "where": b], ["name": "both", "cohort": reached]],
            ])
            #expect(Report(part).counts == [85, 25])
            #expect((part["segments"]?.asArray ?? []).map { Report($0).counts } == [[28, 12], [0, 0]])
            let list: JSONValue = ["funnel": Self.funnel, "cohort": dropped, "step": "buy"]
            let users = try await HTTP.call("POST", cluster.coordinatorHTTP, "/v1/query/users", body: list.encode())
            #expect(users.json["users"]?.asArray?.count == 25, "\(users.text)")
        }

        private func comparison(_ cluster: Cluster) async throws {
            let answer = try await cluster.query([
                "funnel": Self.funnel, "start": "2023-11-15", "end": "2023-11-15", "compare": "previous_period",
                "as_of": "2023-11-16T00:30:00Z",
            ])
            #expect(Report(answer).counts == [2, 1])
            let previous = try #require(answer["previous"])
            #expect(previous["start"] == "2023-11-14T00:00:00Z" && previous["end"] == "2023-11-15T00:00:00Z")
            #expect(Report(previous).counts == [120, 36] && previous["conversion"] == 0.3 && previous["immature"] == false)
            let change = try #require(answer["change"])
            #expect(change["entered"] == -118 && change["converted"] == -35 && change["immature"] == true)
            #expect(abs((change["conversion"]?.asDouble ?? 0) - 0.2) < 1e-12 && change["p_value"] == nil)
        }

        private func experiment(_ cluster: Cluster) async throws {
            let answer = try await cluster.query([
                "funnel": Self.funnel, "variants": ["property": "v", "expected": ["control": 1, "b": 1, "c": 1]],
                "as_of": "2024-01-01T00:00:00Z",
            ])
            let variants = try #require(answer["variants"])
            let groups = try #require(variants["groups"]?.asArray)
            #expect(groups.map { $0["value"] } == ["control", "b", "c"])
            #expect(groups.map { $0["entered"] } == [40, 40, 40] && groups.map { $0["converted"] } == [8, 18, 10])
            // By the formulas of STATISTICS.md, computed apart from the program.
            #expect(abs((groups[1]["comparison"]?["p_value"]?.asDouble ?? 0) - 0.016984200582130623) < 1e-12)
            #expect(abs((groups[1]["comparison"]?["adjusted_p_value"]?.asDouble ?? 0) - 0.033968401164261246) < 1e-12)
            #expect(variants["without_value"]?["entered"] == 1 && variants["without_value"]?["converted"] == 1)
            #expect(variants["immature"] == false && variants["sample_ratio"]?["p_value"]?.asDouble == 1)
            let early = try await cluster.query(["funnel": Self.funnel, "variants": ["property": "v"], "as_of": "2023-11-15T22:30:00Z"])
            #expect(early["variants"]?["immature"] == true)
        }

        /// Three saw control first and test before they bought; of those who saw one variant alone nobody bought.
        private func exposures(_ cluster: Cluster) async throws {
            var events: [JSONValue] = []
            for i in 0..<3 {
                events += [
                    event("m\(i)", "exposed", Double(i), properties: ["arm": "control"]),
                    event("m\(i)", "exposed", Self.day + Double(i), properties: ["arm": "test"]), event("m\(i)", "bought", 2 * Self.day),
                    event("c\(i)", "exposed", Double(i), properties: ["arm": "control"]),
                    event("t\(i)", "exposed", Double(i), properties: ["arm": "test"]),
                ]
            }
            #expect(try await cluster.send(events).status == 200)
            func ask(_ asked: [JSONValue.Member], entry: String) async throws -> JSONValue? {
                let funnel: JSONValue = ["steps": ["exposed", "bought"], "entry": .text(entry)]
                let variants = JSONValue.object([.init("property", "arm")] + asked)
                return try await cluster.query(["funnel": funnel, "variants": variants])["variants"]
            }
            for entry in ["shortest", "earliest", "first"] {
                let first = try await ask([], entry: entry)
                #expect(
                    first?["groups"]?.asArray?.map { [$0["value"], $0["entered"], $0["converted"]] } == [
                        ["control", 6, 3], ["test", 3, 0],
                    ], "\(entry)")
                #expect(first?["exposure"] == "first" && first?["several_values"] == 3 && first?["touch"] == .null)
            }
            for asked in [[.init("exposure", "attempt")], [.init("touch", "step:1")]] as [[JSONValue.Member]] {
                let attempt = try await ask(asked, entry: "shortest")
                #expect(
                    attempt?["groups"]?.asArray?.map { [$0["value"], $0["entered"], $0["converted"]] } == [
                        ["control", 3, 0], ["test", 6, 3],
                    ])
                #expect(attempt?["exposure"] == "attempt" && attempt?["several_values"] == 3 && attempt?["touch"] == "step:1")
            }
            let command = ["query", "--steps", "exposed,bought", "--to", cluster.coordinatorWire, "--variants", "arm"]
            let first = try await Command.run("sluice", command)
            #expect(first.out.contains("3 users saw several values; each counts for the first one seen"), "\(first.out)\(first.err)")
            let attempt = try await Command.run("sluice", command + ["--exposure", "attempt"])
            #expect(
                attempt.out.contains("3 users saw several values; each counts for that of the attempt counted"),
                "\(attempt.out)\(attempt.err)")
        }

        private func pairs(_ cluster: Cluster) async throws {
            let answer = try await cluster.query([
                "variants": [
                    "funnels": [
                        ["name": "direct", "funnel": ["steps": ["view", "buy"], "window_duration": "1h"]],
                        ["name": "by cart", "funnel": ["steps": ["view", "cart"], "window_duration": "1h"]],
                    ]
                ]
            ])
            let both = try #require(answer["variants"]?["table"]?["entered_both"])
            #expect(Report(answer).counts == [121, 37] && both["users"] == 121)
            #expect(both["converted_both"] == 12 && both["converted_first_only"] == 25 && both["converted_second_only"] == 24)
            #expect(both["converted_neither"] == 60)
            let funnels = answer["variants"]?["funnels"]?.asArray ?? []
            #expect(funnels.map { $0["converted"] } == [37, 36] && funnels.map { $0["name"] } == ["direct", "by cart"])
            // Of 49 users who differ 24 or fewer on one side: 1 at two sides.
            #expect(answer["variants"]?["paired"]?["p_value"]?.asDouble == 1)
            let other = try await cluster.query([
                "variants": [
                    "funnels": [
                        ["name": "x", "funnel": ["steps": ["view", "buy"], "window_duration": "1h"]],
                        ["name": "y", "funnel": ["steps": ["cart", "buy"], "window_duration": "1h"]],
                    ]
                ]
            ])
            #expect(other["variants"]?["table"]?["entered_first_only"] == ["entered": 85, "converted": 25])
            #expect(other["variants"]?["table"]?["entered_both"]?["converted_both"] == 12)
        }

        private func refusals(_ cluster: Cluster) async throws {
            func ask(_ members: [JSONValue.Member], _ status: Int, _ field: String?, _ path: String = "/v1/query") async throws {
                let body = JSONValue.object([.init("funnel", Self.funnel)] + members)
                let answer = try await HTTP.call("POST", cluster.coordinatorHTTP, path, body: body.encode())
                #expect(answer.status == status, "\(answer.text)")
                #expect(answer.json["errors"]?.asArray?.map { $0["field"] } == field.map { [.text($0)] }, "\(answer.text)")
            }
            let cohort: JSONValue = ["reached": ["funnel_id": "none", "step": 1]]
            try await ask([.init("cohort", cohort)], 404, "cohort.reached.funnel_id")
            try await ask([.init("segments", [["name": "s", "cohort": cohort]])], 404, "segments[0].cohort.reached.funnel_id")
            try await ask([.init("variants", ["property": "v", "touch": "step:3"])], 422, "variants.touch")
            try await ask([.init("variants", ["property": "v"]), .init("count_by", "attempts")], 422, "count_by")
            try await ask([.init("variants", ["property": "v", "expected": ["a": 1, "b": 1]])], 422, "variants.expected")
            try await ask([.init("compare", "previous_period")], 422, "compare")
            try await ask([.init("session_gap", "1500ms")], 422, "session_gap")
            let put = try await HTTP.call("PUT", cluster.coordinatorHTTP, "/v1/funnels/saved", body: Self.funnel.encode())
            #expect(put.status == 201)
            try await ask([.init("cohort", ["dropped": ["funnel_id": "saved", "step": "view"]])], 422, "cohort.dropped.step")
        }

        private func commandLine(_ cluster: Cluster) async throws {
            let file = cluster.directory.appendingPathComponent("pro.json")
            try Data(#"{"where": [{"property": "plan", "op": "=", "value": "pro"}]}"#.utf8).write(to: file)
            let common = ["query", "--steps", "view,buy", "--window", "1h", "--to", cluster.coordinatorWire]
            let segments = try await Command.run("sluice", common + ["--segment", "pro=\(file.path)"])
            #expect(segments.status == 0 && segments.out.contains("may overlap"), "\(segments.err)")
            let csv = try await Command.run("sluice", common + ["--segment", "pro=\(file.path)", "--format", "csv"])
            let lines = csv.out.split(separator: "\n")
            #expect(
                lines.count == 3 && lines[0].hasPrefix("row,name,entered,converted,conversion,conversion_ci_low,"), "\(csv.out) \(csv.err)")
            #expect(
                lines[1].hasPrefix("\"whole\",,121,37,") && lines[2].hasPrefix("\"segment\",\"pro\",30,10,0.3333333333333333,"),
                "\(csv.out)")
            let variants = try await Command.run("sluice", common + ["--variants", "v", "--control", "c"])
            #expect(
                variants.status == 0 && variants.out.contains("any look") && variants.out.contains("control"),
                "\(variants.out) \(variants.err)")
            let compare = try await Command.run(
                "sluice", common + ["--compare", "previous_period", "--start", "2023-11-15", "--end", "2023-11-15"])
            #expect(compare.out.contains("-118") && compare.out.contains("+20.0 pt"), "\(compare.out) \(compare.err)")
            #expect(try await Command.run("sluice", common + ["--control", "c"]).status != 0)
            #expect(try await Command.run("sluice", common + ["--segment", "pro"]).status != 0)
            #expect(try await Command.run("sluice", ["query", "--help"]).out.contains("--segment pro=pro.json"))
        }
    }
}

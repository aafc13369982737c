import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// Breakdowns and trends of a running cluster.
    struct ReportServiceTests {
        private static let funnel: JSONValue = ["steps": ["a", "b", "c"], "window_duration": "6h"]

        @Test func reportsAgreeWithPlainQueries() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let before = try await cluster.query(["funnel": Self.funnel, "trend": ["by": "day"], "breakdown": nil])
                #expect(before["trend"]?["buckets"] == [])
                var random = SplitMix64(seed: 5)
                var events: [JSONValue] = []
                for user in 0..<600 {
                    let base = Double(random.below(400_000))
                    for _ in 0..<(1 + random.below(9)) {
                        let plan: JSONValue? = random.pick([nil, "pro", "free", 1, true, "1", .text("v\(random.below(30))")])
                        let properties = plan.map { JSONValue.object([.init("plan", $0)]) }
                        events.append(
                            event(
                                "user \(user)", random.pick(["a", "b", "c"]), base + Double(random.below(20_000)), properties: properties))
                    }
                }
                #expect(try await cluster.send(events).status == 200)
                for touch in ["first", "last", "step:1", "step:3"] { try await breakdown(cluster, touch) }
                for (unit, zone) in [("hour", "Asia/Kolkata"), ("day", "Europe/Berlin"), ("week", "UTC"), ("month", "UTC")] {
                    try await trend(cluster, unit, zone, [])
                }
                try await trend(
                    cluster, "day", "America/Sao_Paulo",
                    [.init("start", "2023-11-15T10:00:00Z"), .init("end", "2023-11-18T03:30:00.5Z")])
                try await trend(cluster, "day", "UTC", [.init("start", "2023-11-10")])
                try await refusals(cluster)
                try await commandLine(cluster)
            }
        }

        private func breakdown(_ cluster: Cluster, _ touch: String) async throws {
            func ask(_ k: Int) async throws -> JSONValue {
                try await cluster.query([
                    "funnel": Self.funnel, "breakdown": ["property": "plan", "touch": .text(touch), "k": .count(k)],
                    "as_of": "2024-01-01T00:00:00Z",
                ])
            }
            let whole = try await ask(1_000)
            let cut = try await ask(3)
            let rows = try #require(whole["breakdown"]?["rows"]?.asArray)
            #expect(whole["breakdown"]?["other"] == .null)
            #expect(rows.last?["value"] == .null)
            #expect(cut["breakdown"]?["rows"]?.asArray == Array(rows.prefix(3)) + [rows[rows.count - 1]])
            #expect(cut["breakdown"]?["other"]?["values"] == .count(rows.count - 4))
            for report in [whole, cut] {
                var parts = try #require(report["breakdown"]?["rows"]?.asArray)
                if let other = report["breakdown"]?["other"], other != .null { parts.append(other) }
                for (i, count) in Report(report).counts.enumerated() {
                    #expect(parts.reduce(0) { $0 + (Report($1).counts[i]) } == count, "\(touch), step \(i + 1)")
                }
            }
            // 1, "1" and true are three values.
            let values = rows.compactMap { $0["value"] }
            #expect(values.filter { $0 == 1 }.count == 1 && values.contains("1") && values.contains(true))
        }

        private func trend(_ cluster: Cluster, _ unit: String, _ zone: String, _ range: [JSONValue.Member]) async throws {
            let common: [JSONValue.Member] = [
                .init("funnel", Self.funnel), .init("as_of", "2023-11-17T00:00:00Z"), .init("time_zone", .text(zone)),
            ]
            let answer = try await cluster.query(.object(common + range + [.init("trend", ["by": .text(unit)])]))
            let plain = try await cluster.query(.object(common + range))
            #expect(Report(answer).counts == Report(plain).counts)
            #expect(answer["trend"]?["time_zone"] == .text(zone) && answer["trend"]?["by"] == .text(unit))
            let buckets = try #require(answer["trend"]?["buckets"]?.asArray)
            #expect(!buckets.isEmpty)
            for (bucket, next) in zip(buckets, buckets.dropFirst()) { #expect(bucket["end"] == next["start"]) }
            for bucket in unit == "hour" ? Array(buckets.prefix(20)) : buckets {
                let start = try #require(bucket["start"])
                let end = try #require(bucket["end"])
                let same = try await cluster.query(.object(common + [.init("start", start), .init("end", end), .init("times", "none")]))
                #expect(Report(same).counts == Report(bucket).counts, "\(unit) \(start)")
                let closes = try Timestamp.parse(end.asString ?? "") + 6 * 3_600_000_000
                #expect(bucket["immature"] == .bool(closes > (try Timestamp.parse("2023-11-17T00:00:00Z"))))
            }
        }

        private func refusals(_ cluster: Cluster) async throws {
            let cases: [(JSONValue.Member, JSONValue.Member?, String)] = [
                (.init("breakdown", ["property": "plan", "touch": "step:4"]), nil, "breakdown.touch"),
                (.init("trend", ["by": "hour"]), .init("start", "2020-01-01"), "trend.by"),
                (.init("trend", ["by": "day"]), .init("breakdown", ["property": "plan"]), "trend"),
                (.init("segments", []), nil, "segments"),
            ]
            for (member, more, field) in cases {
                let body = JSONValue.object([.init("funnel", Self.funnel), member] + (more.map { [$0] } ?? []))
                let answer = try await HTTP.call("POST", cluster.coordinatorHTTP, "/v1/query", body: body.encode())
                #expect(answer.status == 422, "\(field): \(answer.text)")
                #expect(answer.json["errors"]?.asArray?.map { $0["field"] } == [.text(field)], "\(answer.text)")
            }
            let list: JSONValue = ["funnel": Self.funnel, "step": 1, "breakdown": ["property": "plan"]]
            #expect(try await HTTP.call("POST", cluster.coordinatorHTTP, "/v1/query/users", body: list.encode()).status == 200)
        }

        private func commandLine(_ cluster: Cluster) async throws {
            let common = ["query", "--steps", "a,b,c", "--window", "6h", "--to", cluster.coordinatorWire]
            let table = try await Command.run("sluice", common + ["--breakdown", "plan", "--touch", "last", "--k", "2"])
            #expect(table.status == 0 && table.out.contains("plan (last)") && table.out.contains("(none)"), "\(table.err)")
            let csv = try await Command.run("sluice", common + ["--trend", "week", "--format", "csv"])
            #expect(
                csv.out.hasPrefix("start,end,immature,entered,converted,conversion,step_1_count,step_2_count,step_3_count\n"),
                "\(csv.out) \(csv.err)")
            #expect(try await Command.run("sluice", common + ["--k", "2"]).status != 0)
        }

        /// Of more values than a shard tells at once: those that clearly lead, those that it must be asked about by name, and
        /// those of which none lead, so that all are told.
        @Test func moreValuesThanAreToldAtOnceAddUpToTheWhole() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let users = 200_000
                for start in stride(from: 0, to: users, by: 8_192) {
                    let events = (start..<min(users, start + 8_192)).flatMap { i -> [JSONValue] in
                        let mixed = i < 2_000 ? "big \(i % 8)" : i < 2_300 ? "z \(i % 100)" : "u\(i)"
                        let properties: JSONValue = i % 50 == 0 ? [:] : ["flat": .count(i / 2), "mixed": .text(mixed)]
                        return [event("u\(i)", "a", Double(i), properties: properties)]
                            + (i % 3 == 0 ? [event("u\(i)", "b", Double(i + 1))] : [])
                    }
                    #expect(try await cluster.send(events).status == 200)
                }
                let plain = try await cluster.counts(["a", "b"])
                #expect(plain == [users, (users + 2) / 3])
                func ask(_ property: String, k: Int) async throws -> (rows: [JSONValue], other: JSONValue) {
                    let report = try await cluster.query([
                        "funnel": ["steps": ["a", "b"]], "breakdown": ["property": .text(property), "touch": "step:1", "k": .count(k)],
                    ])
                    let rows = try #require(report["breakdown"]?["rows"]?.asArray)
                    let other = try #require(report["breakdown"]?["other"])
                    #expect(Report(report).counts == plain && rows.count == k + 1)
                    #expect(rows.last?["value"] == .null && rows.last?["entered"] == .count(users / 50))
                    for i in plain.indices {
                        #expect((rows + [other]).reduce(0) { $0 + Report($1).counts[i] } == plain[i], "\(property), step \(i + 1)")
                    }
                    return (Array(rows.dropLast()), other)
                }
                // Of the users without a value 40 would have had a big one, 10 each those of an even number.
                let big = try await ask("mixed", k: 8)
                #expect(big.rows.map { $0["entered"] } == [250, 250, 250, 250, 240, 240, 240, 240])
                #expect(big.rows.map { $0["value"] } == [1, 3, 5, 7, 0, 2, 4, 6].map { .text("big \($0)") })
                let values = 98 + users - 2_300 - (users - 2_300) / 50
                let range = (big.other["values_range"]?.asArray ?? []).compactMap { $0.asInteger.map(Int.init) }
                try #require(range.count == 2 && big.other["values"] == .null)
                #expect(range[0] <= values && range[1] >= values, "\(range)")
                // Three users each, whom the two shards share, and with one of them a shard does not tell the value.
                let named = try await ask("mixed", k: 12)
                #expect(named.rows.dropFirst(8).map { $0["entered"] } == [3, 3, 3, 3])
                #expect(named.rows.dropFirst(8).map { $0["value"] } == ["z 1", "z 10", "z 11", "z 12"])
                let flat = try await ask("flat", k: 3)
                #expect(flat.rows.map { $0["entered"] } == [2, 2, 2] && flat.rows.map { $0["value"] } == [1, 10, 10_001])
                #expect(flat.other["values"] == .count(users / 2 - 3))
            }
        }

        /// More values than a shard tells apart are an error that names the property, and not a missing shard. With many
        /// steps they are fewer.
        @Test func tooManyValuesNameTheProperty() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let steps = ["a"] + (2...Limits.stepsPerFunnel).map { "s\($0)" }
                let values = Limits.breakdownCounts / Limits.stepsPerFunnel + 1
                for start in stride(from: 0, to: values, by: 8_192) {
                    let events = (start..<min(values, start + 8_192)).map { i in
                        event("u\(i)", "a", Double(i), properties: ["n": .count(i), "half": .count(i / 2)])
                    }
                    #expect(try await cluster.send(events).status == 200)
                }
                func ask(_ property: String) async throws -> HTTP.Answer {
                    let body: JSONValue = [
                        "funnel": ["steps": .array(steps.map { .text($0) })], "breakdown": ["property": .text(property)],
                        "allow_partial": true,
                    ]
                    return try await HTTP.call("POST", cluster.coordinatorHTTP, "/v1/query", body: body.encode())
                }
                let refused = try await ask("n")
                #expect(refused.status == 422)
                #expect(refused.json["errors"]?.asArray?.map { $0["field"] } == ["breakdown.property"])
                #expect(refused.text.contains("\(values - 1) distinct values"))
                let taken = try await ask("half")
                #expect(taken.status == 200 && taken.json["breakdown"]?["other"]?["values"] == .count(values / 2 + 1 - 10))
            }
        }
    }
}

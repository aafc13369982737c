import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// What the command line prints: nothing is left out, kinds are told apart, and no text of a client does anything.
    struct CommandOutputTests {
        private static let day = 86_400.0
        private static let red = "\u{1B}[31mred"

        @Test func nothingIsLeftOut() async throws {
            try await Cluster.with(shards: 2) { cluster in
                var events: [JSONValue] = []
                for (i, value) in [0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4].enumerated() {
                    events.append(
                        event("u\(i)", "view", Double(i), properties: ["c": .text("v\(value)"), "arm": .text(i % 2 == 0 ? "a" : "b")]))
                    if i % 3 == 0 { events.append(event("u\(i)", "buy", Double(i) + 5)) }
                }
                events += [event("none", "view", Self.day), event("none", "buy", Self.day + 9)]
                #expect(try await cluster.send(events).status == 200)
                try await breakdown(cluster)
                try await periods(cluster)
                try await parts(cluster)
            }
        }

        private func csv(_ cluster: Cluster, _ arguments: [String]) async throws -> [[[String: String]]] {
            let told = try await Command.run(
                "sluice", ["query", "--steps", "view,buy", "--to", cluster.coordinatorWire, "--format", "csv"] + arguments)
            #expect(told.status == 0, "\(told.err)")
            return Self.tables(told.out)
        }

        /// Tables of rows by column.
        private static func tables(_ text: String) -> [[[String: String]]] {
            text.trimmingCharacters(in: .newlines).components(separatedBy: "\n\n").map { table in
                let lines = table.components(separatedBy: "\n").map(cells)
                return lines.dropFirst().map { cells in
                    #expect(cells.count == lines[0].count, "\(table)")
                    return Dictionary(uniqueKeysWithValues: zip(lines[0], cells))
                }
            }
        }

        /// Quotes are left where they are.
        private static func cells(_ line: String) -> [String] {
            var cells = [""]
            var isQuoted = false
            for character in line {
                if character == "\"" { isQuoted.toggle() }
                if character == ",", !isQuoted { cells.append("") } else { cells[cells.count - 1].append(character) }
            }
            return cells
        }

        private static func sum(_ rows: [[String: String]], _ column: String) -> Int {
            rows.reduce(0) { $0 + (Int($1[column] ?? "") ?? 0) }
        }

        private func breakdown(_ cluster: Cluster) async throws {
            let rows = try await csv(cluster, ["--breakdown", "c", "--k", "2"])[0]
            #expect(rows.map { $0["row"] } == ["\"value\"", "\"value\"", "\"no_value\"", "\"other\""])
            #expect(rows.map { $0["value"] } == ["\"v0\"", "\"v1\"", "", ""] && rows.map { $0["entered"] } == ["3", "3", "1", "6"])
            #expect(rows[3]["values_least"] == "3" && rows[3]["values_most"] == "3")
            let report = try await cluster.query(["funnel": ["steps": ["view", "buy"]], "breakdown": ["property": "c", "k": 2]])
            for (i, key) in ["entered", "converted"].enumerated() {
                #expect(
                    Self.sum(rows, key) == Report(report).counts[i] && Self.sum(rows, "step_\(i + 1)_count") == Report(report).counts[i])
            }
            let first = report["breakdown"]?["rows"]?.asArray?[0]
            let interval = first?["conversion_ci"]?.asArray?.compactMap(\.asDouble)
            #expect(["low", "high"].compactMap { Double(rows[0]["conversion_ci_\($0)"] ?? "") } == interval)
            for key in ["conversion_from_first", "conversion_from_previous", "dropoff"] {
                let want = first?["steps"]?.asArray?[1][ByteString(key)]?.asDouble
                #expect(rows[0]["step_2_\(key)"].flatMap { Double($0) } == want, "\(key)")
            }
        }

        private func periods(_ cluster: Cluster) async throws {
            let range = ["--start", "2023-11-15", "--end", "2023-11-15", "--compare", "previous_period"]
            let rows = try await csv(cluster, range)[0]
            #expect(rows.map { $0["count"] } == ["1", "1"] && rows.map { $0["previous_count"] } == ["12", "4"])
            #expect(rows.map { $0["change_count"] } == ["-11", "-3"] && rows[1]["previous_dropoff"] == "8")
            #expect(
                rows[1]["previous_start"] == "\"2023-11-14T00:00:00Z\""
                    && rows[1]["change_conversion_from_first"]?.hasPrefix("0.66") == true)
            let both = try await csv(cluster, range + ["--breakdown", "c"])
            #expect(both.count == 2 && both[0][0]["row"] != nil && both[1].map { $0["previous_count"] } == ["12", "4"])
        }

        private func parts(_ cluster: Cluster) async throws {
            let trend = try await csv(cluster, ["--trend", "day"])[0]
            #expect(trend.map { $0["step_1_count"] } == ["12", "1"] && trend.map { $0["step_2_count"] } == ["4", "1"])
            let file = cluster.directory.appendingPathComponent("v0.json")
            try Data(#"{"where": [{"property": "c", "op": "=", "value": "v0"}]}"#.utf8).write(to: file)
            let segments = try await csv(cluster, ["--segment", "v0=\(file.path)"])[0]
            #expect(segments.map { $0["row"] } == ["\"whole\"", "\"segment\""] && segments.map { $0["entered"] } == ["13", "3"])
            #expect(segments[1]["step_2_median_seconds"] == "5" && segments[1]["step_2_open"] == "0", "\(segments[1])")
            let variants = try await csv(cluster, ["--variants", "arm", "--control", "a"])[0]
            #expect(variants.map { $0["row"] } == ["\"variant\"", "\"variant\"", "\"no_value\""] && Self.sum(variants, "entered") == 13)
            #expect(
                variants[0]["difference"] == "" && Double(variants[1]["difference_ci_low"] ?? "") != nil
                    && variants[1]["several_values"] == "0")
            #expect(variants.map { $0["planned_share"] } == ["0.5", "0.5", ""])
            let steps = try await csv(cluster, [])[0]
            #expect(steps.map { $0["step"] } == ["\"view\"", "\"buy\""] && Double(steps[1]["dropout_rate_ci_low"] ?? "") != nil)
            #expect(steps.map { $0["expected_conversions"] } == ["", "5"])
        }

        @Test func kindsAreToldApart() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let values: [JSONValue?] = [
                    "false", false, "", "1", 1, nil, "(other)", "(none)", "pro", " pro", "=1+1", "'x", .text(Self.red),
                ]
                let events = values.enumerated().map { i, value in
                    event("u\(i)", "view", Double(i), properties: value.map { .object([.init("c", $0)]) } ?? [:])
                }
                #expect(try await cluster.send(events).status == 200)
                let common = ["query", "--steps", "view", "--to", cluster.coordinatorWire, "--breakdown", "c", "--k", "100"]
                let table = try await Command.run("sluice", common)
                let lines = table.out.components(separatedBy: "\n").drop { !$0.hasPrefix("c (first)") }.dropFirst()
                let names = lines.compactMap { $0.isEmpty ? nil : $0.prefix(32).trimmingCharacters(in: .whitespaces) }
                #expect(
                    Set(names) == [
                        "\"false\"", "false", "\"\"", "\"1\"", "1", "(none)", "\"(other)\"", "\"(none)\"", "pro", "\" pro\"", "=1+1", "'x",
                        "␛[31mred",
                    ], "\(table.out)")
                let csv = try await Command.run("sluice", common + ["--format", "csv"])
                let cells = Self.tables(csv.out)[0].map { [$0["row"] ?? "", $0["kind"] ?? "", $0["value"] ?? ""] }
                let want = [
                    ["value", "text", "\"false\""], ["value", "boolean", "false"], ["value", "text", "\"\""], ["value", "text", "\"1\""],
                    ["value", "number", "1"], ["no_value", "", ""], ["value", "text", "\"(other)\""], ["value", "text", "\"(none)\""],
                    ["value", "text", "\"pro\""], ["value", "text", "\" pro\""], ["value", "text", "\"'=1+1\""],
                    ["value", "text", "\"''x\""],
                    ["value", "text", "\"␛[31mred\""],
                ].map { ["\"\($0[0])\"", "\"\($0[1])\"", $0[2]] }
                #expect(Set(cells) == Set(want) && cells.count == want.count, "\(csv.out)")
            }
        }

        @Test func errorsAreToldInWords() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let broken = cluster.directory.appendingPathComponent("broken.json")
                try Data(#"{"steps": ["#.utf8).write(to: broken)
                let wire = ["--to", cluster.coordinatorWire]
                let commands = [
                    ["query", "--file", broken.path] + wire, ["query", "--file", "/nowhere"] + wire,
                    ["query", "--steps", "a", "--segment", "s=\(broken.path)"] + wire, ["query", "--steps", "a", "--to", "127.0.0.1:1"],
                    ["query", "none"] + wire, ["query", "--steps", "a", "--start", "soon"] + wire,
                    ["funnels", "list", "--to", "127.0.0.1:1"],
                    ["funnels", "apply", broken.path, "--to", cluster.coordinatorHTTP], ["generate", "--from", "yesterday"],
                    ["generate", "--out", "/nowhere/e.ndjson"], ["compact", "/nowhere"], ["verify", "/nowhere"],
                    ["up", "--any-port", "--data", "/proc/nowhere"],
                ]
                for command in commands {
                    let told = try await Command.run("sluice", command)
                    #expect(
                        told.status != 0 && !(told.out + told.err).isEmpty && Self.isInWords(told.out + told.err),
                        "\(command): \(told.out)\(told.err)")
                }
                let refused = try await Command.run("sluice", ["query", "--steps", "a", "--to", "127.0.0.1:1"])
                #expect(refused.err == "Error: cannot connect to 127.0.0.1:1: Connection refused\n", "\(refused.err)")
                let noFile = try await Command.run("sluice", ["query", "--steps", "a", "--to", "127.0.0.1:1", "--tls-ca", "/nowhere"])
                #expect(noFile.err.contains("there is no such file (/nowhere)"), "\(noFile.err)")
                let malformed = try await Command.run("sluice", ["query", "--file", broken.path] + wire)
                #expect(malformed.err.contains("broken.json: malformed JSON at byte 11: "), "\(malformed.err)")
                let bodies = [#"[{"user_id": "u", "event": "e", "timestamp": "soon"}]"#, "[{", "{}", "[7]"]
                for body in bodies {
                    let answer = try await HTTP.call("POST", cluster.ingestHTTP, "/v1/events", body: Array(body.utf8))
                    #expect(Self.isInWords(answer.text), "\(answer.text)")
                }
                // Events that came in another form than their type says.
                let single = #"{"user_id":"u","event":"e","timestamp":1700000000}"#
                for (body, advice) in [
                    (single, "; or send one event to /track-event"),
                    (single + "\n" + single, "text after the value; for one event a line send Content-Type: application/x-ndjson"),
                ] {
                    let answer = try await HTTP.call("POST", cluster.ingestHTTP, "/v1/events", body: Array(body.utf8))
                    #expect(answer.json["detail"]?.asString?.string.contains(advice) == true, "\(answer.text)")
                }
                #expect(Self.isInWords(cluster.log), "\(cluster.log)")
            }
        }

        /// Not in Swift's own form, as of `JSONError(offset: 81, …)`.
        private static func isInWords(_ text: String) -> Bool {
            text.firstMatch(of: #/\w*(?:Error|Fault|Problem)\(|offset: |reason: "|Domain=|errno \d/#) == nil
        }

        @Test func noTextOfAClientDoesAnything() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let odd = "日本\u{202E}\u{9B}31m"
                #expect(
                    try await cluster.send([event(Self.red, Self.red, 0), event(Self.red, odd, 5), event("u", Self.red, 9)]).status == 200)
                let saved: JSONValue = ["steps": [.text(Self.red), .text(odd)], "window_duration": "1h"]
                #expect(try await HTTP.call("PUT", cluster.coordinatorHTTP, "/v1/funnels/odd", body: saved.encode()).status == 201)
                let query = ["query", "odd", "--to", cluster.coordinatorWire]
                func reports(_ arguments: String...) -> [String] { arguments + query.dropFirst() }
                let funnels = ["--to", cluster.coordinatorHTTP]
                let broken = cluster.directory.appendingPathComponent("broken.json")
                try Data(#"{"funnel_id": "x", "steps": ["\#(Self.red.replacing("\u{1B}", with: "\\u001b"))", 7], "a\u009b": 1}"#.utf8)
                    .write(to: broken)
                let commands = [
                    query, query + ["--format", "csv"], query + ["--format", "json"], query + ["--explain", Self.red],
                    query + ["--paths-after", "2"],
                    query + ["--predict", "2"], query + ["--breakdown", Self.red],
                    reports("explain", "--user", Self.red), reports("paths", "--after", "2", "--format", "csv"),
                    reports("predict", "--format", "csv"), reports("times"), reports("users", "list", "--converted"),
                    reports("users", "list", "--converted", "--format", "csv"), reports("users", "list", "--reached", "1", "--limit", "1"),
                    reports("users", "list", "--converted", "--format", "json"), reports("times", "--from-step", Self.red),
                    ["query", "--steps", "a,b", "--to", cluster.coordinatorWire, "--order", Self.red],
                    ["query", "--file", broken.path, "--to", cluster.coordinatorWire], ["funnels", "list"] + funnels,
                    ["funnels", "get", "odd"] + funnels,
                    ["funnels", "apply", broken.path] + funnels,
                ]
                for command in commands {
                    let told = try await Command.run("sluice", command)
                    let unseen = (told.out + told.err).unicodeScalars.filter {
                        $0 != "\n" && ($0.value < 0x20 || (0x7F...0x9F).contains($0.value) || $0 == "\u{202E}")
                    }
                    #expect(unseen.isEmpty && !(told.out + told.err).isEmpty, "\(command): \(told.out)\(told.err)")
                }
                let table = try await Command.run("sluice", query)
                #expect(table.out.contains("1. ␛[31mred") && table.out.contains("2. 日本<U+202E><U+009B>31m"), "\(table.out)")
            }
        }
    }
}

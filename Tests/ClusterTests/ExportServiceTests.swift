import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// Stored events written out and stored elsewhere, on real processes.
    struct ExportServiceTests {
        /// Values that a text form may change.
        private static let nasty: [JSONValue] = [
            "007", "1.0", "1e3", "true", "null", "", " ", " x ", "=1+2", "'", "\"quoted\"", "a,b;c\td", "line\nend\r\n", "\u{0}",
            "\u{1}\u{7F}", "é🎉",
            "\\u0041", "[1,2]", "{\"a\":1}", "NaN", 0, -1, 7, 9_223_372_036_854_775_807, -9_223_372_036_854_775_808, 9_007_199_254_740_993,
            0.1,
            -2.5, 1e300, 5e-324, 1.7976931348623157e308, 0.30000000000000004, true, false,
        ]

        /// Events of 40 users: equal times, ids or none, equal events, profile records, both ids, keys with points.
        private static var events: [JSONValue] {
            var all: [JSONValue] = []
            for user in 0..<40 {
                for i in 0..<12 {
                    let properties: JSONValue = .object([
                        .init("value", nasty[(user * 12 + i) % nasty.count]), .init("a.b", .count(i)), .init("plan", .text("p\(user % 3)")),
                    ])
                    all.append(
                        event(
                            "user \"\(user)\"", ["Visit", "Cart", "Buy"][i % 3], Double(i / 4), id: i % 2 == 0 ? "id-\(i)" : nil,
                            properties: properties))
                }
                // Equal in all, and each counts.
                for _ in 0..<2 { all.append(event("user \"\(user)\"", "Twice", 9)) }
                all.append(event("user \"\(user)\"", "$set", 3, id: "s", properties: ["level": .count(user % 4)]))
                all.append(event("user \"\(user)\"", "$set_once", 1, id: "o", properties: ["source": "first"]))
                var both = event("user \"\(user)\"", "Login", 5, id: "l").asObject ?? []
                both.append(.init("anonymous_id", .text("device,\(user)")))
                all.append(.object(both))
            }
            return all
        }

        private static let questions: [JSONValue] = [
            ["funnel": ["steps": ["Visit", "Cart", "Buy"], "window_duration": "1d"], "breakdown": ["property": "plan"]],
            ["funnel": ["steps": ["Twice", "Twice"], "window_duration": "1d", "conversion_order": ["flexible": ["limit": "1s"]]]],
            ["funnel": ["steps": ["Visit", "Login"], "window_duration": "1d"], "breakdown": ["property": "user.level"]],
            ["funnel": ["steps": ["Visit", "Buy"], "window_duration": "1d"], "breakdown": ["property": "value", "k": 100]],
        ]

        private func answers(_ cluster: Cluster) async throws -> [JSONValue] {
            var all: [JSONValue] = []
            for question in Self.questions {
                let asked: JSONValue = .object((question.asObject ?? []) + [.init("as_of", "2030-01-01T00:00:00Z")])
                let answer = try await cluster.query(asked)
                all.append(.object((answer.asObject ?? []).filter { $0.key != "completeness" }))
            }
            return all
        }

        private func page(_ cluster: Cluster, _ query: String, _ cursor: String?) async throws -> HTTP.Answer {
            let more = cursor.map { "&cursor=\($0)" } ?? ""
            return try await HTTP.call("GET", cluster.coordinatorHTTP, "/v1/export/events?\(query)\(more)")
        }

        private func lines(_ text: String) -> [String] { text.split(separator: "\n").map(String.init) }

        private func export(_ cluster: Cluster, _ options: [String] = []) async throws -> Command.Result {
            try await Command.run("sluice", ["export", "--to", cluster.coordinatorHTTP] + options)
        }

        @Test(arguments: ["ndjson", "csv"])
        func whatIsLoadedElsewhereGivesEqualAnswers(format: String) async throws {
            try await Cluster.with(shards: 2) { cluster in
                #expect(try await cluster.send(Self.events).status == 200)
                let file = cluster.directory.appendingPathComponent("events.\(format).gz")
                let done = try await export(cluster, ["--format", format, "--output", file.path])
                // With a claim of each user.
                #expect(done.status == 0 && done.err.contains("\(Self.events.count + 40) events"), "\(done.err)")
                #expect(!FileManager.default.fileExists(atPath: file.path + ".cursor"))
                let whole = lines(try await export(cluster).out).sorted()
                let expected = try await answers(cluster)
                try await Cluster.with(shards: 3) { other in
                    let options = ["--preset", "sluice-export", "--row-ids", "none", "--to", other.ingestWire]
                    let loaded = try await Command.run("sluice", ["load", file.path] + options)
                    #expect(loaded.status == 0, "\(loaded.err)")
                    let found = lines(try await export(other).out).sorted()
                    #expect(found == whole, "\(Set(found).symmetricDifference(whole).prefix(4))")
                    #expect(try await answers(other) == expected)
                }
            }
        }

        @Test func pagesGoOnThroughKillsAndNewEvents() async throws {
            try await Cluster.with(shards: 2) { cluster in
                #expect(try await cluster.send(Self.events).status == 200)
                let before = lines(try await export(cluster).out)
                var found: [String] = []
                var cursor: String?
                var asOf: Set<String> = []
                for number in 0..<10_000 {
                    let answer = try await page(cluster, "limit=17", cursor)
                    #expect(answer.status == 200, "\(answer.text)")
                    let mine = lines(answer.text)
                    #expect(answer.headers["sluice-events"] == "\(mine.count)" && mine.count <= 17)
                    asOf.insert(answer.headers["sluice-as-of"] ?? "")
                    found += mine
                    cursor = answer.headers["sluice-cursor"]
                    if cursor == nil { break }
                    if number % 3 == 0 { #expect(try await cluster.send([event("late-\(number)", "Late", 1, id: "x")]).status == 200) }
                    if number == 5 {
                        for shard in 0..<2 { kill(cluster.pid(ByteString("shard-\(shard)")), SIGKILL) }
                        kill(cluster.pid("coordinator"), SIGKILL)
                        try await Task.sleep(for: .milliseconds(200))
                        try await cluster.untilReady()
                    }
                }
                #expect(cursor == nil && asOf.count == 1, "\(asOf)")
                #expect(found.filter { !$0.contains("\"Late\"") } == before)
                let late = found.filter { $0.contains("\"Late\"") }
                #expect(Set(late).count == late.count)
            }
        }

        @Test func aTornFileIsTakenUp() async throws {
            try await Cluster.with(shards: 2) { cluster in
                #expect(try await cluster.send(Self.events).status == 200)
                let whole = try await export(cluster).out
                let file = cluster.directory.appendingPathComponent("events.ndjson")
                let first = try await page(cluster, "format=ndjson&limit=50", nil)
                let state: JSONValue = [
                    "query": "format=ndjson", "cursor": .text(first.headers["sluice-cursor"] ?? ""),
                    "as_of": .text(first.headers["sluice-as-of"] ?? ""), "bytes": .count(first.body.count), "events": 50,
                ]
                try Data(first.body + Array("{\"user_id\":\"half of a l".utf8)).write(to: file)
                try Data(state.encode()).write(to: URL(fileURLWithPath: file.path + ".cursor"))
                let other = try await export(cluster, ["--output", file.path, "--event", "Visit"])
                #expect(other.status == 1 && other.err.contains("other options"), "\(other.err)")
                let done = try await export(cluster, ["--output", file.path])
                #expect(done.status == 0 && done.err.contains("has 50 events"), "\(done.err)")
                #expect(try String(contentsOf: file, encoding: .utf8) == whole)
                let again = try await export(cluster, ["--output", file.path])
                #expect(again.status == 1 && again.err.contains("exists"), "\(again.err)")
            }
        }

        @Test func faultsNameTheParameter() async throws {
            try await Cluster.with(shards: 1) { cluster in
                #expect(try await cluster.send(Self.events).status == 200)
                let cursor = try await page(cluster, "limit=1", nil).headers["sluice-cursor"] ?? ""
                for (query, cursor, field) in [
                    ("limit=0", nil, "limit"), ("limit=65537", nil, "limit"), ("start=yesterday", nil, "start"),
                    ("format=json", nil, "format"),
                    ("event=", nil, "event"), ("event=%00identify", nil, "event"), ("user=", nil, "user"),
                    ("as_of=2026-01-01", nil, "as_of"),
                    ("limit=1", "AAAA", "cursor"), ("limit=1&event=Visit", cursor, "cursor"), ("limit=1", cursor + "A", "cursor"),
                ] as [(String, String?, String)] {
                    let answer = try await page(cluster, query, cursor)
                    let fields = (answer.json["errors"]?.asArray ?? []).compactMap { $0["field"]?.asString?.string }
                    #expect(answer.status == 422 && fields == [field], "\(query): \(answer.status) \(answer.text)")
                }
            }
        }
    }
}

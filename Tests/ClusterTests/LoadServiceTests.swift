import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// `sluice load` against a cluster: what is stored, what is said, what stays behind.
    struct LoadServiceTests {
        private static let head = "user_id,event,timestamp,price\n"

        private struct Loaded {
            var status: Int32
            var err: String
            var rejected: [JSONValue]
        }

        /// Loads a text under one and the same name, as a person does who repairs a file.
        private func load(_ text: String, _ cluster: Cluster, _ options: [String] = []) async throws -> Loaded {
            let file = cluster.directory.appendingPathComponent("events.csv")
            try Data(text.utf8).write(to: file)
            let done = try await Command.run("sluice", ["load", file.path, "--to", cluster.ingestWire] + options)
            let rejects = try? Data(contentsOf: URL(fileURLWithPath: file.path + ".rejected.ndjson"))
            let lines = (rejects ?? Data()).split(separator: 10).map { (try? JSONParser.parse(Array($0))) ?? .null }
            return Loaded(status: done.status, err: done.err, rejected: lines)
        }

        private static let sameSecond: [JSONValue.Member] = [.init("conversion_order", ["flexible": ["limit": "1s"]])]

        @Test func aFileThatGrewOrWasRepairedAddsOnlyWhatIsNew() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let rows = (0..<3).map { "g\($0),Purchase,2026-01-01T10:00:00Z,5\n" }
                for _ in 0..<2 {
                    let done = try await load(Self.head + rows.joined(), cluster)
                    #expect(done.status == 0 && done.err.contains("3 accepted"), "\(done.err)")
                    #expect(done.err.hasSuffix("Rows that were stored before are counted once.\n"), "\(done.err)")
                }
                _ = try await load(Self.head + rows.joined() + "g3,Purchase,2026-01-01T10:00:00Z,5\n", cluster)
                _ = try await load((Self.head + rows.reversed().joined()).replacing("\n", with: "\r\n"), cluster)
                #expect(try await cluster.counts(["Purchase", "Purchase"], more: Self.sameSecond) == [4, 0])

                let bad = try await load(Self.head + "u1,Buy,2026-01-01T10:00:00Z,5\nu2,Buy,bad,5\n", cluster)
                #expect(bad.status == 3 && bad.rejected.count == 1)
                #expect(bad.rejected[0]["line"] == 3 && bad.rejected[0]["last_line"] == 3)
                let mended = try await load(Self.head + "u1,Buy,2026-01-01T10:00:00Z,5\nu2,Buy,2026-01-01T10:00:00Z,5\n", cluster)
                // The rejects of the load before are gone.
                #expect(mended.status == 0 && mended.rejected.isEmpty)
                #expect(try await cluster.counts(["Buy", "Buy"], more: Self.sameSecond) == [2, 0])
                // Rows that are equal in one file are as many events.
                _ = try await load(Self.head + String(repeating: "u,Twice,2026-01-01T10:00:00Z,5\n", count: 2), cluster)
                #expect(try await cluster.counts(["Twice", "Twice"], more: Self.sameSecond) == [1, 1])
            }
        }

        @Test func idsOfEarlierVersionsAreStillToBeHad() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let text = Self.head + "u,Old,2026-01-01T10:00:00Z,5\n"
                for _ in 0..<2 { #expect(try await load(text, cluster, ["--row-ids", "file"]).status == 0) }
                #expect(try await cluster.counts(["Old", "Old"], more: Self.sameSecond) == [1, 0])
                _ = try await load(text, cluster)
                #expect(try await cluster.counts(["Old", "Old"], more: Self.sameSecond) == [1, 1])
            }
        }

        @Test func faultsAreToldInWordsWithLines() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let some = try await load(
                    Self.head
                        + "u1,View,2026-01-01T10:00:00Z,5\n\nu2,View,2026-01-01T10:00:00Z,\"half\nu3,View,2026-01-01T10:00:00Z,12.50\n",
                    cluster)
                #expect(some.status == 3 && some.err.contains("2 accepted, 1 rejected") && some.rejected[0]["line"] == 4)
                #expect(some.err.contains("Column \"price\" came out mixed, 1 number and 1 text: "))
                let none = try await load("who,event,timestamp\nu1,View,2026-01-01\n", cluster)
                #expect(
                    none.status == 1
                        && none.err.contains(
                            "there is no column \"user_id\" (--user-id); the columns are \"who\", \"event\", \"timestamp\"")
                )
                let lacking = try await load(Self.head, cluster, ["--anonymous-id", "device"])
                #expect(lacking.status == 1 && lacking.err.contains("(--anonymous-id)"))
                for done in [some, none, lacking] { #expect(!done.err.contains("FileFault(") && !done.err.contains("Error(")) }
                // A file that is none costs the others nothing.
                let file = cluster.directory.appendingPathComponent("events.csv")
                try Data((Self.head + "u9,Last,2026-01-01,1\n").utf8).write(to: file)
                let nobody = try await Command.run("sluice", ["load", "\(cluster.directory.path)/events.csv", "--to", "127.0.0.1:9"])
                #expect(nobody.status == 1 && nobody.err.contains("127.0.0.1:9 does not answer: cannot connect: "))
                let both = try await Command.run("sluice", ["load", "/nowhere.csv", file.path, "--to", cluster.ingestWire])
                #expect(both.status == 1 && both.err.contains("there is no file /nowhere.csv"))
                #expect(try await cluster.counts(["Last"]) == [1])
            }
        }

        /// A file that was probably not meant to be CSV: the error says why it was, and what to do.
        @Test func filesOfAnotherFormatGetAHint() async throws {
            let folder = try Cluster.temporaryDirectory()
            defer { try? FileManager.default.removeItem(at: folder) }
            let object = String(decoding: event("u", "a", 0).encode(), as: UTF8.self) + "\n"
            let cases = [
                ("note.ndjson", "events of May\n" + object, 1, "is not a JSON object, so the file was read as CSV, but line 2 is one."),
                ("head.ndjson", "user_id,event,timestamp\n\n" + object, 3, "If the file is NDJSON: tail -n +3 "),
                ("table.ndjson", "who;what;when\nu;a;2026-01-01\n", 1, "was read as CSV in spite of its name. For CSV, --user-id, "),
                ("bare.csv", "u,a,2026-01-01T10:00:00Z\n", 1, "If the file has no header, name the columns: --no-header --columns a,b,c"),
            ]
            for (name, text, status, hint) in cases {
                let file = folder.appendingPathComponent(name)
                try Data(text.utf8).write(to: file)
                let done = try await Command.run("sluice", ["load", file.path, "--dry-run"])
                #expect(done.status == Int32(status) && (done.out + done.err).contains(hint), "\(name): \(done.out)\(done.err)")
            }
            let other = folder.appendingPathComponent("table.csv")
            try Data("who;what;when\nu;a;2026-01-01\n".utf8).write(to: other)
            let done = try await Command.run("sluice", ["load", other.path, "--dry-run"])
            #expect(done.status == 1 && !done.err.contains("Line 1"), "\(done.err)")
        }

        /// S9: a shard that hangs is named while the load waits for it, and the load goes on once it works again.
        @Test func aLoadSaysWhatItWaitsFor() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let file = cluster.directory.appendingPathComponent("events.csv")
                try Data((Self.head + (0..<20).map { "u\($0),Wait,2026-01-01T10:00:00Z,5\n" }.joined()).utf8).write(to: file)
                kill(cluster.pid("shard-1"), SIGSTOP)
                defer { kill(cluster.pid("shard-1"), SIGCONT) }
                let log = cluster.directory.appendingPathComponent("load.log")
                let load = try Command.spawn("sluice", ["load", file.path, "--to", cluster.ingestWire], log: log.path)
                var said = ""
                for _ in 0..<250 where !said.contains("still trying") {
                    try await Task.sleep(for: .milliseconds(100))
                    said = try String(contentsOf: log, encoding: .utf8)
                }
                #expect(load.isRunning && said.contains("\(cluster.ingestWire): nothing was stored for 1"), "\(said)")
                #expect(said.contains(" s: no answer from shard-1; still trying. Ctrl-C is safe: what is stored "), "\(said)")
                kill(cluster.pid("shard-1"), SIGCONT)
                await Command.wait(load)
                #expect(load.terminationStatus == 0)
                #expect(try await cluster.counts(["Wait"]) == [20])
            }
        }

        private func rows(_ count: Int, _ event: String) -> String {
            Self.head + (0..<count).map { "u\($0),\(event),2026-01-01T10:00:00Z,5\n" }.joined()
        }

        /// A wait over 120 s ends a load that has stored nothing.
        @Test func aLoadNamesTheLimitThatRefusesIt() async throws {
            try await Cluster.with(shards: 1, environment: ["SLUICE_ADDRESS_EVENTS_PER_SECOND": "1"]) { cluster in
                #expect(try await load(rows(1_000, "Much"), cluster).status == 0)
                let refused = try await load(rows(1, "More"), cluster)
                #expect(
                    refused.status == 1
                        && refused.err.contains("nothing was loaded: ingest refuses for address_events_per_second; it takes more in "),
                    "\(refused.err)")
            }
        }

        /// Longer than the patience with an ingest that has never answered.
        @Test func aLoadWaitsAsLongAsARateSays() async throws {
            try await Cluster.with(shards: 1, environment: ["SLUICE_ADDRESS_EVENTS_PER_SECOND": "100"]) { cluster in
                #expect(try await load(rows(1_800, "Much"), cluster).status == 0)
                let waited = try await load(rows(1, "More"), cluster)
                #expect(waited.status == 0 && waited.err.contains("1 accepted"), "\(waited.err)")
                #expect(try await cluster.counts(["More"]) == [1])
            }
        }

        /// Batches that are on their way when the limit is reached are stored; the next one ends the load.
        @Test func aDayThatIsFullEndsALoad() async throws {
            try await Cluster.with(shards: 1, environment: ["SLUICE_ROWS_PER_DAY_MAX": "10"]) { cluster in
                let done = try await load(rows(60_000, "Day"), cluster)
                let said = "gave up, since ingest refuses for rows_per_day_max; it takes more in "
                #expect(done.status == 0 || done.err.contains(said), "\(done.err)")
                let next = try await load(rows(1, "Next"), cluster)
                #expect(next.status == 1 && next.err.contains("nothing was loaded: ingest refuses for rows_per_day_max; "), "\(next.err)")
            }
        }

        /// Every record of a dry run says what becomes of it, and a table names what is left out.
        @Test func aDryRunShowsClaimsAndWhatIsLeftOut() async throws {
            let folder = try Cluster.temporaryDirectory()
            defer { try? FileManager.default.removeItem(at: folder) }
            let export = folder.appendingPathComponent("mp.ndjson")
            let ids = #""distinct_id":"u","time":1767261600"#
            try Data(
                (#"{"event":"a","properties":{"$device_id":"d","$user_id":"u","$insert_id":"i",\#(ids)}}"# + "\n"
                    + #"{"event":"$identify","properties":{"$identified_id":"u","$anon_distinct_id":"$device:d",\#(ids)}}"# + "\n").utf8
            ).write(to: export)
            let shown = try await Command.run(
                "sluice", ["load", export.path, "--preset", "mixpanel-export", "--dry-run", "--format", "json"])
            let lines = try shown.out.split(separator: "\n").map { try JSONParser.parse(Array($0.utf8)) }
            let claim: JSONValue = [["kind": "identify", "child": "d", "parent": "u"]]
            #expect(lines.count == 2 && lines.allSatisfy { $0["claims"] == claim }, "\(shown.out)")
            let users = folder.appendingPathComponent("users.ndjson")
            try Data(
                #"{"event_type":"$identify","event_time":1767261600,"user_id":"u","user_properties":{"$set":{"a":1},"$add":{"c":3}}}"#.utf8
            ).write(to: users)
            let table = try await Command.run("sluice", ["load", users.path, "--preset", "amplitude-export", "--dry-run"])
            #expect(table.status == 0 && table.out.contains("1 stored in part ($add is not supported)"), "\(table.out)")
        }

        @Test func cellsKeepTheirCharacters() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let rows = ["1.1", "1.10", "\"1.10\"", "11.0.1"].enumerated().map { "u\($0),Open,2026-01-01T10:00:00Z,\($1)\n" }
                _ = try await load("user_id,event,timestamp,app_version\n" + rows.joined(), cluster)
                let report = try await cluster.query(["funnel": ["steps": ["Open"]], "breakdown": ["property": "app_version"]])
                let found = report["breakdown"]?["rows"]?.asArray ?? []
                func entered(_ value: JSONValue) -> JSONValue? { found.first { $0["value"] == value }?["entered"] }
                #expect(entered("1.10") == 2 && entered(.double(1.1)) == 1 && entered("11.0.1") == 1)
            }
        }

        /// README's table: each line that loads a file, run on a small file of that shape.
        @Test func everyLineOfTheReadmeLoads() async throws {
            let readme = String(decoding: try Repository.bytes("README.md"), as: UTF8.self)
            let section = try #require(readme.split(separator: "## Load what you have").last?.split(separator: "\n## ").first)
            let spans = section.split(separator: "`", omittingEmptySubsequences: false).enumerated().filter { $0.offset % 2 == 1 }.map(
                \.element)
            let lines = spans.filter { $0.hasPrefix("sluice load ") && $0.contains("--") && !$0.contains(" FILE") }
            #expect(lines.count >= 14)
            try await Cluster.with(shards: 1) { cluster in
                for line in lines {
                    let name = String(line.split(separator: " ")[2])
                    let preset = line.split(separator: "--preset ").dropFirst().first.map(String.init)
                    let folder = try Cluster.temporaryDirectory()
                    defer { try? FileManager.default.removeItem(at: folder) }
                    let content = try #require(try Self.content(of: name, String(line), preset: preset), "\(line) has no file in this test")
                    try Data(content).write(to: folder.appendingPathComponent(name))
                    let command = "cd '\(folder.path)' && PATH='\(Cluster.programs.path)':$PATH \(line) --to \(cluster.ingestWire)"
                    let done = try await Command.run("/bin/sh", ["-c", command])
                    #expect(done.status == (preset == nil ? 0 : 3) || done.status == 0, "\(line): \(done.err)")
                    #expect(!done.err.contains(": 0 accepted"), "\(line): \(done.err)")
                }
            }
        }

        private static func content(of name: String, _ line: String, preset: String?) throws -> [UInt8]? {
            if let preset {
                let samples = try FileManager.default.contentsOfDirectory(
                    atPath: Repository.root.appendingPathComponent("Tests/Files/samples").path)
                guard let sample = samples.sorted().first(where: { $0.hasPrefix(preset) && !$0.contains("expected") }) else { return nil }
                return try Repository.bytes("Tests/Files/samples/\(sample)")
            }
            let texts: [(option: String, text: String)] = [
                ("--user-id customer", "customer,status,changed_at\nc1,paid,2026-01-01T10:00:00Z\n"),
                ("--timestamp-format", "user_id;event;timestamp\nu1;Buy;31/12/2024 23:05\n"),
                ("--no-header", "u1\tView\t2026-01-01 10:00:00\tpro\n"),
                ("--json-column", "user_id,event,timestamp,properties\nu1,View,2026-01-01,\"{\"\"plan\"\":\"\"pro\"\"}\"\n"),
                (
                    "--anonymous-id",
                    "{\"account\":{\"id\":7},\"event\":\"A\",\"timestamp\":1767261600,\"device_id\":\"d\"}\n{\"event\":\"A\",\"timestamp\":1767261600,\"device_id\":\"d\"}\n"
                ),
            ]
            return texts.first { line.contains($0.option) }.map { Array($0.text.utf8) }
        }
    }
}

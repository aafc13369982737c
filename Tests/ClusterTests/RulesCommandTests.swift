import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// `sluice rules check`: what it shows, and its exit status. No cluster runs.
    struct RulesCommandTests {
        private static let rules = """
            # Names of two apps.
            rules:
              - rename_events: [sign_up, Sign Up]
                to: Signup
              - drop_events: [debug_]
                match: prefix
              - drop_properties: password
              - cast_properties: price
                to: number
                otherwise: reject
              - default_property: plan
                value: free
                events: Signup
              - missing_timestamp: events
                to: server_time
            """
        private static let events = """
            {"user_id":"u","event":"sign_up","timestamp":1700000000,"event_id":"1","properties":{"password":"secret","price":"12.50"}}
            {"user_id":"u","event":"Visit","timestamp":1700000000,"properties":{"a":1}}

            {"user_id":"u","event":"debug_x","timestamp":1700000000}
            {"user_id":"u","event":"Visit","timestamp":1700000000,"properties":{"price":"no"}}
            {"user_id":"","event":"Visit","timestamp":1700000000}
            {"user_id":"u","event":"Visit","event_id":"2"}

            """

        private func check(_ rules: String, _ events: String, _ options: [String] = []) async throws -> Command.Result {
            let folder = try Cluster.temporaryDirectory()
            defer { try? FileManager.default.removeItem(at: folder) }
            let files = ["rules.yaml", "events.ndjson"].map { folder.appendingPathComponent($0) }
            for (file, text) in zip(files, [rules, events]) { try Data(text.utf8).write(to: file) }
            return try await Command.run("sluice", ["rules", "check", files[0].path] + options + [files[1].path])
        }

        @Test func theTableShowsWhatChanges() async throws {
            let done = try await check(Self.rules, Self.events)
            #expect(done.status == 3 && done.err.isEmpty, "\(done.err)")
            let lines = done.out.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            #expect(
                Array(lines.prefix(8)) == [
                    "line 1  sign_up → Signup", "  - password  secret", "  + plan      free", "  ~ price     \"12.50\" → 12.5",
                    "line 4  debug_x  dropped (rules[1])", "line 5  Visit  rejected: properties.price: is no number (rules[3])",
                    "line 6  rejected: user_id: must not be empty", "line 7  Visit",
                ])
            #expect(lines[8].hasPrefix("  + timestamp  20") && lines[8].hasSuffix("(the server's time)"), "\(lines[8])")
            #expect(lines.suffix(2) == ["6 events: 1 unchanged, 2 changed, 1 dropped, 2 rejected (1 of them not by a rule)", ""])
            // No text of a terminal's own goes to a file.
            #expect(!done.out.contains("\u{1B}"))
        }

        @Test func jsonHasEveryEventThatChanges() async throws {
            let done = try await check(Self.rules, Self.events, ["--format", "json"])
            let lines = try done.out.split(separator: "\n").map { try JSONParser.parse(Array($0.utf8)) }
            #expect(lines.map { $0["line"]?.asInteger } == [1, 4, 5, 6, 7])
            #expect(lines[0]["before"]?["event"] == "sign_up" && lines[0]["after"]?["event"] == "Signup")
            #expect(lines[0]["after"]?["properties"] == ["plan": "free", "price": 12.5])
            #expect(lines[1]["dropped"] == "rules[1]" && lines[1]["after"] == nil)
            #expect(lines[3]["before"] == nil)
            #expect(lines[4]["before"]?["timestamp"] == .null && lines[4]["server_time"] == true)
        }

        @Test func manyEventsAreCounted() async throws {
            let line = #"{"user_id":"u","event":"sign_up","timestamp":1700000000}"# + "\r\n"
            let done = try await check(Self.rules, String(repeating: line, count: 25_000))
            #expect(done.status == 0)
            #expect(done.out.contains("… 24,980 more that change; --format json shows all\n"))
            #expect(done.out.hasSuffix("25,000 events: 0 unchanged, 25,000 changed, 0 dropped, 0 rejected\n"))
            #expect(done.out.contains("line 20  sign_up → Signup\n") && !done.out.contains("line 21"))
        }

        @Test func anEndpointHasItsOwnRuleForTimestamps() async throws {
            let event = #"{"user_id":"u","event":"Visit"}"#
            let track = try await check(Self.rules, event, ["--endpoint", "track_event"])
            #expect(track.status == 3 && track.out.hasPrefix("line 1  rejected: timestamp: field required\n"), "\(track.out)")
            #expect(try await check(Self.rules, event, ["--endpoint", "segment"]).status == 0)
            let wrong = try await check(Self.rules, event, ["--endpoint", "wire"])
            #expect(wrong.status == 64)
        }

        @Test func faultsOfRulesAreNamed() async throws {
            let faulty = try await check("rules:\n  - rename_events: [a, 404]\n  - drop_events: $set\n", Self.events)
            #expect(faulty.status == 1 && faulty.out.isEmpty)
            for text in [
                "rules.yaml:\n", "  rules[0].rename_events[1]: must be text, not a number; put it in quotes\n",
                "  rules[0].to: is required\n",
                "  rules[1].drop_events: \"$set\" is a profile record",
            ] {
                #expect(faulty.err.contains(text), "\(faulty.err)")
            }
            let yaml = try await check("rules: [", Self.events)
            #expect(yaml.status == 1 && yaml.err.contains("body: is not YAML: line 2"), "\(yaml.err)")
            let empty = try await check("", Self.events)
            #expect(empty.status == 1 && empty.err.contains("  body: must have a list \"rules\"\n"), "\(empty.err)")
            let missing = try await Command.run("sluice", ["rules", "check", "/nowhere/rules.yaml", "-"])
            #expect(missing.status == 1 && missing.err.contains("there is no file /nowhere/rules.yaml"))
        }

        @Test func aFileWithoutEventsIsExplained() async throws {
            let csv = try await check(Self.rules, "user_id,event,timestamp\nu,a,1700000000\n")
            #expect(csv.status == 3 && csv.err.hasPrefix("No line is an event. Give native events as JSON"), "\(csv.err)")
        }

        /// The file and the output of `Protocol/RULES.md`.
        @Test func thePageShowsWhatTheCommandPrints() async throws {
            let page = String(decoding: try Repository.bytes("Protocol/RULES.md"), as: UTF8.self)
            /// The indented lines from the first one that begins so, without their indentation.
            func block(_ start: String) throws -> String {
                let lines = page.components(separatedBy: "\n").drop { $0 != "    " + start }
                #expect(!lines.isEmpty, "\(start)")
                let all = Array(lines)
                let end = all.indices.first { i in
                    !all[i].hasPrefix("    ") && !(all[i].isEmpty && all[(i + 1)...].first?.hasPrefix("    ") == true)
                }
                return all[..<(end ?? all.endIndex)].map { String($0.dropFirst(4)) }.joined(separator: "\n") + "\n"
            }
            let shown = try block("$ sluice rules check rules.yaml events.ndjson")
            let events = [
                #"{"user_id":"u","event":"sign_up","timestamp":1700000000,"properties":{"password":"secret","price":"12.50"}}"#,
                #"{"user_id":"u","event":"visit","timestamp":1700000000}"#,
                #"{"user_id":"u","event":"debug_click","timestamp":1700000000}"#,
            ]
            let done = try await check(try block("rules:"), events.joined(separator: "\n"))
            #expect(done.status == 0 && done.out == String(shown.drop { $0 != "\n" }.dropFirst()), "\(done.out)\(done.err)")
        }
    }
}

import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// `sluice cohorts` on real processes. `Tests/Notices` has a receiver.
    struct CohortCommandTests {
        @Test func aCohortIsSavedReadAndDeleted() async throws {
            try await Cluster.with(shards: 2) { cluster in
                func sluice(_ arguments: String...) async throws -> Command.Result {
                    try await Command.run("sluice", arguments + ["--to", cluster.coordinatorHTTP])
                }
                func file(_ name: String, _ text: String) throws -> String {
                    let file = cluster.directory.appendingPathComponent(name)
                    try Data(text.utf8).write(to: file)
                    return file.path
                }
                let now = Int64(Date().timeIntervalSince1970) * 1_000
                let events = ["u1", "u2", "u3"].map { user -> JSONValue in
                    ["user_id": .text(user), "event": "visit", "timestamp": .integer(now - 1_000)]
                }
                #expect(try await cluster.send(events).status == 200)
                #expect(
                    try await sluice("funnels", "apply", try file("f.json", #"{"funnel_id":"shop","steps":["visit","buy"]}"#)).status == 0)
                let hook = try file("crm.yaml", "id: crm\nkind: webhook\nsettings: {url: 'https://localhost/'}\n")
                #expect(try await sluice("channels", "apply", hook).status == 0)

                let left = "id: left\nfunnel_id: shop\nstep: buy\noutcome: dropped\ndays: 3\nchannel: crm\n"
                #expect(try await sluice("cohorts", "list").err.contains("no cohorts"))
                let saved = try await sluice("cohorts", "apply", try file("left.yaml", left))
                #expect(saved.status == 0 && saved.err.contains("saved left"), "\(saved)")
                // The list is read, and the target, which has no public address, is refused.
                let end = ContinuousClock.now + .seconds(60)
                var line = ""
                while !line.contains("failed"), ContinuousClock.now < end {
                    line = try await sluice("cohorts", "list").out
                    try await Task.sleep(for: .milliseconds(100))
                }
                #expect(line.hasPrefix("left: shop, every 1d to crm; 3 users; next 20"), "\(line)")
                #expect(try await sluice("cohorts", "sync", "left").err.contains("left: a run begins"))
                let get = try await sluice("cohorts", "get", "left").out
                #expect(try await sluice("cohorts", "apply", try file("again.json", get)).status == 0)

                let text = "id: w\nfunnel_id: none\nstep: 2\ndays: 3\nchannel: other\n"
                let wrong = try await sluice("cohorts", "apply", try file("w.yaml", text))
                #expect(wrong.status == 1 && wrong.err.contains("names the funnel none, which does not exist"), "\(wrong)")
                #expect(wrong.err.contains("names the channel other, which does not exist"), "\(wrong)")
                #expect(try await sluice("cohorts", "delete", "left").status == 0)
                #expect(try await sluice("cohorts", "get", "left").status == 1)
            }
        }
    }
}

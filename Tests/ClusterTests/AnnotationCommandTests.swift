import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// `sluice annotations` on real processes.
    struct AnnotationCommandTests {
        @Test func annotationsAreAddedListedAndDeleted() async throws {
            try await Cluster.with(shards: 2) { cluster in
                func sluice(_ arguments: String...) async throws -> Command.Result {
                    try await Command.run("sluice", ["annotations"] + arguments + ["--to", cluster.coordinatorHTTP])
                }
                #expect(try await sluice("list").err.contains("no annotations"))
                let before = Timestamp.format(Int64(Date().timeIntervalSince1970) * 1_000_000)
                let added = try await sluice("add", "Release 42", "--id", "release-42")
                #expect(added.status == 0 && added.err.contains("saved release-42"), "\(added)")
                let list = try JSONParser.parse(Array(try await sluice("list", "--format", "json").out.utf8))
                let now = try #require(list["annotations"]?.asArray?.first?["start"]?.asString?.string)
                #expect(now >= before && now.count == before.count)

                // Without an id, a repeat adds nothing.
                let outage = ["add", "Outage", "--start", "2026-01-05 09:30", "--end", "2026-01-05T12:00+01:00"]
                for _ in 0..<2 {
                    let saved = try await Command.run("sluice", ["annotations"] + outage + ["--to", cluster.coordinatorHTTP])
                    #expect(saved.status == 0 && saved.err.contains("saved 20260105-093000-"), "\(saved)")
                }
                _ = try await sluice("add", "Release 42", "--id", "release-42", "--start", "2026-01-06")
                let lines = try await sluice("list").out.split(separator: "\n")
                #expect(lines.count == 2)
                #expect(lines.first?.hasPrefix("20260105-093000-") == true)
                #expect(lines.first?.hasSuffix(": 2026-01-05T09:30:00Z to 2026-01-05T11:00:00Z: Outage") == true, "\(lines)")
                #expect(lines.last == "release-42: 2026-01-06T00:00:00Z: Release 42")

                let time = try await sluice("add", "x", "--start", "soon")
                #expect(time.status == 64 && time.err.contains("--start must be a time"), "\(time)")
                let funnel = try await sluice("add", "x", "--funnel", "none")
                #expect(funnel.status == 1 && funnel.err.contains("names the funnel none, which does not exist"), "\(funnel)")
                let text = try await sluice("add", String(repeating: "x", count: 201))
                #expect(text.status == 1 && text.err.contains("text: must have 1 to 200 bytes"), "\(text)")
                #expect(try await sluice("delete", "release-42").status == 0)
                let gone = try await sluice("delete", "release-42")
                #expect(gone.status == 1 && gone.err.contains("no annotation is saved under this id"), "\(gone)")
            }
        }
    }
}

import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// `sluice annotations` on real processes.
    struct AnnotationCommandTests {
        @Test func anAnnotationIsAddedListedAndDeleted() async throws {
            try await Cluster.with(shards: 1) { cluster in
                func sluice(_ arguments: String...) async throws -> Command.Result {
                    try await Command.run("sluice", ["annotations"] + arguments + ["--to", cluster.coordinatorHTTP])
                }
                #expect(try await sluice("list").err.contains("no annotations"))
                let added = try await sluice("add", "Release 42: prices & «more»", "--time", "2026-01-02T10:00:00Z")
                #expect(added.err.contains("added Release-42--prices"), "\(added)")
                #expect(try await sluice("add", "New checkout", "--id", "checkout", "--funnel", "shop").status == 0)
                let lines = try await sluice("list").out.split(separator: "\n")
                #expect(lines.count == 2 && lines[0].hasSuffix(": Release 42: prices & «more»"), "\(lines)")
                #expect(lines.last?.hasSuffix("checkout: New checkout (funnel shop)") == true, "\(lines)")
                #expect(try await sluice("list", "--start", "2026-01-02", "--end", "2026-01-02").out.split(separator: "\n").count == 1)
                let wrong = try await sluice("list", "--start", "yesterday")
                #expect(wrong.status == 1 && wrong.err.contains("start: must be YYYY-MM-DD"), "\(wrong)")
                let late = try await sluice("add", "x", "--time", "now", "--id", "a/b")
                #expect(late.status == 1 && late.err.contains("id"), "\(late)")
                #expect(try await sluice("delete", "checkout").status == 0)
                #expect(try await sluice("delete", "checkout").status == 1)
            }
        }
    }
}

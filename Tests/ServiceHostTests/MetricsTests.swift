import Foundation
import ServiceRuntime
import Testing

/// The text that Prometheus reads.
struct MetricsTests {
    @Test func textIsEscaped() {
        let metrics = Metrics()
        metrics.gauge("g", "a \\ b\nc", labels: [("l", "x\\y\"z\nw")]) { 1.5 }
        metrics.gauge("n", "n") { .nan }
        metrics.gauge("i", "i") { -.infinity }
        #expect(
            metrics.exposition == """
                # HELP g a \\\\ b\\nc
                # TYPE g gauge
                g{l="x\\\\y\\"z\\nw"} 1.5
                # HELP i i
                # TYPE i gauge
                i -Inf
                # HELP n n
                # TYPE n gauge
                n NaN

                """)
    }

    @Test func projectsBeyondAHundredAreOne() {
        let metrics = Metrics()
        let counters = metrics.counters("c_total", "c", by: [[("reason", "a")], [("reason", "b")]])
        for project in 1...150 { counters.add(2, 1, project: UInt32(project)) }
        counters.add(1, 0, project: 7)
        counters.add(0, 0, project: 8)
        counters.add(1, 0, project: .max)
        let lines = metrics.exposition.split(separator: "\n")
        #expect(lines.count == 2 + 100 + 1 + 2)
        #expect(lines.contains("c_total{project=\"7\",reason=\"a\"} 1"))
        #expect(lines.contains("c_total{project=\"100\",reason=\"b\"} 2"))
        #expect(lines.contains("c_total{project=\"other\",reason=\"b\"} 100"))
        #expect(lines.contains("c_total{project=\"other\",reason=\"a\"} 1"))
    }

    @Test func countersOfManyThreadsAddUp() async {
        let metrics = Metrics()
        let counters = metrics.counters("c_total", "c")
        let latency = metrics.latency("l_seconds", "l")
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for i in 0..<10_000 {
                        counters.add(project: UInt32((i + task) % 50))
                        latency.record(.milliseconds(3))
                    }
                }
            }
        }
        let lines = metrics.exposition.split(separator: "\n")
        for project in 0..<50 { #expect(lines.contains("c_total{project=\"\(project)\"} 1600")) }
        #expect(lines.contains("l_seconds_bucket{le=\"0.002\"} 0") && lines.contains("l_seconds_bucket{le=\"0.005\"} 80000"))
        #expect(lines.contains("l_seconds_count 80000") && lines.contains("l_seconds_sum 240"))
    }

    @Test func aLogFileIsPutAsideAtItsLimit() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("x.log").path
        func write(_ text: String) { try? Data(text.utf8).write(to: URL(fileURLWithPath: path)) }
        func read(_ suffix: String) -> String? { try? String(contentsOfFile: path + suffix, encoding: .utf8) }
        #expect(!LogFile.rotateIfLarge(path, bytesMax: 4))
        for text in ["one", "first", "second", "third!"] {
            write(text)
            #expect(LogFile.rotateIfLarge(path, bytesMax: 4) == (text.count >= 4))
        }
        #expect(read("") == nil && read(".1") == "third!" && read(".2") == "second" && read(".3") == nil)
    }
}

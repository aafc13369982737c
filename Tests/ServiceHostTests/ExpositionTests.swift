import Foundation
import Hummingbird
import ServiceHost
import ServiceRuntime
import Testing

/// The text of `/metrics`, read back.
@Suite(.timeLimit(.minutes(2)))
struct ExpositionTests {
    private func read(_ metrics: Metrics) throws -> Exposition { try Exposition(metrics.exposition) }

    /// The reader of these tests is worth something only where it refuses.
    @Test(arguments: [
        "a 1", "a 1\n", "# HELP a a\n", "# TYPE a gauge\na 1\n", "\n", "# HELP a a\n# TYPE a gauge\na 1\na 1\n",
        "# HELP a a\n# TYPE a gauge\nb 1\n", "# HELP a a\n# TYPE a gauge\na{0=\"x\"} 1\n",
        "# HELP a a\n# TYPE a gauge\na{l=\"x\"y\"} 1\n", "# HELP a a\n# TYPE a gauge\na{l=\"x\ny\"} 1\n",
        "# HELP a a\n# TYPE a gauge\na{l=\"\\r\"} 1\n", "# HELP a a\n# TYPE a gauge\na{l=\"x} 1\n",
        "# HELP a a\n# TYPE a gauge\na{l=\"x\",l=\"y\"} 1\n", "# HELP a a\n# TYPE a gauge\na{l=\"x\",m=\"y\"} 1\na{m=\"y\",l=\"x\"} 1\n",
        "# HELP a a\n# TYPE a gauge\na inf\n", "# HELP a a\n# TYPE a gauge\na 0x1\n", "# HELP a a\n# TYPE a gauge\na\n",
        "# HELP a a\n# TYPE a gauge\n# HELP a a\n", "# HELP a a\n# TYPE a counter\n# TYPE a gauge\n", "# HELP a a\n# TYPE a number\n",
        "# HELP a a\n# TYPE a histogram\na 1\n", "# HELP a \\t\n# TYPE a gauge\n",
    ])
    func aTextWithAFaultIsRefused(text: String) {
        #expect(throws: Exposition.Fault.self) { try Exposition(text) }
    }

    @Test func breachesOfConventionsAreFound() throws {
        let texts = [
            "# HELP a a\n# TYPE a counter\n", "# HELP a_total a\n# TYPE a_total gauge\n", "# HELP a \n# TYPE a gauge\n",
            "# HELP a_total a\n# TYPE a_total counter\na_total -1\n",
            "# HELP h h\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
            "# HELP h h\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n",
            "# HELP h h\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n",
            "# HELP h h\n# TYPE h histogram\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
            "# HELP h h\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_count 1\n",
        ]
        for text in texts { #expect(try Exposition(text).breaches.count == 1, "\(text)") }
    }

    @Test func everyKindOfMetricComesBack() throws {
        let metrics = Metrics()
        let plain = metrics.counter("plain_total", "p")
        plain.add(3)
        plain.add(-5)
        metrics.counter("kept_total", "k", labels: [("reason", "a")]) { 1e15 }
        metrics.counter("kept_total", "k", labels: [("reason", "b")]) { 12_345_678_901_234_568 }
        metrics.counters("many_total", "m") { [([("call", "x")], 1), ([("call", "y"), ("code", "")], 2)] }
        metrics.counters("by_project_total", "b", by: [[("reason", "a")], [("reason", "b")]]).add(4, 1, project: 9)
        for (label, value) in [("nan", Double.nan), ("inf", .infinity), ("low", -.infinity), ("small", 1e-300), ("part", -0.1)] {
            metrics.gauge("g", "g", labels: [("l", label)]) { value }
        }
        metrics.latency("quick_seconds", "q").record(.milliseconds(3))
        _ = metrics.latency("never_seconds", "n", labels: [("call", "x")])
        _ = metrics.latency("unlabelled_seconds", "u")
        let found = try read(metrics)
        #expect(found["plain_total"] == 3)
        #expect(found["kept_total", ["reason": "a"]] == 1e15 && found["kept_total", ["reason": "b"]] == 12_345_678_901_234_568)
        #expect(found["many_total", ["call": "x"]] == 1 && found["many_total", ["call": "y", "code": ""]] == 2)
        #expect(found["by_project_total", ["project": "9", "reason": "b"]] == 4)
        #expect(found.families["by_project_total"]?.samples.count == 1)
        #expect(found["g", ["l": "nan"]]?.isNaN == true && found["g", ["l": "inf"]] == .infinity && found["g", ["l": "low"]] == -.infinity)
        #expect(found["g", ["l": "small"]] == 1e-300 && found["g", ["l": "part"]] == -0.1)
        #expect(found["quick_seconds_count"] == 1 && found["quick_seconds_sum"] == 0.003)
        // With labels a histogram is there once it has a value, without from the start.
        #expect(found.families["never_seconds"]?.samples.isEmpty == true && found["unlabelled_seconds_count"] == 0)
        #expect(found.breaches.isEmpty, "\(found.breaches)")
    }

    /// What Swift takes for one character is several to a scraper.
    @Test(arguments: [
        "plain", "", " ", "\"", "\\", "\n", "\r\n", "\r", "\\n", "\\\\n", "\"\u{301}", "\\\u{301}", "\n\u{301}", "x\"} 1\nforged 2\n",
        "\\\"",
        "a,b=\"c\"", "日本", "\0", "\u{2028}", "{}", "👩‍👩‍👧",
    ])
    func noTextEscapesFromItsPlace(text: String) throws {
        let metrics = Metrics()
        metrics.gauge("g", text, labels: [("a", text), ("b", "after")]) { 1 }
        metrics.latency("h_seconds", "h", labels: [("l", text)]).record(.seconds(1))
        let found = try read(metrics)
        #expect(Set(found.families.keys) == ["g", "h_seconds"])
        #expect(found.families["g"].map { Array($0.help.utf8) } == Array(text.utf8))
        let labels = try #require(found.families["g"]?.samples.first?.series.labels)
        #expect(labels["a"].map { Array($0.utf8) } == Array(text.utf8) && labels["b"] == "after")
        #expect(found.families["g"]?.samples.count == 1)
        #expect(found["h_seconds_count", ["l": text]] == 1)
    }

    @Test func bucketsAreCumulativeAndHoldTheirBounds() throws {
        let metrics = Metrics()
        let histogram = metrics.latency("h_seconds", "h")
        // Bounds in microseconds, each met, missed by a nanosecond, and passed by one.
        let bounds: [Int64] = [100, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000]
        for bound in bounds {
            for offset in [-1, 0, 1] as [Int64] { histogram.record(.nanoseconds(bound * 1_000 + offset)) }
        }
        for odd in [Duration.zero, .seconds(-1), .seconds(30), .seconds(31), .seconds(100_000)] { histogram.record(odd) }
        let found = try read(metrics)
        #expect(found.breaches.isEmpty, "\(found.breaches)")
        for (i, bound) in bounds.enumerated() {
            // Zero and what is below it are in the first bucket.
            #expect(found["h_seconds_bucket", ["le": "\(Double(bound) / 1e6)"]] == Double(3 * i + 2 + 2), "\(bound)")
        }
        #expect(found["h_seconds_bucket", ["le": "30.0"]] == Double(3 * bounds.count + 3))
        #expect(found["h_seconds_bucket", ["le": "+Inf"]] == Double(3 * bounds.count + 5))
        let sum = Double(bounds.reduce(0, +)) * 3 / 1e6 + 30 + 31 + 100_000
        #expect(abs((found["h_seconds_sum"] ?? 0) - sum) < 1e-6)
    }

    @Test func whatAServiceSaysIsRead() async throws {
        let text = try await withEdge { router in
            router.get("/things") { _, _ in JSONResponse.text("one\n") }
        } _: { port -> String in
            for path in ["/things", "/nothing", "/readyz", "/metrics"] {
                let peer = try await RawHTTP(port)
                await peer.send("GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                let isOver = await eventually { peer.isOver }
                #expect(isOver, "\(path)")
                if path == "/metrics" { return peer.text }
            }
            return ""
        }
        #expect(text.lowercased().contains("content-type: text/plain; version=0.0.4"))
        let bytes = Array(text.utf8)
        let body = try #require(bytes.indices.first { bytes[$0...].starts(with: "\r\n\r\n".utf8) })
        let found = try Exposition(String(decoding: bytes[(body + 4)...], as: UTF8.self))
        #expect(found.breaches.isEmpty, "\(found.breaches)")
        #expect(found["sluice_http_requests_total"] == 3 && found["sluice_http_request_seconds_count"] == 3)
    }

    /// Names and help of all metrics, as the sources have them.
    @Test func everyMetricOfTheSourcesIsNamedByTheConventions() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Sources")
        let files = FileManager.default.enumerator(atPath: root.path)?.compactMap { $0 as? String }.filter { $0.hasSuffix(".swift") } ?? []
        var count = 0
        for file in files {
            let text = try String(contentsOf: root.appendingPathComponent(file), encoding: .utf8)
            guard text.contains("etrics") else { continue }
            for match in text.matches(of: #/\.(counters?|gauge|latency|refusals)\(\s*"((?:sluice|process)_\w+)",\s*"([^"]*)"/#) {
                count += 1
                let (kind, name, help) = (match.1, match.2, match.3)
                let isCounter = kind.hasPrefix("counter") || kind == "refusals"
                #expect(isCounter == name.hasSuffix("_total"), "\(file): \(kind) \(name)")
                #expect(kind != "latency" || name.hasSuffix("_seconds"), "\(file): \(name)")
                #expect(name.allSatisfy { $0.isLowercase || $0 == "_" }, "\(file): \(name)")
                #expect(!help.isEmpty && !help.hasSuffix("."), "\(file): \(name)")
            }
        }
        #expect(count >= 45, "\(count)")
    }
}

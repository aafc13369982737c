import Synchronization

/// A process's counters and gauges, printed in Prometheus' text format. Label sets are fixed where a metric is made, so
/// that no client can add to them.
package final class Metrics: Sendable {
    private struct Entry {
        var help: String
        var type: String
        var samples: [@Sendable () -> [(labels: String, value: Double)]] = []
        var histograms: [(labels: String, histogram: LatencyHistogram)] = []
    }

    private let entries = Mutex<[String: Entry]>([:])
    /// The projects that have a label of their own in this process.
    private let projects = ProjectLabels()

    package init() {}

    package func counter(_ name: String, _ help: String, labels: [(String, String)] = []) -> Counter {
        let counter = Counter()
        add(name, help, "counter", labels) { Double(counter.value) }
        return counter
    }

    /// A counter that is kept elsewhere.
    package func counter(
        _ name: String, _ help: String, labels: [(String, String)] = [], read: @escaping @Sendable () -> Double
    ) {
        add(name, help, "counter", labels, read)
    }

    /// One counter for each project and each of some sets of other labels. Counters at 0 are not printed.
    /// - Parameter labels: all sets that there are; a place among them is what is counted.
    package func counters(_ name: String, _ help: String, by labels: [[(String, String)]] = [[]]) -> ProjectCounters {
        let counters = ProjectCounters(projects, values: labels.count)
        add(name, help, "counter") {
            counters.counted.map { (Self.text([("project", $0.project)] + labels[$0.value]), Double($0.count)) }
        }
        return counters
    }

    /// Counters that are kept elsewhere. Counters at 0 are not printed.
    /// - Parameter read: labels, from fixed sets only, and values.
    package func counters(_ name: String, _ help: String, read: @escaping @Sendable () -> [(labels: [(String, String)], value: Double)]) {
        add(name, help, "counter") { read().map { (Self.text($0.labels), $0.value) } }
    }

    package func gauge(
        _ name: String, _ help: String, labels: [(String, String)] = [], read: @escaping @Sendable () -> Double
    ) {
        add(name, help, "gauge", labels, read)
    }

    /// A histogram with labels is printed once it has a value.
    package func latency(_ name: String, _ help: String, labels: [(String, String)] = []) -> LatencyHistogram {
        let histogram = LatencyHistogram()
        entries.withLock {
            $0[name, default: Entry(help: help, type: "histogram")].histograms.append((Self.text(labels), histogram))
        }
        return histogram
    }

    private func add(
        _ name: String, _ help: String, _ type: String, _ labels: [(String, String)],
        _ read: @escaping @Sendable () -> Double
    ) {
        let text = Self.text(labels)
        add(name, help, type) { [(text, read())] }
    }

    private func add(
        _ name: String, _ help: String, _ type: String, _ samples: @escaping @Sendable () -> [(labels: String, value: Double)]
    ) {
        entries.withLock { $0[name, default: Entry(help: help, type: type)].samples.append(samples) }
    }

    private static func text(_ labels: [(String, String)]) -> String {
        labels.map { "\($0.0)=\"\(escaped($0.1).replacing("\"", with: "\\\""))\"" }.joined(separator: ",")
    }

    private static func escaped(_ text: String) -> String { text.replacing("\\", with: "\\\\").replacing("\n", with: "\\n") }

    /// Prometheus text exposition format 0.0.4.
    package var exposition: String {
        entries.withLock { entries in
            var out = ""
            for (name, entry) in entries.sorted(by: { $0.key < $1.key }) {
                out += "# HELP \(name) \(Self.escaped(entry.help))\n# TYPE \(name) \(entry.type)\n"
                for sample in entry.samples.flatMap({ $0() }) {
                    out += "\(name)\(sample.labels.isEmpty ? "" : "{\(sample.labels)}") \(Self.number(sample.value))\n"
                }
                for (labels, histogram) in entry.histograms where labels.isEmpty || !histogram.isEmpty {
                    out += histogram.exposition(name: name, labels: labels)
                }
            }
            return out
        }
    }

    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
    }
}

import Synchronization

/// The counters, gauges and histograms of a process, in Prometheus' text format. Label sets are fixed when a metric is made, so
/// that clients can't add to them.
package final class Metrics: Sendable {
    private struct Entry {
        var help: String
        var type: String
        var samples: [@Sendable () -> [(labels: String, value: Double)]] = []
        var histograms: [(labels: String, histogram: LatencyHistogram)] = []
    }

    private let entries = Mutex<[String: Entry]>([:])
    /// The projects that have their own label in this process.
    private let projects = ProjectLabels()

    package init() {}

    package func counter(_ name: String, _ help: String, labels: [(String, String)] = []) -> Counter {
        let counter = Counter()
        add(name, help, "counter", labels) { Double(counter.value) }
        return counter
    }

    /// A counter that is kept elsewhere; every scrape calls `read`.
    package func counter(
        _ name: String, _ help: String, labels: [(String, String)] = [], read: @escaping @Sendable () -> Double
    ) {
        add(name, help, "counter", labels, read)
    }

    /// One counter for each project and each set of other labels. Counters at 0 are not printed.
    /// - Parameter labels: the sets of other labels; `ProjectCounters.add` takes an index of this list.
    package func counters(_ name: String, _ help: String, by labels: [[(String, String)]] = [[]]) -> ProjectCounters {
        let counters = ProjectCounters(projects, values: labels.count)
        add(name, help, "counter") {
            counters.counted.map { (Self.text([("project", $0.project)] + labels[$0.value]), Double($0.count)) }
        }
        return counters
    }

    /// Counters that are kept elsewhere; every scrape calls `read`.
    /// - Parameter read: returns what is printed: labels, from fixed sets only, and values.
    package func counters(_ name: String, _ help: String, read: @escaping @Sendable () -> [(labels: [(String, String)], value: Double)]) {
        add(name, help, "counter") { read().map { (Self.text($0.labels), $0.value) } }
    }

    /// A gauge; every scrape calls `read`. Several calls with one name and different labels make one metric.
    package func gauge(
        _ name: String, _ help: String, labels: [(String, String)] = [], read: @escaping @Sendable () -> Double
    ) {
        add(name, help, "gauge", labels, read)
    }

    /// A histogram of seconds. One with labels is printed once it has a value.
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
        labels.map { "\($0.0)=\"\(escaped($0.1, quotes: true))\"" }.joined(separator: ",")
    }

    /// Escapes scalar by scalar: a search by characters would find no line feed in CR LF, and no quote in a quote with an accent.
    private static func escaped(_ text: String, quotes: Bool = false) -> String {
        var out = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\"" where quotes: out += "\\\""
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out
    }

    /// All metrics by name, in the Prometheus text exposition format 0.0.4.
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

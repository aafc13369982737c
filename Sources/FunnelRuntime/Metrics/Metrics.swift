import Synchronization

/// A process's counters and gauges, printed in Prometheus' text format. Label sets are fixed where a metric is made, so
/// that no client can add to them.
package final class Metrics: Sendable {
    private struct Entry {
        var help: String
        var type: String
        var samples: [(labels: String, read: @Sendable () -> Double)] = []
        var histograms: [(labels: String, histogram: LatencyHistogram)] = []
    }

    private let entries = Mutex<[String: Entry]>([:])

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

    package func gauge(
        _ name: String, _ help: String, labels: [(String, String)] = [], read: @escaping @Sendable () -> Double
    ) {
        add(name, help, "gauge", labels, read)
    }

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
        entries.withLock { $0[name, default: Entry(help: help, type: type)].samples.append((Self.text(labels), read)) }
    }

    private static func text(_ labels: [(String, String)]) -> String {
        labels.map { "\($0.0)=\"\($0.1.replacing("\\", with: "\\\\").replacing("\"", with: "\\\""))\"" }
            .joined(separator: ",")
    }

    /// Prometheus text exposition format 0.0.4.
    package var exposition: String {
        entries.withLock { entries in
            var out = ""
            for (name, entry) in entries.sorted(by: { $0.key < $1.key }) {
                out += "# HELP \(name) \(entry.help)\n# TYPE \(name) \(entry.type)\n"
                for sample in entry.samples {
                    out += "\(name)\(sample.labels.isEmpty ? "" : "{\(sample.labels)}") \(Self.number(sample.read()))\n"
                }
                for (labels, histogram) in entry.histograms { out += histogram.exposition(name: name, labels: labels) }
            }
            return out
        }
    }

    fileprivate static func number(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
    }
}

package final class Counter: Sendable {
    private let total = Atomic<UInt64>(0)

    package func add(_ n: Int = 1) { total.wrappingAdd(UInt64(max(0, n)), ordering: .relaxed) }

    package var value: UInt64 { total.load(ordering: .relaxed) }
}

/// Durations in buckets from 1 ms to 30 s.
package final class LatencyHistogram: Sendable {
    private static let bounds: [Double] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30]
    private let state = Mutex((counts: [UInt64](repeating: 0, count: bounds.count + 1), sum: 0.0))

    package func record(_ duration: Duration) {
        let seconds = Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
        let index = Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count
        state.withLock {
            $0.counts[index] += 1
            $0.sum += seconds
        }
    }

    fileprivate func exposition(name: String, labels: String) -> String {
        let (counts, sum) = state.withLock { $0 }
        let prefix = labels.isEmpty ? "" : labels + ","
        let suffix = labels.isEmpty ? "" : "{\(labels)}"
        var out = ""
        var total: UInt64 = 0
        for (i, bound) in (Self.bounds + [.infinity]).enumerated() {
            total += counts[i]
            out += "\(name)_bucket{\(prefix)le=\"\(bound.isInfinite ? "+Inf" : "\(bound)")\"} \(total)\n"
        }
        return out + "\(name)_sum\(suffix) \(sum)\n\(name)_count\(suffix) \(total)\n"
    }
}

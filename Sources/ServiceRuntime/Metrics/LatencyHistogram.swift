import Synchronization

/// A histogram of durations, with buckets from 0.1 ms to 30 s, without locks.
package final class LatencyHistogram: Sendable {
    private static let bounds: [Double] = [0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30]
    private let counts = InlineArray<17, Atomic<UInt64>> { _ in Atomic(0) }
    private let nanoseconds = Atomic<UInt64>(0)

    package init() {}

    package func record(_ duration: Duration) {
        let (whole, part) = duration.components
        let seconds = Double(whole) + Double(part) / 1e18
        let index = Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count
        counts[index].wrappingAdd(1, ordering: .relaxed)
        nanoseconds.wrappingAdd(UInt64(max(0, seconds * 1e9)), ordering: .relaxed)
    }

    /// True until something is recorded.
    package var isEmpty: Bool { (0..<17).allSatisfy { counts[$0].load(ordering: .relaxed) == 0 } }

    func exposition(name: String, labels: String) -> String {
        let prefix = labels.isEmpty ? "" : labels + ","
        let suffix = labels.isEmpty ? "" : "{\(labels)}"
        var out = ""
        var total: UInt64 = 0
        for (i, bound) in (Self.bounds + [.infinity]).enumerated() {
            total += counts[i].load(ordering: .relaxed)
            out += "\(name)_bucket{\(prefix)le=\"\(bound.isInfinite ? "+Inf" : "\(bound)")\"} \(total)\n"
        }
        let sum = Double(nanoseconds.load(ordering: .relaxed)) / 1e9
        return out + "\(name)_sum\(suffix) \(Metrics.number(sum))\n\(name)_count\(suffix) \(total)\n"
    }
}

import Synchronization

package final class Counter: Sendable {
    private let total = Atomic<UInt64>(0)

    package init() {}

    package func add(_ n: Int = 1) { total.wrappingAdd(UInt64(max(0, n)), ordering: .relaxed) }

    package var value: UInt64 { total.load(ordering: .relaxed) }
}

/// Counters by project and one of a few values, without locks.
package final class ProjectCounters: Sendable {
    private let labels: ProjectLabels
    private let values: Int
    /// By place of the project and value.
    private let counters: [Counter]

    /// - Parameter values: how many there are beside the project.
    init(_ labels: ProjectLabels, values: Int) {
        self.labels = labels
        self.values = values
        counters = (0..<ProjectLabels.places * values).map { _ in Counter() }
    }

    package func add(_ n: Int = 1, _ value: Int = 0, project: UInt32) {
        guard n > 0 else { return }
        counters[labels.place(of: project) * values + value].add(n)
    }

    /// What has counted something.
    var counted: [(project: String, value: Int, count: UInt64)] {
        counters.indices.compactMap { i in
            let count = counters[i].value
            return count == 0 ? nil : (labels.name(ofPlace: i / values), i % values, count)
        }
    }
}

/// Which projects have a label of their own: the first hundred that a process meets. All others are one, "other", so that keys
/// of many projects can't make many series.
final class ProjectLabels: Sendable {
    private static let own = 100
    /// With the one for all others.
    static let places = own + 1

    /// Project and one, by place in the order of their coming; 0 is a place that is free.
    private let taken = InlineArray<100, Atomic<UInt64>> { _ in Atomic(0) }

    /// A walk over as many places as there are projects, mostly one.
    func place(of project: UInt32) -> Int {
        let mark = UInt64(project) + 1
        for place in 0..<Self.own {
            let found = taken[place].load(ordering: .relaxed)
            if found == mark { return place }
            guard found == 0 else { continue }
            let (isOurs, other) = taken[place].compareExchange(expected: 0, desired: mark, ordering: .relaxed)
            if isOurs || other == mark { return place }
        }
        return Self.own
    }

    func name(ofPlace place: Int) -> String {
        place == Self.own ? "other" : "\(taken[place].load(ordering: .relaxed) - 1)"
    }
}

/// Durations in buckets from 0.1 ms to 30 s, without locks.
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

    /// Nothing was recorded yet.
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

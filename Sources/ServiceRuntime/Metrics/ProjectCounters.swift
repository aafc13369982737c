import Synchronization

/// Counters by project and by one set of other labels, without locks.
package final class ProjectCounters: Sendable {
    private let labels: ProjectLabels
    private let values: Int
    /// At index `place of the project * values + value`.
    private let counters: [Counter]

    /// `values` is the number of sets of other labels.
    init(_ labels: ProjectLabels, values: Int) {
        self.labels = labels
        self.values = values
        counters = (0..<ProjectLabels.places * values).map { _ in Counter() }
    }

    /// Adds `n`; `value` is the index of the other labels, as passed to `Metrics.counters`.
    package func add(_ n: Int = 1, _ value: Int = 0, project: UInt32) {
        guard n > 0 else { return }
        counters[labels.place(of: project) * values + value].add(n)
    }

    /// The counters above 0.
    var counted: [(project: String, value: Int, count: UInt64)] {
        counters.indices.compactMap { i in
            let count = counters[i].value
            return count == 0 ? nil : (labels.name(ofPlace: i / values), i % values, count)
        }
    }
}

/// The labels of projects. The first 100 projects that a process counts have their own; all others share "other", so that many
/// projects can't make many time series.
final class ProjectLabels: Sendable {
    private static let own = 100
    /// Number of labels, "other" included.
    static let places = own + 1

    /// Project number plus 1, in the order in which projects were first counted; 0 = free.
    private let taken = InlineArray<100, Atomic<UInt64>> { _ in Atomic(0) }

    /// The index of the project's label; takes a free one at first. Linear in the number of projects, of which there is mostly one.
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

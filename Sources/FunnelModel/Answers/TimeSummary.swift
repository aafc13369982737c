/// How long a step took, over many users, in ticks of the funnel's clock: all values while there are few, else a histogram. Sum
/// and count are always exact.
package struct TimeSummary: Sendable {
    package private(set) var count: UInt64 = 0
    package private(set) var sum = UInt128(0)
    package private(set) var values: Values = .exact([])

    package enum Values: Sendable {
        /// Ascending lists, one for each shard; ranks are found without merging them.
        case exact([[UInt64]])
        /// Ascending, without empty buckets.
        case histogram([TimeHistogram.Bucket])
    }

    package init() {}

    package init(count: UInt64, sum: UInt128, values: Values) {
        self.count = count
        self.sum = sum
        self.values = values
    }

    package var isExact: Bool {
        if case .exact = values { return true }
        return false
    }

    /// Adds another shard's users. The result is exact if both sides are, with any number of values.
    package mutating func merge(_ other: TimeSummary) {
        count += other.count
        sum += other.sum
        switch (values, other.values) {
        case (.exact(let a), .exact(let b)): values = .exact(a + b)
        case (.histogram(let a), .histogram(let b)): values = .histogram(TimeHistogram.merging(a, b))
        case (.exact(let lists), .histogram(let buckets)), (.histogram(let buckets), .exact(let lists)):
            values = .histogram(lists.reduce(buckets) { TimeHistogram.merging($0, TimeHistogram.buckets(of: $1)) })
        }
    }

    /// Mean in ticks; nil without users.
    package var mean: Double? { count == 0 ? nil : Double(sum) / Double(count) }

    /// Median in ticks: for an even count the mean of the two middle values; nil without users.
    package var median: Double? {
        guard count > 0 else { return nil }
        return (value(atRank: (count + 1) / 2) + value(atRank: count / 2 + 1)) / 2
    }

    /// Percentile in ticks by the nearest rank, `ceil(percent / 100 * n)`; nil without users.
    package func percentile(_ percent: UInt64) -> Double? {
        guard count > 0 else { return nil }
        return value(atRank: max(1, (count * percent + 99) / 100))
    }

    /// The number of values below a bound. With a histogram, the number of values in buckets before that of the bound.
    package func count(below bound: UInt64) -> UInt64 {
        switch values {
        case .exact(let lists): return bound == 0 ? 0 : lists.reduce(0) { $0 + UInt64($1.count(through: bound - 1)) }
        case .histogram(let buckets):
            let own = TimeHistogram.bucket(of: bound)
            return buckets.reduce(0) { $1.number < own ? $0 + $1.count : $0 }
        }
    }

    /// The value at a 1-based rank.
    private func value(atRank rank: UInt64) -> Double {
        switch values {
        case .exact(let lists): return Double(Self.value(atRank: Int(rank), of: lists))
        case .histogram(let buckets):
            var seen: UInt64 = 0
            for bucket in buckets {
                seen += bucket.count
                if seen >= rank { return TimeHistogram.middle(of: bucket.number) }
            }
            return 0
        }
    }

    /// The smallest value that at least `rank` values do not exceed, by binary search over the range of values.
    private static func value(atRank rank: Int, of lists: [[UInt64]]) -> UInt64 {
        var low: UInt64 = 0
        var high = lists.compactMap(\.last).max() ?? 0
        while low < high {
            let middle = low + (high - low) / 2
            if lists.reduce(0, { $0 + $1.count(through: middle) }) >= rank { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

extension TimeSummary: Equatable {
    /// Exact values can be distributed over lists in different ways.
    package static func == (a: TimeSummary, b: TimeSummary) -> Bool {
        guard a.count == b.count, a.sum == b.sum else { return false }
        switch (a.values, b.values) {
        case (.exact(let x), .exact(let y)): return x == y || x.joined().sorted() == y.joined().sorted()
        case (.histogram(let x), .histogram(let y)): return x == y
        default: return false
        }
    }
}

extension [UInt64] {
    /// The number of ascending values that are at most `bound`.
    fileprivate func count(through bound: UInt64) -> Int { indices.partitioningIndex { self[$0] > bound } }
}

/// How long a step took, over many users, in ticks of the funnel's clock: all values while there are few, a histogram
/// beyond that. Sums and counts stay exact either way.
package struct TimeSummary: Equatable, Sendable {
    package private(set) var count: UInt64 = 0
    package private(set) var sum = UInt128(0)
    package private(set) var values: Values = .exact([])
    /// Values kept before they become a histogram.
    private var exactMax = Limits.exactTimesPerStep

    package enum Values: Equatable, Sendable {
        /// In any order until `seal`, then ascending.
        case exact([UInt64])
        /// Count by bucket of `TimeHistogram`.
        case histogram([UInt32: UInt64])
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

    package mutating func add(_ value: UInt64) {
        count += 1
        sum += UInt128(value)
        switch values {
        case .exact(var list):
            values = .exact([])
            list.append(value)
            values = list.count > exactMax ? .histogram(TimeHistogram.buckets(of: list)) : .exact(list)
        case .histogram(var buckets):
            values = .exact([])
            buckets[TimeHistogram.bucket(of: value), default: 0] += 1
            values = .histogram(buckets)
        }
    }

    /// Sorts exact values, as they travel and are compared.
    package mutating func seal() {
        if case .exact(let list) = values { values = .exact(list.ascending) }
    }

    /// Adds another shard's users. Exact only while both sides are, however many values that makes.
    package mutating func merge(_ other: TimeSummary) {
        count += other.count
        sum += other.sum
        switch (values, other.values) {
        case (.exact(let a), .exact(let b)): values = .exact(.mergingAscending(a.ascending, b.ascending))
        case (.histogram(let a), .histogram(let b)): values = .histogram(a.merging(b, uniquingKeysWith: +))
        case (.exact(let list), .histogram(let buckets)), (.histogram(let buckets), .exact(let list)):
            values = .histogram(buckets.merging(TimeHistogram.buckets(of: list), uniquingKeysWith: +))
        }
    }

    /// Mean in ticks; nil where nobody was counted.
    package var mean: Double? { count == 0 ? nil : Double(sum) / Double(count) }

    /// Mean of the two middle values for an even count; nil where nobody was counted.
    package var median: Double? {
        guard count > 0 else { return nil }
        let ranks = [(count + 1) / 2, count / 2 + 1]
        let middle = self.values(atRanks: ranks)
        return (middle[0] + middle[1]) / 2
    }

    /// Nearest rank, ceil(p n), of a fraction in percent; nil where nobody was counted.
    package func percentile(_ percent: UInt64) -> Double? {
        guard count > 0 else { return nil }
        return values(atRanks: [max(1, (count * percent + 99) / 100)])[0]
    }

    /// Values at 1-based ranks, ascending.
    private func values(atRanks ranks: [UInt64]) -> [Double] {
        switch values {
        case .exact(let list):
            let sorted = list.ascending
            return ranks.map { Double(sorted[Int($0) - 1]) }
        case .histogram(let buckets):
            let sorted = buckets.sorted { $0.key < $1.key }
            return ranks.map { rank in
                var seen: UInt64 = 0
                for (bucket, n) in sorted {
                    seen += n
                    if seen >= rank { return TimeHistogram.middle(of: bucket) }
                }
                return 0
            }
        }
    }
}

/// Log-linear buckets: values below 256 exactly, above that 128 buckets to a power of two, so that a bucket's middle is
/// within 0.4 % of each value in it.
package enum TimeHistogram {
    package static func bucket(of value: UInt64) -> UInt32 {
        if value < 256 { return UInt32(value) }
        let exponent = UInt64(63 - value.leadingZeroBitCount)
        let shift = exponent - 7
        return UInt32(256 + (shift - 1) * 128 + ((value >> shift) - 128))
    }

    package static let bucketCount: UInt32 = 256 + 56 * 128

    /// The middle of a bucket's values.
    package static func middle(of bucket: UInt32) -> Double {
        if bucket < 256 { return Double(bucket) }
        let index = UInt64(bucket - 256)
        let shift = index / 128 + 1
        let low = Double((128 + index % 128)) * Double(UInt64(1) << shift)
        return low + (Double(UInt64(1) << shift) - 1) / 2
    }

    package static func buckets(of values: [UInt64]) -> [UInt32: UInt64] {
        var buckets: [UInt32: UInt64] = [:]
        for value in values { buckets[bucket(of: value), default: 0] += 1 }
        return buckets
    }
}

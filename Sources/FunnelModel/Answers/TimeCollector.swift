/// Collects the times of one step for a `TimeSummary`. Each thread fills its own collector; `merge` joins them.
package struct TimeCollector: Sendable {
    /// All values, in units, up to `exactMax` of them; empty beyond that.
    private var values: [UInt64] = []
    /// Counts by bucket of `TimeHistogram` beyond `exactMax` values; empty up to that.
    private var buckets: [UInt64] = []
    package private(set) var count: UInt64 = 0
    /// In units.
    private var sum = UInt128(0)
    private let exactMax: Int
    /// Clock ticks in one unit of the values that are added. Smaller values are faster to sort.
    private let unit: UInt64

    package init(unit: UInt64 = 1) { self.init(unit: unit, exactMax: Limits.exactTimesPerStep) }

    init(unit: UInt64, exactMax: Int) {
        self.unit = unit
        self.exactMax = exactMax
    }

    package mutating func add(_ value: UInt64) {
        count &+= 1
        sum &+= UInt128(value)
        if !buckets.isEmpty {
            buckets[bucket(of: value)] &+= 1
        } else {
            values.append(value)
            if values.count > exactMax { fillBuckets() }
        }
    }

    /// Adds the first `n` of some values.
    package mutating func add(_ more: [UInt64], first n: Int) {
        let span = more.span.extracting(first: n)
        var total = UInt128(0)
        for i in span.indices { total &+= UInt128(span[i]) }
        count &+= UInt64(span.count)
        sum &+= total
        if !buckets.isEmpty {
            for i in span.indices { buckets[bucket(of: span[i])] &+= 1 }
        } else {
            values.append(contentsOf: more.prefix(n))
            if values.count > exactMax { fillBuckets() }
        }
    }

    /// Adds the values of another collector, which must have the same unit and limit.
    package mutating func merge(_ other: TimeCollector) {
        count &+= other.count
        sum &+= other.sum
        if buckets.isEmpty, other.buckets.isEmpty {
            values.append(contentsOf: other.values)
            if values.count > exactMax { fillBuckets() }
            return
        }
        if buckets.isEmpty { fillBuckets() }
        for value in other.values { buckets[bucket(of: value)] &+= 1 }
        for (i, n) in other.buckets.enumerated() { buckets[i] &+= n }
    }

    /// The summary, in clock ticks.
    package consuming func finish() -> TimeSummary {
        let ticks = sum &* UInt128(unit)
        if !buckets.isEmpty { return TimeSummary(count: count, sum: ticks, values: .histogram(TimeHistogram.buckets(buckets))) }
        RadixSort.sort(&values)
        if unit != 1 { for i in values.indices { values[i] &*= unit } }
        return TimeSummary(count: count, sum: ticks, values: .exact([values]))
    }

    private func bucket(of value: UInt64) -> Int { Int(TimeHistogram.bucket(of: value &* unit)) }

    private mutating func fillBuckets() {
        buckets = Array(repeating: 0, count: Int(TimeHistogram.bucketCount))
        for value in values { buckets[bucket(of: value)] &+= 1 }
        values = []
    }
}

/// Gathers the times of one step for a `TimeSummary`: what adding each value and sealing would give, in a fraction of
/// the time. Each worker fills one of its own; `merge` makes them one.
package struct TimeCollector: Sendable {
    /// All values while they are few; empty from then on.
    private var values: [UInt64] = []
    /// Count by bucket of `TimeHistogram`, once there are more; empty until then.
    private var buckets: [UInt64] = []
    package private(set) var count: UInt64 = 0
    package private(set) var sum = UInt128(0)
    private let exactMax: Int

    package init() { self.init(exactMax: Limits.exactTimesPerStep) }

    init(exactMax: Int) { self.exactMax = exactMax }

    package mutating func add(_ value: UInt64) {
        count &+= 1
        sum &+= UInt128(value)
        if !buckets.isEmpty {
            buckets[Int(TimeHistogram.bucket(of: value))] &+= 1
            return
        }
        if values.capacity == 0 { values.reserveCapacity(min(exactMax, 4_096)) }
        values.append(value)
        if values.count > exactMax { fillBuckets() }
    }

    /// Adds a value so many times.
    package mutating func add(_ value: UInt64, times: UInt64) {
        guard times > 0 else { return }
        if times <= UInt64(exactMax) {
            for _ in 0..<times { add(value) }
            return
        }
        if buckets.isEmpty { fillBuckets() }
        count &+= times
        sum &+= UInt128(value) &* UInt128(times)
        buckets[Int(TimeHistogram.bucket(of: value))] &+= times
    }

    /// Adds what another collector with the same limit gathered.
    package mutating func merge(_ other: TimeCollector) {
        count &+= other.count
        sum &+= other.sum
        if buckets.isEmpty, other.buckets.isEmpty {
            values.append(contentsOf: other.values)
            if values.count > exactMax { fillBuckets() }
            return
        }
        if buckets.isEmpty { fillBuckets() }
        for value in other.values { buckets[Int(TimeHistogram.bucket(of: value))] &+= 1 }
        for (i, n) in other.buckets.enumerated() { buckets[i] &+= n }
    }

    package consuming func finish() -> TimeSummary {
        if buckets.isEmpty {
            RadixSort.sort(&values)
            return TimeSummary(count: count, sum: sum, values: .exact(values))
        }
        var filled: [UInt32: UInt64] = [:]
        for (i, n) in buckets.enumerated() where n > 0 { filled[UInt32(i)] = n }
        return TimeSummary(count: count, sum: sum, values: .histogram(filled))
    }

    private mutating func fillBuckets() {
        buckets = Array(repeating: 0, count: Int(TimeHistogram.bucketCount))
        for value in values { buckets[Int(TimeHistogram.bucket(of: value))] &+= 1 }
        values = []
    }
}

/// Sorts by one byte after another from the lowest, each pass keeping the order of the one before. Passes over bytes
/// in which all values agree are left out: times in seconds need three of the eight.
enum RadixSort {
    /// Below this many values the 256 counters of a pass cost more than comparing.
    private static let smallest = 512

    static func sort(_ values: inout [UInt64]) {
        guard values.count >= smallest else { return values.sort() }
        guard !values.isAscending else { return }
        var all: UInt64 = 0
        var common = UInt64.max
        for value in values {
            all |= value
            common &= value
        }
        let differing = all ^ common
        var target = Array(repeating: UInt64(0), count: values.count)
        for shift in stride(from: UInt64(0), to: 64, by: 8) where (differing >> shift) & 0xFF != 0 {
            scatter(values, into: &target, byteAt: shift)
            swap(&values, &target)
        }
    }

    private static func scatter(_ values: [UInt64], into target: inout [UInt64], byteAt shift: UInt64) {
        var next = InlineArray<256, Int>(repeating: 0)
        for value in values { next[Int(truncatingIfNeeded: (value >> shift) & 0xFF)] &+= 1 }
        var total = 0
        for byte in next.indices {
            let n = next[byte]
            next[byte] = total
            total &+= n
        }
        for value in values {
            let byte = Int(truncatingIfNeeded: (value >> shift) & 0xFF)
            target[next[byte]] = value
            next[byte] &+= 1
        }
    }
}

extension [UInt64] {
    var isAscending: Bool {
        var i = 1
        while i < count {
            if self[i] < self[i - 1] { return false }
            i += 1
        }
        return true
    }

    /// Itself if ascending, else a sorted copy.
    var ascending: [UInt64] {
        if isAscending { return self }
        var copy = self
        RadixSort.sort(&copy)
        return copy
    }

    /// Two ascending arrays as one.
    static func mergingAscending(_ a: [UInt64], _ b: [UInt64]) -> [UInt64] {
        if a.isEmpty { return b }
        if b.isEmpty { return a }
        var result: [UInt64] = []
        result.reserveCapacity(a.count + b.count)
        var i = 0
        var j = 0
        while i < a.count, j < b.count {
            if b[j] < a[i] {
                result.append(b[j])
                j += 1
            } else {
                result.append(a[i])
                i += 1
            }
        }
        result.append(contentsOf: a[i...])
        result.append(contentsOf: b[j...])
        return result
    }
}

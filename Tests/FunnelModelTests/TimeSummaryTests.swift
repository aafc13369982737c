import FunnelModel
import TestSupport
import Testing

struct TimeSummaryTests {
    private static func summary(_ values: [UInt64]) -> TimeSummary {
        let isExact = values.count <= Limits.exactTimesPerStep
        return TimeSummary(
            count: UInt64(values.count), sum: values.reduce(0) { $0 + UInt128($1) },
            values: isExact ? .exact([values.sorted()]) : .histogram(TimeHistogram.buckets(of: values)))
    }

    /// Median and nearest rank, as section 6 of `FUNNEL.md` has them.
    private static func median(_ sorted: [UInt64]) -> Double {
        let n = sorted.count
        return n % 2 == 1 ? Double(sorted[n / 2]) : (Double(sorted[n / 2 - 1]) + Double(sorted[n / 2])) / 2
    }

    private static func rank(_ sorted: [UInt64], _ percent: Int) -> Double {
        Double(sorted[max(1, (sorted.count * percent + 99) / 100) - 1])
    }

    @Test func nobodyHasNoTimes() {
        let none = TimeSummary()
        #expect(none.median == nil && none.mean == nil && none.percentile(90) == nil && none.isExact)
    }

    @Test func smallSetsAreExact() {
        var random = SplitMix64(seed: 51)
        for n in 1...200 {
            let values = (0..<n).map { _ in UInt64(random.below(1_000_000)) }
            let summary = Self.summary(values)
            let sorted = values.sorted()
            #expect(summary.isExact && summary.count == UInt64(n))
            #expect(summary.median == Self.median(sorted))
            for percent in [1, 50, 90, 99, 100] {
                #expect(summary.percentile(UInt64(percent)) == Self.rank(sorted, percent))
            }
            #expect(summary.mean == Double(values.reduce(0, +)) / Double(n))
        }
    }

    @Test func largeSetsStayWithinOnePercent() throws {
        var random = SplitMix64(seed: 52)
        let values = (0..<(Limits.exactTimesPerStep + 1_000)).map { _ in random.next() >> UInt64(20 + random.below(30))
        }
        let summary = Self.summary(values)
        #expect(!summary.isExact && summary.count == UInt64(values.count))
        #expect(summary.sum == values.reduce(UInt128(0)) { $0 + UInt128($1) })
        let sorted = values.sorted()
        for percent in [1, 10, 50, 90, 99, 100] {
            let exact = Self.rank(sorted, percent)
            #expect(abs(try #require(summary.percentile(UInt64(percent))) - exact) <= exact * 0.01)
        }
        #expect(abs(try #require(summary.median) - Self.median(sorted)) <= Self.median(sorted) * 0.01)
    }

    @Test func everyValueLiesNearTheMiddleOfItsBucket() {
        var random = SplitMix64(seed: 53)
        for _ in 0..<20_000 {
            let value = random.next() >> UInt64(random.below(64))
            let bucket = TimeHistogram.bucket(of: value)
            #expect(bucket < TimeHistogram.bucketCount)
            #expect(abs(TimeHistogram.middle(of: bucket) - Double(value)) <= Double(value) * 0.004)
        }
        #expect((0..<256).allSatisfy { TimeHistogram.bucket(of: UInt64($0)) == UInt32($0) })
        #expect(TimeHistogram.bucket(of: 256) == 256 && TimeHistogram.bucket(of: .max) == TimeHistogram.bucketCount - 1)
    }

    @Test func mergedPartsEqualAllAtOnce() {
        var random = SplitMix64(seed: 54)
        for parts in 1...5 {
            let values = (0..<500).map { _ in UInt64(random.below(10_000)) }
            let whole = Self.summary(values)
            var merged = TimeSummary()
            for part in 0..<parts {
                merged.merge(Self.summary(values.enumerated().filter { $0.offset % parts == part }.map(\.element)))
            }
            #expect(merged == whole)
        }
    }

    @Test func histogramsMergeInAnyOrder() {
        var random = SplitMix64(seed: 55)
        let values = (0..<(Limits.exactTimesPerStep + 10)).map { _ in UInt64(random.below(100_000)) }
        let large = Self.summary(values)
        let small = Self.summary([1, 2, 3])
        var a = large
        a.merge(small)
        var b = small
        b.merge(large)
        #expect(a == b && !a.isExact && a == Self.summary(values + [1, 2, 3]))
    }

    /// Values of many widths; at and around the limit, in one collector and in several.
    @Test func collectorEqualsSummary() {
        var random = SplitMix64(seed: 56)
        let limit = Limits.exactTimesPerStep
        for n in [0, 1, 2, 511, 512, 5_000, limit - 1, limit, limit + 1, limit + 5_000] {
            let width = UInt64(random.below(60))
            let values = (0..<n).map { _ in random.next() >> width }
            let summary = Self.summary(values)
            var one = TimeCollector()
            for value in values { one.add(value) }
            #expect(one.finish() == summary)
            for parts in [2, 3, 7] {
                var collectors = Array(repeating: TimeCollector(), count: parts)
                for value in values { collectors[random.chance(40) ? 0 : random.below(parts)].add(value) }
                var merged = TimeCollector()
                for collector in collectors { merged.merge(collector) }
                #expect(merged.count == UInt64(n))
                #expect(merged.finish() == summary)
            }
            // In batches, and in a unit of several ticks.
            let unit = width > 20 ? UInt64(1_000) : 1
            var batched = TimeCollector(unit: unit)
            for start in stride(from: 0, to: n, by: 7_001) {
                let batch = Array(values[start..<min(n, start + 7_001)])
                batched.add(batch + [random.next()], first: batch.count)
            }
            #expect(batched.finish() == Self.summary(values.map { $0 * unit }))
        }
    }

    @Test func collectorSortsRepeatedAndOrderedValues() {
        var random = SplitMix64(seed: 57)
        let shapes: [[UInt64]] = [
            (0..<3_000).map { UInt64($0) << 40 }, (0..<3_000).map { UInt64(3_000 - $0) }, Array(repeating: 7, count: 999),
            (0..<3_000).map { _ in UInt64(random.below(3)) << 56 }, (0..<3_000).map { _ in random.next() | 1 << 63 },
        ]
        for values in shapes {
            var collector = TimeCollector()
            for value in values { collector.add(value) }
            #expect(collector.finish() == Self.summary(values))
        }
    }
}

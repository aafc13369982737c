import FunnelStatistics
import TestSupport
import Testing

/// Nothing said where nothing can be said, never NaN, and what must hold for all counts.
struct EdgeTests {
    static func proportion(_ x: UInt64, _ n: UInt64) throws -> Proportion { try #require(Proportion(x, of: n)) }

    @Test func countsOutsideTheDomainAreRefused() {
        #expect(Proportion(2, of: 1) == nil && Proportion(0, of: .max) == nil && Proportion(.max, of: .max) == nil)
        #expect(Proportion(Proportion.trialsMax, of: Proportion.trialsMax) != nil)
        #expect(PairedProportions(both: .max, firstOnly: .max, secondOnly: 1, neither: 0) == nil)
        #expect(Wilson.interval(successes: 2, trials: 1) == nil)
        #expect(SampleRatio.pValue(users: []) == nil && SampleRatio.pValue(users: [1, 1], shares: [.nan, 1]) == nil)
        #expect(SampleRatio.pValue(users: [1, 1], shares: [.infinity, 1]) == nil && SampleRatio.pValue(users: [7, 7, 7]) == 1)
        #expect(Normal.quantile(.nan) == nil && ChiSquare.survival(.nan, degrees: 1) == nil && ChiSquare.survival(1, degrees: .max) == nil)
        #expect(MultipleTesting.holm([nil, .nan, 0.03]) == [nil, nil, 0.03])
    }

    @Test func anEmptyVariantHasNoNumbersAndCountsForNothing() throws {
        let control = try Self.proportion(50, 1_000)
        let rows = VariantComparison.all(control: control, variants: [try Self.proportion(80, 1_000), try Self.proportion(0, 0)])
        #expect(rows[0].adjustedPValue == rows[0].pValue && rows[0].method == .twoProportionZ)
        #expect(rows[1].difference == nil && rows[1].differenceInterval == nil && rows[1].lift == nil && rows[1].liftInterval == nil)
        #expect(rows[1].pValue == nil && rows[1].method == nil && rows[1].sequentialPValue == nil && rows[1].chanceToWin == nil)
    }

    @Test func fisherTakesOverWhereAnExpectedCountIsSmall() throws {
        #expect(TwoProportions(try Self.proportion(4, 1_000), try Self.proportion(5, 1_000)).test?.method == .fisherExact)
        #expect(TwoProportions(try Self.proportion(5, 1_000), try Self.proportion(5, 1_000)).test?.method == .twoProportionZ)
        let none = try #require(TwoProportions(try Self.proportion(0, 1_000), try Self.proportion(0, 10)).test)
        #expect(none.pValue == 1 && none.method == .fisherExact)
    }

    /// Random counts of all sizes: in range, and the same story when the samples or successes and failures change places.
    @Test func symmetriesHold() throws {
        var random = SplitMix64(seed: 5)
        func count(_ most: UInt64) -> UInt64 { random.next() % (1 + (most >> UInt64(random.below(41)))) }
        for _ in 0..<3_000 {
            let (n1, n2) = (count(Proportion.trialsMax >> 10), count(Proportion.trialsMax >> 10))
            let (a, b) = (try Self.proportion(min(n1, count(n1)), n1), try Self.proportion(min(n2, count(n2)), n2))
            let pair = TwoProportions(a, b)
            let swapped = TwoProportions(b, a)
            let failures = TwoProportions(try Self.proportion(n1 - a.successes, n1), try Self.proportion(n2 - b.successes, n2))
            for (p, others) in [
                (pair.zTest, [swapped.zTest, failures.zTest]), (pair.fisherExact, [swapped.fisherExact, failures.fisherExact]),
                (SequentialTest.pValue(pair), [SequentialTest.pValue(swapped), SequentialTest.pValue(failures)]),
                (ChanceToWin.second(pair), [ChanceToWin.second(swapped).map { 1 - $0 }, ChanceToWin.second(failures).map { 1 - $0 }]),
            ] {
                #expect(p.map { (0...1).contains($0) } ?? true, "\(pair)")
                for other in others {
                    let near = StatisticsVectorTests.agree(p, other, absolute: 1e-9 * abs(p ?? 0) + 1e-12)
                    #expect(near, "\(pair): \(p as Any), \(other as Any)")
                }
            }
            if let interval = pair.differenceInterval, let d = pair.difference {
                #expect(interval.low <= d && d <= interval.high && interval.low >= -1 && interval.high <= 1, "\(pair)")
            }
            if let interval = pair.liftInterval, let lift = pair.lift {
                #expect(interval.low <= lift * (1 - 1e-12) + 1e-12 && lift <= interval.high + 1e-12 * abs(lift) + 1e-12, "\(pair)")
            }
        }
    }

    /// The quadrature for many variants against the exact sum for two.
    @Test func theChanceToBeBestOfTwoIsTheChanceToWin() throws {
        var random = SplitMix64(seed: 6)
        for _ in 0..<300 {
            let sizes = (0..<2).map { _ in 1 + random.next() % (1 << UInt64(1 + random.below(24))) }
            let rate = 1 + random.below(1_000)
            let variants = try sizes.map { n in try Self.proportion(min(n, n * UInt64(rate) / 1_000 + random.next() % 3), n) }
            let best = ChanceToWin.best(variants)
            let exact = try #require(ChanceToWin.second(TwoProportions(variants[0], variants[1])))
            let (first, second) = (try #require(best[0]), try #require(best[1]))
            #expect(abs(second - exact) < 1e-9 && abs(first - (1 - exact)) < 1e-9, "\(variants)")
        }
    }

    @Test func chancesToBeBestAddUpToOne() throws {
        var random = SplitMix64(seed: 7)
        for _ in 0..<100 {
            let variants = try (0..<(3 + random.below(8))).map { _ in
                let n = 1 + random.next() % (1 << UInt64(1 + random.below(24)))
                return try Self.proportion((random.next() % (n + 1)) >> UInt64(random.below(8)), n)
            }
            let sum = ChanceToWin.best(variants).reduce(0) { $0 + ($1 ?? 0) }
            #expect(abs(sum - 1) < 1e-9, "\(variants): \(sum)")
        }
    }
}

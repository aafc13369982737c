import FunnelModel
import FunnelStatistics
import TestSupport
import Testing

/// `Protocol/vectors/statistics.json`, written by `Tests/Statistics/reference.py`: agreement to 1e-9 of the value.
struct StatisticsVectorTests {
    static let cases = (try? Repository.json("Protocol/vectors/statistics.json"))?.asArray ?? []

    @Test func everyCaseAgreesWithTheReference() throws {
        #expect(Self.cases.count >= 300)
        for row in Self.cases {
            let name = try #require(row["function"]?.asString?.string)
            let arguments = try #require(row["arguments"]?.asArray).map { try #require($0.asDouble) }
            let function = try #require(Self.functions[name], "\(name)")
            let wanted = try #require(row["expected"]?.asArray).map(\.asDouble)
            let got = function(arguments)
            #expect(got.count == wanted.count, "\(row)")
            for (ours, theirs) in zip(got, wanted) {
                #expect(Self.agree(ours, theirs, absolute: row["absolute"]?.asDouble), "\(name) \(arguments): \(got), not \(wanted)")
            }
        }
    }

    /// Close to the smallest numbers a relative error means nothing.
    static func agree(_ ours: Double?, _ theirs: Double?, absolute: Double?) -> Bool {
        guard let ours, let theirs else { return ours == nil && theirs == nil }
        return abs(ours - theirs) <= absolute ?? (abs(theirs) < 1e-280 ? 1e-280 : 1e-9 * abs(theirs))
    }

    static func proportions(_ numbers: ArraySlice<Double>) -> [Proportion] {
        stride(from: numbers.startIndex, to: numbers.endIndex, by: 2).compactMap {
            Proportion(UInt64(numbers[$0]), of: UInt64(numbers[$0 + 1]))
        }
    }

    static func pair(_ numbers: [Double]) -> TwoProportions {
        let list = proportions(numbers[...])
        return TwoProportions(list[0], list[1])
    }

    static func paired(_ numbers: [Double]) -> PairedProportions? {
        let counts = numbers.map { UInt64($0) }
        return PairedProportions(both: counts[0], firstOnly: counts[1], secondOnly: counts[2], neither: counts[3])
    }

    static let functions: [String: @Sendable ([Double]) -> [Double?]] = [
        "log_gamma": { [SpecialFunctions.logGamma($0[0])] },
        "log_binomial": { [SpecialFunctions.logBinomial($0[0], $0[1])] },
        "normal_cdf": { [Normal.cdf($0[0])] },
        "normal_survival": { [Normal.survival($0[0])] },
        "normal_two_sided": { [Normal.twoSided($0[0])] },
        "normal_quantile": { [Normal.quantile($0[0])] },
        "chi_square_survival": { [ChiSquare.survival($0[0], degrees: Int($0[1]))] },
        "hypergeometric": { numbers in
            let counts = numbers.map { UInt64($0) }
            let law = Hypergeometric(population: counts[0], marked: counts[1], draws: counts[2])
            return [law?.logMass(counts[3]), law?.lowerTail(counts[3]), law?.upperTail(counts[3])]
        },
        "wilson": { numbers in
            let bounds = Wilson.interval(successes: UInt64(numbers[0]), trials: UInt64(numbers[1]))
            return [bounds?.low, bounds?.high]
        },
        "z_test": { [pair($0).z, pair($0).zTest] },
        "fisher_exact": { [pair($0).fisherExact] },
        "difference": { [pair($0).difference, pair($0).differenceInterval?.low, pair($0).differenceInterval?.high] },
        "lift": { [pair($0).lift, pair($0).liftInterval?.low, pair($0).liftInterval?.high] },
        "chance_to_win": { [ChanceToWin.second(pair($0))] },
        "chance_to_be_best": { ChanceToWin.best(proportions($0[...])) },
        "sequential": { [SequentialTest.pValue(pair($0))] },
        "sample_ratio": { numbers in
            let users = numbers.prefix(numbers.count / 2).map { UInt64($0) }
            return [SampleRatio.pValue(users: users, shares: Array(numbers.suffix(numbers.count / 2)))]
        },
        "holm": { MultipleTesting.holm($0) },
        "benjamini_hochberg": { MultipleTesting.benjaminiHochberg($0) },
        "paired_difference": { [paired($0)?.difference, paired($0)?.differenceInterval?.low, paired($0)?.differenceInterval?.high] },
        "mcnemar_exact": { [paired($0)?.mcNemarExact] },
        "mcnemar_chi_square": { [paired($0)?.mcNemarChiSquare(continuityCorrection: $0[4] == 1)] },
    ]
}

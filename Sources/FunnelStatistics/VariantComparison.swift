/// The comparison of one variant with the control, as an experiment report shows it.
package struct VariantComparison: Equatable, Sendable {
    /// Variant's rate - control's rate, as a fraction, with its 95 % interval.
    package let difference: Double?
    package let differenceInterval: Interval?
    /// The same relative to the control's rate.
    package let lift: Double?
    package let liftInterval: Interval?
    /// Two-sided p-value by `method`, for one look planned beforehand; then adjusted by Holm's method over all variants.
    package let pValue: Double?
    package let adjustedPValue: Double?
    package let method: TwoProportions.Method?
    /// The always valid p-value, for looks at any time; then adjusted by Holm's method over all variants.
    package let sequentialPValue: Double?
    package let adjustedSequentialPValue: Double?
    /// Probability that the variant's rate is the higher one.
    package let chanceToWin: Double?

    /// Compares each variant with the control, in the given order.
    package static func all(control: Proportion, variants: [Proportion]) -> [VariantComparison] {
        let pairs = variants.map { TwoProportions(control, $0) }
        let tests = pairs.map(\.test)
        let sequential = pairs.map(SequentialTest.pValue)
        let adjusted = MultipleTesting.holm(tests.map { $0?.pValue })
        let adjustedSequential = MultipleTesting.holm(sequential)
        return pairs.indices.map { index in
            let pair = pairs[index]
            return VariantComparison(
                difference: pair.difference, differenceInterval: pair.differenceInterval, lift: pair.lift, liftInterval: pair.liftInterval,
                pValue: tests[index]?.pValue, adjustedPValue: adjusted[index], method: tests[index]?.method,
                sequentialPValue: sequential[index], adjustedSequentialPValue: adjustedSequential[index],
                chanceToWin: ChanceToWin.second(pair))
        }
    }
}

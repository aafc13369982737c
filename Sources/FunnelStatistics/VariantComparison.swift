/// One variant against the control: what an experiment report shows.
package struct VariantComparison: Equatable, Sendable {
    /// Variant's rate - control's rate, as a fraction, and its 95 % interval.
    package let difference: Double?
    package let differenceInterval: Interval?
    /// The same in relation to the control's rate.
    package let lift: Double?
    package let liftInterval: Interval?
    /// Two-sided, for one look planned beforehand, by `method`; then Holm's over all variants.
    package let pValue: Double?
    package let adjustedPValue: Double?
    package let method: TwoProportions.Method?
    /// For looking at any time, and Holm's over all variants.
    package let sequentialPValue: Double?
    package let adjustedSequentialPValue: Double?
    /// That the variant's rate is the higher one.
    package let chanceToWin: Double?

    /// Each variant against the control, in the order given.
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

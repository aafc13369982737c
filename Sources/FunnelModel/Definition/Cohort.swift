/// Users by what became of them in another funnel, over all time and at the query's `as_of` (`Protocol/FUNNEL.md`,
/// section 6).
package struct Cohort: Equatable, Sendable {
    package var definition: FunnelDefinition
    /// 1-based.
    package var step: Int
    package var outcome: ListOutcome

    package init(definition: FunnelDefinition, step: Int, outcome: ListOutcome) {
        self.definition = definition
        self.step = step
        self.outcome = outcome
    }
}

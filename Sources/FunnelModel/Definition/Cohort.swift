/// Users with an outcome in another funnel, over all time and at the query's `as_of` (`FUNNEL.md` section 6, "Cohorts").
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

import EventStorage
import FunnelMatch
import FunnelModel

extension ShardQuery {
    /// What users did before a step, or until the end of their attempt's window (`FUNNEL.md` section 6, "Predictors").
    package func predictors(_ question: PredictorQuestion) -> PredictorScan { PredictorScan(self, question) }
}

/// A running predictor count. Threads call `run` concurrently; their tallies are merged.
package struct PredictorScan: Sendable {
    /// Which steps of the funnel name an event; `*` names none.
    private struct Role {
        /// Some step does.
        var isStep = false
        /// A step does that may come after step `of`, which all these users did.
        var isLater = false
    }

    private let plan: FunnelPlan
    private let view: StoreView
    private let question: PredictorQuestion
    private let timelines: AttemptTimelines
    private let roles: [Role]
    private let properties: [ByteString]

    init(_ query: ShardQuery, _ question: PredictorQuestion) {
        plan = query.plan
        view = query.view
        self.question = question
        timelines = AttemptTimelines(query, names: query.view.eventNames().behaviour())
        properties = question.properties ? query.view.propertyNames() : []
        var wildcards = StepSet()
        for (i, step) in plan.definition.steps.enumerated() where step.events == .any { wildcards.insert(i) }
        // In any order, any step may come after the moment when `of` steps were done.
        let later = plan.definition.order == .any ? StepSet.all : .all - .first(question.of)
        roles = timelines.names.map { [plan] name in
            let steps = plan.positions(ofEvent: name) - wildcards
            return Role(isStep: !steps.isEmpty, isLater: !(steps & later).isEmpty)
        }
    }

    /// Number of slices; more threads than that have no work.
    package var slices: Int { timelines.slices }

    /// Processes slices until none is left.
    /// - Parameter isCancelled: called once a slice, within long histories, and once a property for each batch of rows.
    /// - Throws: `TooManyFeatures`, `MatchError`, `StoreError`.
    package func run(isCancelled: () -> Bool) throws -> PredictorTally {
        var tally = PredictorTally(events: timelines.names, properties: properties)
        var rows: [PredictorTally.Row] = []
        try timelines.run(isCancelled: isCancelled, isWanted: { $0.time(ofStep: question.of) != nil }) { attempt, user in
            guard let start = attempt.time(ofStep: 1), let done = attempt.time(ofStep: question.of) else { return }
            let reached = attempt.time(ofStep: question.step)
            let end = reached ?? attempt.windowEnd(plan)
            let person = tally.add(converted: reached != nil)
            guard let user else { return }
            for row in 0..<user.count {
                let time = user.time(row)
                if time < start { continue }
                if time >= end { break }
                let role = roles[user.event(row)]
                if !role.isStep { tally.add(event: user.event(row), of: person) }
                // A later step of the funnel is part of the outcome, not a predictor of it.
                if properties.isEmpty || role.isLater && time > done { continue }
                rows.append(PredictorTally.Row(ref: user.ref(row), user: person))
            }
            if rows.count < Self.rowsAtOnce { return }
            try tally.add(rows, view, isCancelled)
            rows.removeAll(keepingCapacity: true)
        }
        try tally.add(rows, view, isCancelled)
        return tally
    }

    /// Number of rows whose properties are read together, so that few pages are read twice.
    private static let rowsAtOnce = 1 << 18
}

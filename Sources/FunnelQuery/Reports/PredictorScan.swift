import EventStorage
import FunnelMatch
import FunnelModel

extension ShardQuery {
    /// What users did before a step, or until their attempt's window was over.
    package func predictors(_ question: PredictorQuestion) -> PredictorScan { PredictorScan(self, question) }
}

/// A count of what may predict a step under way; `run` may be called on several threads at once, and their tallies added
/// up.
package struct PredictorScan: Sendable {
    /// What a step of the funnel, and not just any event, has to do with a name.
    private struct Role {
        /// Some step names it.
        var isStep = false
        /// A step that may be behind the one that all have done names it.
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
        timelines = AttemptTimelines(query, names: query.view.eventNames())
        properties = question.properties ? query.view.propertyNames() : []
        var wildcards: UInt64 = 0
        for (i, step) in plan.definition.steps.enumerated() where step.events == .any { wildcards |= 1 << UInt64(i) }
        // In any order, any step may be among those that a user has left.
        let later: UInt64 = plan.definition.order == .any ? .max : .max << UInt64(question.of)
        roles = timelines.names.map { [plan] name in
            let steps = plan.positions(ofEvent: name) & ~wildcards
            return Role(isStep: steps != 0, isLater: steps & later != 0)
        }
    }

    /// Slices; more threads than these have nothing to do.
    package var slices: Int { timelines.slices }

    /// Takes slices until there are none left.
    /// - Parameter isCancelled: asked once a slice, within long histories, and once a property of many rows.
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
                // That a user got on towards the step is no sign of it, but a part.
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

    /// Rows whose properties are read together, so that few pages are opened twice.
    private static let rowsAtOnce = 1 << 18
}

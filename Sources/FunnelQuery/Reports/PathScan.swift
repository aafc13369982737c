import EventStorage
import FunnelMatch
import FunnelModel

extension ShardQuery {
    /// What users do after a step, or between two steps (`FUNNEL.md` section 6, "Paths").
    package func paths(_ question: PathQuestion) -> PathScan { PathScan(self, question) }
}

/// A running count of paths. Threads call `run` concurrently; their tallies are merged.
package struct PathScan: Sendable {
    private let plan: FunnelPlan
    private let question: PathQuestion
    private let timelines: AttemptTimelines

    init(_ query: ShardQuery, _ question: PathQuestion) {
        plan = query.plan
        self.question = question
        let names: [ByteString]
        switch question.events {
        case .all: names = query.view.eventNames().behaviour()
        case .only(let wanted): names = Set(wanted).filter { !EventName.isReserved($0) }.sorted()
        case .except(let unwanted):
            let unwanted = Set(unwanted)
            names = query.view.eventNames().behaviour().filter { !unwanted.contains($0) }
        }
        timelines = AttemptTimelines(query, names: names)
    }

    /// Number of slices; more threads than that have no work.
    package var slices: Int { timelines.slices }

    /// Processes slices until none is left.
    /// - Parameter isCancelled: called once a slice, and within long histories.
    /// - Throws: `TooManyPaths`, `MatchError`, `StoreError`.
    package func run(isCancelled: () -> Bool) throws -> PathTally {
        var tally = PathTally(names: timelines.names)
        try timelines.run(isCancelled: isCancelled, isWanted: { span($0) != nil }) { attempt, user in
            guard let (after, end) = span(attempt) else { return }
            var path = PathTally.Path()
            if let user {
                for row in 0..<user.count {
                    let time = user.time(row)
                    if time <= after { continue }
                    if time >= end || path.length == question.length { break }
                    path.append(user.event(row))
                }
            }
            try tally.add(path)
        }
        return tally
    }

    /// The time span of a user's path in microseconds, without both bounds; nil if the user is not among those asked for.
    private func span(_ attempt: ChosenAttempt) -> (after: Int64, end: Int64)? {
        switch question.origin {
        case .dropped(let step):
            guard step > attempt.depth, attempt.depth >= plan.definition.requiredStep(before: step),
                let last = attempt.time.compactMap(\.self).max()
            else { return nil }
            return (last, attempt.windowEnd(plan))
        case .between(let first, let second):
            guard let start = attempt.time(ofStep: first), let end = attempt.time(ofStep: second) else { return nil }
            return (start, end)
        }
    }
}

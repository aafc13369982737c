import FunnelMatch
import FunnelModel

/// The rules of `Protocol/FUNNEL.md`, sections 3-5 and 7, word by word and by trying everything. Only for tests: the work
/// grows without bound with the history.
package struct ReferenceMatcher {
    private let plan: FunnelPlan

    package init(_ plan: FunnelPlan) { self.plan = plan }

    /// Of a plan that counts users and needs no more than this.
    package func match(time: [Int64], mask: [StepSet]) -> UserOutcome {
        outcomes(of: UserHistory(time: time, mask: mask)).first ?? UserOutcome()
    }

    /// One outcome for each unit that entered and is not left out: at most one for a user; attempts and sessions in order
    /// of time; values in order of their first events.
    package func outcomes(of user: UserHistory) -> [UserOutcome] {
        let all = ReferenceHistory(plan: plan, user: user, rows: Array(user.time.indices))
        switch plan.definition.countBy {
        case .users: return [outcome(of: all, isUser: true)].compactMap { $0 }
        case .attempts: return isLeftOut(all) ? [] : serialAttempts(of: all).map { UserOutcome($0) }
        case .sessions: return sessions(of: all).compactMap { outcome(of: $0, isUser: false) }
        case .property: return values(of: all).compactMap { outcome(of: $0, isUser: false) }
        }
    }

    /// Section 6: the last clock value at which some attempt of a user can still go on; nil where none can at `as_of`, or the user
    /// converted.
    package func openUntil(of user: UserHistory) -> Int64? {
        let all = ReferenceHistory(plan: plan, user: user, rows: Array(user.time.indices))
        guard let outcome = outcome(of: all, isUser: true), outcome.depth < plan.steps else { return nil }
        let ends = starts(in: all).compactMap { all.attempt(from: $0) }.map(all.end)
        return ends.max().flatMap { $0 >= plan.ticks(plan.asOf) ? $0 : nil }
    }

    /// Section 5: of the attempts of greatest rank, the one that `entry` says.
    private func outcome(of history: ReferenceHistory, isUser: Bool) -> UserOutcome? {
        if isLeftOut(history) { return nil }
        let attempts = starts(in: history).compactMap { history.attempt(from: $0) }
        guard let best = attempts.map(history.rank).max() else { return nil }
        var candidates = attempts.filter { history.rank($0) == best }
        if plan.definition.entry == .shortest, let least = candidates.map(history.took).min() {
            candidates = candidates.filter { history.took($0) == least }
        }
        var outcome = UserOutcome(candidates[0])
        if isUser, outcome.depth < plan.steps {
            outcome.openDepth = attempts.filter { history.isOpen($0, at: plan.ticks(plan.asOf)) }.map(\.depth).max() ?? 0
        }
        return outcome
    }

    /// The events that may start an attempt, in order of time.
    private func starts(in history: ReferenceHistory) -> [Int] {
        let starts = history.rows.filter { plan.entryRange.contains(history.user.time[$0]) && !history.chains(from: $0).isEmpty }
        return plan.definition.entry == .first ? Array(starts.prefix(1)) : starts
    }

    /// `drop_user`: unless a clean attempt is as deep as the deepest ignoring these exclusions.
    private func isLeftOut(_ history: ReferenceHistory) -> Bool {
        guard plan.exclusions.contains(where: \.dropsUser) else { return false }
        var without = history
        without.ignoresDroppingExclusions = true
        let deepest = starts(in: without).flatMap { without.chains(from: $0) }.map(\.depth).max() ?? 0
        let clean = starts(in: history).flatMap { history.chains(from: $0) }.filter { !history.isUnclean($0) }
        return deepest > 0 && !clean.contains { $0.depth == deepest }
    }
}

extension ReferenceMatcher {
    /// Step-1 events in order; each one's deepest chain, of events that no earlier attempt used; the next one strictly later
    /// than its end.
    private func serialAttempts(of history: ReferenceHistory) -> [ReferenceChain] {
        var history = history
        var attempts: [ReferenceChain] = []
        var end: Int64?
        for a in history.rows where plan.entryRange.contains(history.user.time[a]) {
            if let end, history.sec(a) <= end { continue }
            guard let attempt = history.attempt(from: a) else { continue }
            attempts.append(attempt)
            history.used.formUnion(attempt.matched)
            end = history.end(of: attempt)
        }
        return attempts
    }

    /// Runs of all events of the user without a pause longer than the session gap.
    private func sessions(of history: ReferenceHistory) -> [ReferenceHistory] {
        var runs: [[Int]] = []
        for row in history.rows {
            if let last = runs.last?.last, history.sec(row) - history.sec(last) <= plan.sessionGap.count {
                runs[runs.count - 1].append(row)
            } else {
                runs.append([row])
            }
        }
        return runs.map(history.restricted)
    }

    /// The events of each value, for themselves; those without one are left out.
    private func values(of history: ReferenceHistory) -> [ReferenceHistory] {
        var values: [Int32] = []
        for row in history.rows where history.user.unit[row] >= 0 && !values.contains(history.user.unit[row]) {
            values.append(history.user.unit[row])
        }
        return values.map { value in history.restricted(to: history.rows.filter { history.user.unit[$0] == value }) }
    }
}

extension UserOutcome {
    fileprivate init(_ chain: ReferenceChain) {
        self.init(depth: chain.depth, chain: chain.rows, positions: chain.positions)
    }
}

import FunnelModel
import TimeZones

/// What a rule remembers between evaluations. A value without a clock: the same evaluations give the same notifications.
package struct AlertState: Equatable, Sendable {
    package enum Status: String, CaseIterable, Sendable {
        case ok
        /// The condition is met, but not yet for as long as the rule's `for`.
        case pending
        case firing
        /// The evaluation before ended a firing.
        case resolved
    }

    /// The whole, or one value of a breakdown.
    package struct Group: Equatable, Sendable {
        package var status = Status.ok
        /// End of the period with which the status began.
        package var since: Int64
        /// End of the last period that met the condition, or held it.
        package var lastMet: Int64?
        /// Beginning of the firing that was notified and whose end was not.
        package var notified: Int64?
        /// End of that firing.
        package var ended: Int64?
        /// Beginning of the last firing that was notified.
        package var lastNotified: Int64?
        package var value: Double?
        package var baseline: Double?
        package var pValue: Double?
        /// The sentence of the last evaluation.
        package var text = ""

        init(since: Int64) { self.since = since }

        /// End of the period with which the present firing began.
        var firing: Int64? { status == .firing ? since : nil }
    }

    /// Why the rule cannot be evaluated.
    package struct Fault: Equatable, Sendable {
        package var reason: String
        /// End of the last period before it.
        package var since: Int64
        package var isNotified = false
    }

    /// End of the last period that was evaluated.
    package var evaluated: Int64?
    /// Tells this state from that of an earlier rule with the same id, in the keys of notifications.
    package var origin: UInt64 = 0
    /// Set while the rule is invalid.
    package var fault: Fault?
    package var groups: [AlertGroup: Group] = [:]

    package init() {}

    // MARK: - Steps

    /// Evaluates every period that is due, as far as there are answers.
    /// - Parameters:
    ///   - significantRules: rules of the project that test for a significant change.
    ///   - answer: the answer to a question; nil if there is none yet. The period is then evaluated later.
    package mutating func advance(
        _ plan: AlertPlan, now: Int64, significantRules: Int, answer: (AlertQuestion) -> AlertAnswer?
    ) -> [AlertNotification] {
        var notifications: [AlertNotification] = []
        for period in plan.due(after: evaluated, now: now) {
            guard let current = answer(plan.question(period)) else { break }
            let baseline = plan.baseline(of: period)
            let before = baseline.compactMap { answer(plan.question($0)) }
            guard before.count == baseline.count else { break }
            let kept = Set(groups.filter { $0.value.status == .pending || $0.value.status == .firing }.keys)
            let evaluation = AlertEvaluation(plan, period, now: current, before: before, kept: kept)
            receive(evaluation.outcomes(significantRules: significantRules), at: period.upperBound, plan.rule)
            notifications += notify(plan.rule, now: now)
        }
        // Quiet hours and cool-downs end without an evaluation.
        return notifications + notify(plan.rule, now: now)
    }

    /// Takes the outcomes of a period that ended at `time`.
    package mutating func receive(_ outcomes: [(group: AlertGroup, outcome: AlertOutcome)], at time: Int64, _ rule: AlertRule) {
        guard time > evaluated ?? .min else { return }
        evaluated = time
        fault = nil
        for (key, outcome) in outcomes {
            var group = groups[key] ?? Group(since: time)
            group.step(outcome.result, at: time, rule)
            group.value = outcome.value
            group.baseline = outcome.baseline
            group.pValue = outcome.pValue
            group.text = outcome.text
            groups[key] = group
        }
        // A value that is no longer evaluated and has nothing to say is forgotten, and so the state stays small.
        let present = Set(outcomes.map(\.group))
        groups = groups.filter { present.contains($0.key) || $0.value.firing != nil || $0.value.notified != nil }
    }

    /// Takes that the rule cannot be evaluated. The reason is notified once, and firings end.
    package mutating func fail(_ invalid: AlertPlan.Invalid, _ rule: AlertRule, now: Int64) -> [AlertNotification] {
        if fault == nil {
            let calendar = AlertCalendar(zone: rule.timeZone.string) ?? AlertCalendar(.utc)
            // Not by `now`, if that can be: the key of the notification must be the same after a crash.
            let since = evaluated ?? calendar.period(rule.period, endingBy: now - rule.delay.count).upperBound
            fault = Fault(reason: AlertWords.cut(invalid.reason.printable, to: AlertLimits.textBytes), since: since)
        }
        end(because: "the rule is not evaluated any more, since it \(invalid.reason)")
        return notify(rule, now: now)
    }

    /// Ends every firing, for a rule that is changed or deleted.
    /// - Parameter reason: a clause, such as `the rule was deleted`.
    /// - Returns: the ends of firings that were notified, whether or not the rule is muted.
    package mutating func close(_ rule: AlertRule, because reason: String, now: Int64) -> [AlertNotification] {
        end(because: reason)
        var loud = rule
        loud.muteUntil = nil
        loud.quietHours = nil
        return notify(loud, now: now)
    }

    private mutating func end(because reason: String) {
        for (key, var group) in groups {
            if group.status == .pending { group.status = .ok }
            if group.status == .firing {
                group.finish(at: max(group.since, evaluated ?? group.since))
                let text = "Not a recovery: \(reason.printable). Before: \(group.text)"
                group.text = AlertWords.cut(text, to: AlertLimits.textBytes)
            }
            groups[key] = group
        }
    }

    // MARK: - Notifications

    /// What must be notified and was not. The keys depend on periods only, not on when this is called.
    package mutating func notify(_ rule: AlertRule, now: Int64) -> [AlertNotification] {
        guard !rule.isSilent(at: now) else { return [] }
        var ended: [AlertNotification.Item] = []
        var begun: [AlertNotification.Item] = []
        for key in groups.keys.sorted() {
            guard var group = groups[key] else { continue }
            if let start = group.notified, start != group.firing {
                ended.append(.init(rule, key, group, .resolved, start: start, origin: origin))
                group.notified = nil
                group.ended = nil
            }
            if let start = group.firing, group.notified == nil, now - (group.lastNotified ?? .min / 2) >= rule.coolDown.count {
                begun.append(.init(rule, key, group, .firing, start: start, origin: origin))
                group.notified = start
                group.lastNotified = start
            }
            groups[key] = group
        }
        var notifications = AlertNotification.list(.resolved, ended, rule) + AlertNotification.list(.firing, begun, rule)
        if let reason = fault, !reason.isNotified {
            fault?.isNotified = true
            notifications.append(AlertNotification(rule, invalid: reason, origin: origin))
        }
        return notifications
    }
}

extension AlertState.Group {
    /// Ends a firing.
    fileprivate mutating func finish(at time: Int64) {
        if notified == since { ended = time }
        status = .resolved
        since = time
    }

    /// The state machine of one group.
    fileprivate mutating func step(_ result: AlertOutcome.Result, at time: Int64, _ rule: AlertRule) {
        func become(_ status: AlertState.Status) {
            self.status = status
            since = time
        }
        switch (result, status) {
        case (.unknown, _): break
        case (.met, .ok), (.met, .resolved):
            become(rule.hold == 0 ? .firing : .pending)
            lastMet = time
        case (.met, .pending):
            if time - since >= rule.hold.count { become(.firing) }
            lastMet = time
        case (.met, .firing), (.holding, .firing): lastMet = time
        case (.holding, .pending), (.notMet, .pending): become(.ok)
        case (.notMet, .firing):
            if time - (lastMet ?? since) >= rule.keepFiring.count { finish(at: time) }
        case (.holding, .resolved), (.notMet, .resolved): become(.ok)
        case (.holding, .ok), (.notMet, .ok): break
        }
    }
}

extension AlertRule {
    /// Whether notifications wait.
    package func isSilent(at now: Int64) -> Bool {
        if let muteUntil, now < muteUntil { return true }
        guard let quietHours, let calendar = AlertCalendar(zone: timeZone.string) else { return false }
        return quietHours.contains(minute: calendar.minute(at: now))
    }
}

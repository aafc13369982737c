import FunnelModel

/// What the evaluation of one period says of one group.
package struct AlertOutcome: Equatable, Sendable {
    package enum Result: String, CaseIterable, Sendable {
        case met
        /// Not met, but too close to it for the end of a firing.
        case holding
        case notMet = "not_met"
        /// The data do not say: too few users, no baseline.
        case unknown
    }

    package var result: Result
    package var value: Double?
    package var baseline: Double?
    /// Corrected for the number of groups and rules.
    package var pValue: Double?
    /// A sentence with the numbers.
    package var text: String

    package init(_ result: Result, value: Double? = nil, baseline: Double? = nil, pValue: Double? = nil, text: String = "") {
        self.result = result
        self.value = value
        self.baseline = baseline
        self.pValue = pValue
        self.text = text
    }
}

/// One rule's groups in one period, as they are evaluated.
struct AlertEvaluation {
    private let plan: AlertPlan
    private let period: Range<Int64>
    private var cases: [Case] = []

    /// A group's numbers now and before.
    private struct Case {
        var group: AlertGroup
        /// Nil: the answer may have it among the values that it does not list.
        var now: AlertSample?
        /// Of the periods that list it.
        var before: [AlertSample]
    }

    /// - Parameters:
    ///   - before: answers of the baseline's periods.
    ///   - kept: groups that must be evaluated.
    init(_ plan: AlertPlan, _ period: Range<Int64>, now: AlertAnswer, before: [AlertAnswer], kept: Set<AlertGroup>) {
        self.plan = plan
        self.period = period
        for group in Self.groups(plan.rule, now, before, kept) {
            cases.append(
                Case(group: group, now: sample(group, now), before: before.compactMap { sample(group, $0) }))
        }
    }

    /// The whole, or the values with most users in one of the periods.
    private static func groups(_ rule: AlertRule, _ now: AlertAnswer, _ before: [AlertAnswer], _ kept: Set<AlertGroup>) -> [AlertGroup] {
        guard let breakdown = rule.breakdown else { return [.whole] }
        var users: [AlertGroup: UInt64] = [:]
        for answer in [now] + before {
            for (group, steps) in answer.steps where !group.isWhole { users[group] = max(users[group] ?? 0, steps.first?.count ?? 0) }
        }
        let known = kept.filter { !$0.isWhole }
        let others = users.keys.filter { !known.contains($0) }.sorted { a, b in
            let (first, second) = (users[a] ?? 0, users[b] ?? 0)
            return first != second ? first > second : a < b
        }
        return Array((known.sorted() + others).prefix(breakdown.values)).sorted()
    }

    /// Nil if the answer has the group among the values that it does not list.
    private func sample(_ group: AlertGroup, _ answer: AlertAnswer) -> AlertSample? {
        guard let steps = answer.steps[group] else { return answer.hasMore ? nil : AlertSample() }
        return AlertSample(plan.rule.metric, steps, position: plan.position)
    }

    // MARK: - Outcomes

    /// - Parameter significantRules: rules of the project that test for a significant change.
    func outcomes(significantRules: Int) -> [(group: AlertGroup, outcome: AlertOutcome)] {
        let tests: [SignificanceTest?]
        if case .significantChange(let condition) = plan.rule.condition {
            tests = SignificanceTest.corrected(
                cases.map { $0.now.flatMap { [before = $0.before] in SignificanceTest(condition, now: $0, before: before) } },
                rules: significantRules)
        } else {
            tests = cases.map { _ in nil }
        }
        return zip(cases, tests).map { entry, test in
            guard let now = entry.now else {
                let text = "not among the \(AlertLimits.groups) values with most users"
                return (entry.group, AlertOutcome(.unknown, text: sentence(entry.group, text, nil)))
            }
            return (entry.group, outcome(entry, now, test))
        }
    }

    private var kind: AlertMetric.Kind { plan.rule.metric.kind }

    private func outcome(_ entry: Case, _ now: AlertSample, _ test: SignificanceTest?) -> AlertOutcome {
        let value = now.value(kind)
        let baseline = Self.baseline(entry.before, kind)
        var outcome = AlertOutcome(.unknown, value: value, baseline: baseline)
        var reason: String?
        switch plan.rule.condition {
        case .threshold(let limit):
            reason = shortage(now, limit.minSample)
            if reason == nil, let value {
                let isMet = limit.above.map { value > $0 } ?? false || limit.below.map { value < $0 } ?? false
                outcome.result = isMet ? .met : .notMet
            }
        case .change(let change):
            // Of a count, the present one may be 0; the users of before say whether the comparison means anything.
            let users = entry.before.map { $0.sample(kind) }.max() ?? 0
            reason = (kind == .count ? nil : shortage(now, change.minSample)) ?? Self.shortage(users, change.minSample, "before")
            if reason == nil, let value, let baseline { outcome.result = Self.result(change, value, baseline) }
        case .significantChange(let condition):
            reason =
                shortage(now, condition.minSample)
                ?? Self.shortage(entry.before.reduce(0) { $0 + $1.base }, condition.minSample, "in the weeks before")
            if reason == nil, let test {
                outcome.result = test.result(condition)
                outcome.pValue = test.adjusted
            }
        case .noData(let condition):
            if let minSample = condition.minSample, now.count == 0, (baseline ?? 0) < Double(minSample) {
                reason = "usually fewer than the \(AlertWords.count(minSample)) users that the rule asks for"
            } else {
                outcome.result = now.count == 0 ? .met : .notMet
            }
        }
        if outcome.result == .unknown, reason == nil { reason = value == nil ? "no users" : "no users before to compare with" }
        outcome.text = sentence(entry.group, numbers(now, outcome, entry.before), outcome.result == .unknown ? reason : nil)
        let isNoData = plan.rule.condition.kind == .noData
        if kind != .dropOff, outcome.result == .met, now.count == 0, isNoData || now.base > 0 || (baseline ?? 0) > 0 {
            outcome.text += " Nobody reached the step: its event may have been renamed or removed, or may no longer be sent."
        }
        outcome.text = AlertWords.cut(outcome.text.printable, to: AlertLimits.textBytes)
        return outcome
    }

    /// Pooled over the periods: a share of all their users, the mean of counts, the median of medians.
    private static func baseline(_ before: [AlertSample], _ kind: AlertMetric.Kind) -> Double? {
        switch kind {
        case .count: return before.isEmpty ? nil : before.reduce(0) { $0 + Double($1.count) } / Double(before.count)
        case .conversion, .dropOff:
            let base = before.reduce(0) { $0 + Double($1.base) }
            return base == 0 ? nil : before.reduce(0) { $0 + Double($1.count) } / base
        case .medianTime:
            let sorted = before.compactMap(\.seconds).sorted()
            guard !sorted.isEmpty else { return nil }
            return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
        }
    }

    private static func result(_ change: AlertCondition.Change, _ value: Double, _ baseline: Double) -> AlertOutcome.Result {
        let difference = value - baseline
        guard change.direction.contains(difference) else { return .notMet }
        switch change.unit {
        case .absolute: return abs(difference) >= change.amount * (1 - tolerance) ? .met : .notMet
        case .relative:
            guard baseline > 0 else { return .unknown }
            return abs(difference) / baseline >= change.amount * (1 - tolerance) ? .met : .notMet
        }
    }

    /// Quotients of counts are rounded: a fall from 10 to 8 must be one of 0.2.
    private static let tolerance = 1e-9

    private func shortage(_ now: AlertSample, _ minSample: UInt64) -> String? {
        // A count needs no users: that there are none is its value.
        kind == .count ? nil : Self.shortage(now.sample(kind), minSample, nil)
    }

    private static func shortage(_ users: UInt64, _ minSample: UInt64, _ when: String?) -> String? {
        guard users < minSample else { return nil }
        let found = "\(AlertWords.count(users)) user\(users == 1 ? "" : "s")\(when.map { " \($0)" } ?? "")"
        return "\(found), and the rule asks for at least \(AlertWords.count(minSample))"
    }
}

// MARK: - Words

extension AlertEvaluation {
    /// "Conversion to step 3 (Purchase) of funnel shop, country "DE": …, 2026-03-02T10:00:00Z to 2026-03-02T11:00:00Z."
    private func sentence(_ group: AlertGroup, _ numbers: String, _ reason: String?) -> String {
        let rule = plan.rule
        let step = "step \(plan.position + 1) (\(Self.short(plan.stepName)))"
        let origin = rule.metric.start == .previous ? " from the step before" : ""
        var text =
            switch kind {
            case .count: "Users who reached \(step)"
            case .conversion: "Conversion\(origin) to \(step)"
            case .dropOff: "Drop-off before \(step)"
            case .medianTime: "Median time\(origin) to \(step)"
            }
        text += " of funnel \(rule.funnelID.string)"
        if let segment = rule.segment { text += ", segment \(Self.short(segment.name))" }
        if let breakdown = rule.breakdown { text += ", \(Self.short(breakdown.breakdown.property)) \(group.text.string)" }
        text += ": \(numbers)"
        if let reason { text += "; not decided: \(reason)" }
        return text + ". \(Timestamp.format(period.lowerBound)) to \(Timestamp.format(period.upperBound))."
    }

    private func numbers(_ now: AlertSample, _ outcome: AlertOutcome, _ before: [AlertSample]) -> String {
        var text = shown(outcome.value)
        if plan.rule.metric.isShare, now.base > 0 { text += " (\(AlertWords.count(now.count)) of \(AlertWords.count(now.base)))" }
        if case .threshold(let limit) = plan.rule.condition {
            let limits = [limit.above.map { "above \(shown($0))" }, limit.below.map { "below \(shown($0))" }].compactMap(\.self)
            text += "; the rule fires \(limits.joined(separator: " and "))"
        }
        guard let baseline = plan.rule.condition.baseline else { return text }
        if let value = outcome.value, let old = outcome.baseline, old > 0 { text += ", \(AlertWords.change(value / old - 1))" }
        text += " against \(shown(outcome.baseline))"
        if plan.rule.metric.isShare, outcome.baseline != nil {
            let (count, base) = before.reduce((0, 0)) { ($0.0 + $1.count, $0.1 + $1.base) } as (UInt64, UInt64)
            text += " (\(AlertWords.count(count)) of \(AlertWords.count(base)))"
        }
        let length = plan.rule.period.words
        switch baseline {
        case .previousPeriod: text += " in the \(length) before"
        case .sameWeekday(let weeks):
            let when = plan.rule.period == .day ? "on the same weekday" : "in the same \(length)"
            text += " \(when) of the \(weeks == 1 ? "week" : "\(weeks) weeks") before"
        }
        if let p = outcome.pValue { text += ", corrected \(AlertWords.probability(p))" }
        return text
    }

    private static func short(_ name: ByteString) -> String { AlertWords.cut(name.string, to: AlertLimits.nameBytes) }

    private func shown(_ value: Double?) -> String { AlertWords.shown(value, kind) }
}

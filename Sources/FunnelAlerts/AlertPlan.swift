import FunnelModel

/// A rule with the funnel that it is about: which periods it evaluates, and what it asks.
package struct AlertPlan: Sendable {
    package let rule: AlertRule
    let calendar: AlertCalendar
    /// The step, from 0.
    let position: Int
    let stepName: ByteString
    /// The definition that is asked, as JSON.
    private let funnel: ByteString
    /// How long after a period's end the outcome of all its users is final, late events included; microseconds.
    package let closing: Int64

    /// Why a rule cannot be evaluated. The reason is a predicate of the rule.
    package struct Invalid: Error, Equatable, Sendable, CustomStringConvertible {
        package var reason: String
        /// The member of the rule that says it.
        package var field: ByteString

        package init(reason: String, field: ByteString = "rule") {
            self.reason = reason
            self.field = field
        }

        package var description: String { reason }
    }

    /// - Parameters:
    ///   - funnel: the funnel saved as the rule's `funnel_id`; nil if there is none.
    ///   - channels: ids of the channels that exist.
    package init(_ rule: AlertRule, funnel: FunnelDefinition?, channels: Set<ByteString>) throws(Invalid) {
        guard let calendar = AlertCalendar(zone: rule.timeZone.string) else {
            throw Invalid(reason: "names the time zone \(rule.timeZone.string), which does not exist", field: "time_zone")
        }
        guard var definition = funnel else {
            throw Invalid(reason: "names the funnel \(rule.funnelID.string), which does not exist", field: "funnel_id")
        }
        if let gone = rule.channels.first(where: { !channels.contains($0) }) {
            throw Invalid(reason: "names the channel \(gone.string), which does not exist", field: "channels")
        }
        let position = try Self.position(rule, definition)
        if rule.condition.kind == .significantChange, definition.countBy != .users {
            let unit = definition.countBy.text.string
            throw Invalid(reason: "tests for a significant change, but its funnel counts by \(unit), not by users", field: "condition")
        }
        definition.isDefault = false
        definition.steps[0].filters += rule.segment?.filters ?? []
        let within = rule.within ?? Microseconds(rule.period.length)
        definition.bound(window: within)
        do throws(InvalidDocument) {
            _ = try FunnelDefinition.parse(definition.json)
        } catch {
            throw Invalid(reason: "does not fit its funnel: \(error)")
        }
        self.rule = rule
        self.calendar = calendar
        self.position = position
        stepName = definition.steps[position].name
        self.funnel = ByteString(definition.json.encode())
        // With windows from the previous step, each step can take one. A window includes its last tick.
        let windows = position == 0 ? 0 : definition.anchor == .previousStep ? position : 1
        closing = rule.delay.count + Int64(windows) * (definition.window.count + 1_000_000)
    }

    private static func position(_ rule: AlertRule, _ definition: FunnelDefinition) throws(Invalid) -> Int {
        let found: Int?
        switch rule.metric.step {
        case .last: found = definition.steps.indices.last
        case .number(let number): found = definition.steps.indices.contains(number - 1) ? number - 1 : nil
        case .name(let name): found = definition.steps.firstIndex { $0.name == name }
        }
        guard let found else {
            let step =
                switch rule.metric.step {
                case .name(let name): "the step \"\(name.string)\""
                case .number(let number): "step \(number)"
                case .last: "a step"
                }
            throw Invalid(reason: "names \(step), which its funnel does not have", field: "metric.step")
        }
        if found == 0, rule.metric.kind != .count {
            throw Invalid(reason: "names step 1, which has no \(rule.metric.kind.rawValue)", field: "metric.step")
        }
        if rule.metric.kind == .dropOff, definition.steps[found].isOptional {
            throw Invalid(reason: "names step \(found + 1), which is optional: nobody drops at an optional step", field: "metric.step")
        }
        if case .step(let number)? = rule.breakdown?.breakdown.touch, number > definition.steps.count {
            throw Invalid(reason: "breaks down by step \(number), which its funnel does not have", field: "breakdown.touch")
        }
        return found
    }

    // MARK: - Periods

    /// The periods to evaluate now, oldest first.
    ///
    /// Each period is evaluated once. After a time without evaluation the missed ones follow in order, at most
    /// `AlertLimits.latePeriods` of them, so that a firing has the same beginning as if nothing had stopped.
    /// - Parameter evaluated: end of the last period that was evaluated.
    package func due(after evaluated: Int64?, now: Int64) -> [Range<Int64>] {
        var periods = [calendar.period(rule.period, endingBy: now - closing)]
        guard let evaluated else { return periods }
        guard periods[0].upperBound > evaluated else { return [] }
        while let first = periods.last, periods.count < AlertLimits.latePeriods {
            let before = calendar.period(rule.period, before: first)
            if before.upperBound <= evaluated { break }
            periods.append(before)
        }
        return periods.reversed()
    }

    /// The earlier periods that a period is compared with.
    package func baseline(of period: Range<Int64>) -> [Range<Int64>] {
        switch rule.condition.baseline {
        case nil: []
        case .previousPeriod?: [calendar.period(rule.period, before: period)]
        case .sameWeekday(let weeks)?: (1...max(1, weeks)).compactMap { calendar.period(rule.period, weeks: $0, before: period) }
        }
    }

    // MARK: - Questions

    package func question(_ period: Range<Int64>) -> AlertQuestion {
        AlertQuestion(
            funnel: funnel, property: rule.breakdown?.breakdown.property, touch: rule.breakdown?.breakdown.touch.text ?? "",
            period: period, needsTimes: rule.metric.kind == .medianTime)
    }

    /// All questions of the periods that are due.
    package func questions(after evaluated: Int64?, now: Int64) -> [AlertQuestion] {
        due(after: evaluated, now: now).flatMap { [$0] + baseline(of: $0) }.map { question($0) }
    }
}

extension FunnelDefinition {
    /// Shortens all windows that are longer.
    fileprivate mutating func bound(window limit: Microseconds) {
        window = min(window, limit)
        for i in steps.indices {
            if let own = steps[i].window { steps[i].window = min(own, limit) }
        }
    }
}

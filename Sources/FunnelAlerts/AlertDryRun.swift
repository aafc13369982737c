/// What a rule would have done in the past.
package struct AlertDryRun: Equatable, Sendable {
    /// A time in which one group was firing.
    package struct Firing: Equatable, Sendable {
        package var group: AlertGroup
        /// Ends of the periods with which it began and ended; nil: it had not ended.
        package var start: Int64
        package var end: Int64?
        /// The sentence with which it began.
        package var text: String
    }

    /// The metric in one period.
    package struct Point: Equatable, Sendable {
        /// Times of step 1, half-open, in microseconds since 1970.
        package var period: Range<Int64>
        /// The metric's value by group; a group without one is left out.
        package var values: [AlertGroup: Double]
    }

    package var firings: [Firing] = []
    /// In order of time. Groups that never fired are left out, but for the whole; of a breakdown that never fired, the values with most
    /// periods are there.
    package var points: [Point] = []
    /// Notifications that would have been sent, with mute, quiet hours and cool-down.
    package var notifications: [AlertNotification] = []
    /// Periods that were evaluated.
    package var periods = 0
    /// Periods that no answer was there for.
    package var missing = 0

    package var text: String {
        "would have fired \(firings.count == 1 ? "once" : "\(firings.count) times") in \(periods) period\(periods == 1 ? "" : "s")"
            + (missing == 0 ? "" : "; \(missing) without data")
            + (periods > 0 && points.allSatisfy(\.values.isEmpty)
                ? "; none of them has a value: check the events of the funnel, and the properties of segment and breakdown" : "")
    }

    /// Evaluates the periods of a range, each at the moment at which it would have been.
    /// - Parameters:
    ///   - range: microseconds since 1970. Of a longer one, the last `AlertLimits.dryPeriods` periods are evaluated.
    ///   - answer: as for `AlertState.advance`. A period without one is passed over.
    package init(
        _ plan: AlertPlan, over range: Range<Int64>, significantRules: Int, answer: (AlertQuestion) -> AlertAnswer?
    ) {
        var state = AlertState()
        var open: [AlertGroup: Int] = [:]
        for period in Self.periods(plan, range) {
            // A period that is missing must not be asked for again as a late one.
            state.evaluated = max(state.evaluated ?? .min, period.lowerBound)
            let sent = state.advance(plan, now: period.upperBound + plan.closing, significantRules: significantRules, answer: answer)
            notifications += sent
            guard state.evaluated == period.upperBound else {
                missing += 1
                continue
            }
            periods += 1
            points.append(Point(period: period, values: state.groups.compactMapValues(\.value)))
            for (key, group) in state.groups.sorted(by: { $0.key < $1.key }) {
                if let index = open[key], group.firing != firings[index].start {
                    firings[index].end = period.upperBound
                    open[key] = nil
                }
                if let start = group.firing, open[key] == nil {
                    open[key] = firings.count
                    firings.append(Firing(group: key, start: start, end: nil, text: group.text))
                }
            }
        }
        var shown = Set(firings.map(\.group)).union([.whole])
        if firings.isEmpty, plan.rule.breakdown != nil {
            var counts: [AlertGroup: Int] = [:]
            for point in points { for key in point.values.keys { counts[key, default: 0] += 1 } }
            let most = counts.keys.sorted { a, b in
                let (first, second) = (counts[a] ?? 0, counts[b] ?? 0)
                return first != second ? first > second : a < b
            }
            shown.formUnion(most.prefix(Self.quietGroups))
        }
        for i in points.indices { points[i].values = points[i].values.filter { shown.contains($0.key) } }
    }

    /// Values of a breakdown that are shown if none fired.
    private static let quietGroups = 5

    /// What a dry run asks, without duplicates, in order of time.
    package static func questions(_ plan: AlertPlan, over range: Range<Int64>) -> [AlertQuestion] {
        var seen: Set<AlertQuestion> = []
        return periods(plan, range).flatMap { [$0] + plan.baseline(of: $0) }.map { plan.question($0) }.filter { seen.insert($0).inserted }
    }

    private static func periods(_ plan: AlertPlan, _ range: Range<Int64>) -> [Range<Int64>] {
        var periods: [Range<Int64>] = []
        var period = plan.calendar.period(plan.rule.period, endingBy: range.upperBound)
        while period.lowerBound >= range.lowerBound, periods.count < AlertLimits.dryPeriods {
            periods.append(period)
            period = plan.calendar.period(plan.rule.period, before: period)
        }
        return periods.reversed()
    }
}

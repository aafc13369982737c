import FunnelAlerts
import FunnelModel
import Testing

/// What a test needs to make rules and answers.
enum Answers {
    static let hour: Int64 = 3_600_000_000
    static let day: Int64 = 24 * hour
    /// Monday 2026-03-02T00:00:00Z.
    static let monday: Int64 = 1_772_409_600_000_000

    static let funnel: FunnelDefinition = {
        var funnel = FunnelDefinition(id: "shop", steps: [.init("Visit"), .init("Cart"), .init("Purchase")])
        funnel.window = 604_800_000_000
        return funnel
    }()

    /// A rule of a text of JSON without `id` and `funnel_id`.
    static func rule(_ members: String, id: String = "r") throws -> AlertRule {
        try AlertRule.parse(Array(#"{"id":"\#(id)","funnel_id":"shop",\#(members)}"#.utf8))
    }

    static func plan(_ members: String, id: String = "r") throws -> AlertPlan {
        try AlertPlan(rule(members, id: id), funnel: funnel, channels: ["ops"])
    }

    /// Counts of the steps, as a report has them.
    static func steps(_ counts: [UInt64], median: Double? = nil) -> [AlertAnswer.Step] {
        counts.enumerated().map { i, count in
            AlertAnswer.Step(
                count: count, previous: i == 0 ? nil : counts[i - 1], median: i == 0 ? 0 : median, medianFromPrevious: median.map { $0 / 2 }
            )
        }
    }

    static func whole(_ counts: [UInt64], median: Double? = nil) -> AlertAnswer { AlertAnswer([.whole: steps(counts, median: median)]) }

    static func values(_ values: [String: [UInt64]], hasMore: Bool = false) -> AlertAnswer {
        var steps = [AlertGroup.whole: self.steps(values.values.first ?? [0, 0, 0])]
        for (value, counts) in values { steps[AlertGroup(.string(ByteString(value)))] = self.steps(counts) }
        return AlertAnswer(steps, hasMore: hasMore)
    }

    static func group(_ value: String) -> AlertGroup { AlertGroup(.string(ByteString(value))) }

    /// One line for each item: `firing r "DE" 12:00`, with the hour of the firing's beginning.
    static func lines(_ notifications: [AlertNotification]) -> [String] {
        notifications.flatMap { notification in
            notification.items.map { item in
                let time = Timestamp.format(item.start).dropFirst(5).prefix(11)
                let group = item.group.isWhole ? "" : " \(item.group.text.string)"
                return "\(notification.kind.rawValue) \(notification.ruleID.string)\(group) \(time)"
            }
        }
    }

    /// The outcome of one evaluation of the hour from `monday` on.
    static func outcome(_ members: String, now: AlertAnswer, before: AlertAnswer? = nil, rules: Int = 1) throws -> AlertState.Group {
        let plan = try plan(members)
        var state = AlertState()
        _ = state.advance(plan, now: monday + hour + plan.closing, significantRules: rules) { question in
            question.period.lowerBound == monday ? now : before
        }
        return try #require(state.groups[.whole])
    }
}

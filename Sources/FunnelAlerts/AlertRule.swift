import FunnelModel

/// A rule that says when a funnel's numbers are worth a message (`Protocol/ALERTS.md`).
package struct AlertRule: Equatable, Sendable {
    package var id: ByteString
    package var funnelID: ByteString
    package var metric: AlertMetric
    package var segment: AlertSegment?
    package var breakdown: AlertBreakdown?
    package var condition: AlertCondition
    package var period: AlertPeriod = .hour
    package var timeZone: ByteString = "UTC"
    /// How long after step 1 a user can reach the step; nil: the length of the period. The funnel's window bounds it.
    package var within: Microseconds?
    /// How long an evaluation waits for late events.
    package var delay: Microseconds = defaultDelay
    /// How long the condition must hold before the rule fires.
    package var hold: Microseconds = 0
    /// How long the condition must no longer hold before the rule resolves.
    package var keepFiring: Microseconds = 0
    /// Min time between the beginnings of two firings of one group that are notified.
    package var coolDown: Microseconds = 0
    /// Microseconds since 1970.
    package var muteUntil: Int64?
    package var quietHours: QuietHours?
    package var grouping: AlertGrouping = .each
    /// Ids of channels.
    package var channels: [ByteString] = []

    package static let defaultDelay: Microseconds = 120_000_000

    package init(id: ByteString, funnelID: ByteString, metric: AlertMetric, condition: AlertCondition) {
        self.id = id
        self.funnelID = funnelID
        self.metric = metric
        self.condition = condition
    }
}

/// The number that a rule watches.
package struct AlertMetric: Equatable, Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        /// Users who reached the step.
        case count
        /// The share of users who reached it.
        case conversion
        /// The share of the step before that did not.
        case dropOff = "drop_off"
        /// Seconds to the step.
        case medianTime = "median_time"
    }

    /// Where a conversion or a time begins.
    package enum Start: String, CaseIterable, Sendable {
        case first, previous
    }

    package enum Step: Equatable, Sendable {
        case last
        /// From 1.
        case number(Int)
        /// The first step of this name.
        case name(ByteString)
    }

    package var kind: Kind
    package var step: Step
    package var start: Start

    package init(_ kind: Kind, step: Step = .last, from start: Start = .first) {
        self.kind = kind
        self.step = step
        self.start = start
    }

    /// Whether it is a share of independent users, which a test of two proportions needs.
    var isShare: Bool { kind == .conversion || kind == .dropOff }
}

/// Some of the users, by conditions of step 1.
package struct AlertSegment: Equatable, Sendable {
    package var name: ByteString
    package var filters: [Predicate]
    /// The conditions as their author wrote them.
    package var json: JSONValue

    package init(name: ByteString, filters: [Predicate], json: JSONValue) {
        self.name = name
        self.filters = filters
        self.json = json
    }
}

/// The rule is evaluated for each value of a property.
package struct AlertBreakdown: Equatable, Sendable {
    package var breakdown: Breakdown
    /// Max number of values.
    package var values: Int

    package init(_ breakdown: Breakdown, values: Int = AlertLimits.groups) {
        self.breakdown = breakdown
        self.values = values
    }
}

/// When a number is worth a message.
package enum AlertCondition: Equatable, Sendable {
    case threshold(Threshold)
    case change(Change)
    case significantChange(Significance)
    case noData(NoData)

    package enum Kind: String, CaseIterable, Sendable {
        case threshold, change
        case significantChange = "significant_change"
        case noData = "no_data"

        var member: ByteString { ByteString(rawValue) }
    }

    package var kind: Kind {
        switch self {
        case .threshold: .threshold
        case .change: .change
        case .significantChange: .significantChange
        case .noData: .noData
        }
    }

    /// The value is above or below a limit. One of the two is set, or both.
    package struct Threshold: Equatable, Sendable {
        package var above: Double?
        package var below: Double?
        package var minSample: UInt64 = 1

        package init(above: Double? = nil, below: Double? = nil) {
            self.above = above
            self.below = below
        }
    }

    /// The value differs from that of a baseline by `amount`.
    package struct Change: Equatable, Sendable {
        package enum Unit: String, CaseIterable, Sendable {
            /// A fraction of the baseline.
            case relative
            /// Users, a fraction of users, or seconds.
            case absolute
        }

        package var direction: Direction = .any
        package var unit: Unit
        /// Above 0.
        package var amount: Double
        package var baseline: Baseline = .previousPeriod
        package var minSample: UInt64 = 1

        package init(_ unit: Unit, by amount: Double, _ direction: Direction = .any) {
            self.unit = unit
            self.amount = amount
            self.direction = direction
        }
    }

    /// A share differs from that of the same hours of other weeks by more than chance explains.
    package struct Significance: Equatable, Sendable {
        package var direction: Direction = .any
        /// Max corrected p-value.
        package var level = defaultLevel
        package var minSample: UInt64 = 100
        /// Min relative change: a change that is certain may still be too small to matter.
        package var minChange = 0.1
        package var weeks = AlertCondition.defaultWeeks

        /// 8,766 hours of a year, each with at most this probability of a false alarm in the whole project, make less than one.
        package static let defaultLevel = 0.0001

        package init(_ direction: Direction = .any) { self.direction = direction }
    }

    /// Nobody reached the step.
    package struct NoData: Equatable, Sendable {
        /// Users who reached it at the same time of other weeks, on average, below which nothing is said; nil: always say it.
        package var minSample: UInt64?
        package var weeks = AlertCondition.defaultWeeks

        package init(minSample: UInt64? = nil) { self.minSample = minSample }
    }

    package enum Direction: String, CaseIterable, Sendable {
        case down, up, any

        func contains(_ change: Double) -> Bool {
            switch self {
            case .down: change < 0
            case .up: change > 0
            case .any: change != 0
            }
        }
    }

    /// What a value is compared with.
    package enum Baseline: Equatable, Sendable {
        case previousPeriod
        /// The same weekday and hour of as many weeks before.
        case sameWeekday(weeks: Int)
    }

    package static let defaultWeeks = 4

    /// Nil if the condition needs no earlier periods.
    package var baseline: Baseline? {
        switch self {
        case .threshold: nil
        case .change(let change): change.baseline
        case .significantChange(let test): .sameWeekday(weeks: test.weeks)
        case .noData(let test): test.minSample == nil ? nil : .sameWeekday(weeks: test.weeks)
        }
    }
}

/// Hours of the day without notifications, on the clock of the rule's time zone.
package struct QuietHours: Equatable, Sendable {
    /// Minutes since 00:00, 0..<1440. The hours may pass midnight.
    package var from: Int
    package var to: Int

    package init(from: Int, to: Int) {
        self.from = from
        self.to = to
    }

    package func contains(minute: Int) -> Bool {
        from < to ? (from..<to).contains(minute) : minute >= from || minute < to
    }
}

/// How values of a breakdown share notifications.
package enum AlertGrouping: String, CaseIterable, Sendable {
    /// One notification for each value.
    case each
    /// One for all values that fire, or resolve, in the same evaluation.
    case together
}

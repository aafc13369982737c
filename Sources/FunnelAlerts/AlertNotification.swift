import FunnelModel

/// What is sent to the channels of a rule.
package struct AlertNotification: Equatable, Sendable {
    package enum Kind: String, CaseIterable, Sendable {
        case firing, resolved, invalid
    }

    /// One firing, or its end.
    package struct Item: Equatable, Sendable {
        /// Names the firing, and so does that of its end.
        package var firing: String
        package var kind: Kind
        package var group: AlertGroup
        /// Beginning and end of the firing, microseconds since 1970.
        package var start: Int64
        package var end: Int64?
        package var value: Double?
        package var baseline: Double?
        package var pValue: Double?
        package var text: String

        /// The same whenever and however often the rule is evaluated: delivery sends each key once.
        package var key: String { "\(firing):\(kind.rawValue)" }
    }

    package var ruleID: ByteString
    package var kind: Kind
    package var items: [Item]
    package var channels: [ByteString]
    /// What is watched, as a noun: `Conversion to step 3 of shop`.
    package var subject: String
    package var metric: AlertMetric.Kind
    package var property: ByteString?
    package var threshold: AlertCondition.Threshold?

    init(_ rule: AlertRule, _ kind: Kind, _ items: [Item]) {
        ruleID = rule.id
        self.kind = kind
        self.items = items
        channels = rule.channels
        subject = "\(AlertWords.subject(rule.metric)) of \(rule.funnelID.string)"
        metric = rule.metric.kind
        property = rule.breakdown?.breakdown.property
        if case .threshold(let limit) = rule.condition { threshold = limit }
    }

    init(_ rule: AlertRule, invalid fault: AlertState.Fault, origin: UInt64) {
        let text = "Rule \(rule.id.string) is not evaluated: it \(fault.reason)."
        let item = Item(
            firing: Item.name(rule, .whole, fault.since, origin), kind: .invalid, group: .whole, start: fault.since, text: text)
        self.init(rule, .invalid, [item])
    }

    /// One notification, or one for each item, as the rule groups them.
    static func list(_ kind: Kind, _ items: [Item], _ rule: AlertRule) -> [AlertNotification] {
        switch rule.grouping {
        case .each: items.map { AlertNotification(rule, kind, [$0]) }
        case .together: items.isEmpty ? [] : [AlertNotification(rule, kind, items)]
        }
    }
}

extension AlertNotification.Item {
    init(
        _ rule: AlertRule, _ key: AlertGroup, _ group: AlertState.Group, _ kind: AlertNotification.Kind, start: Int64, origin: UInt64
    ) {
        self.init(
            firing: Self.name(rule, key, start, origin), kind: kind, group: key, start: start, end: kind == .resolved ? group.ended : nil,
            value: group.value, baseline: group.baseline, pValue: group.pValue, text: group.text)
    }

    fileprivate static func name(_ rule: AlertRule, _ group: AlertGroup, _ start: Int64, _ origin: UInt64) -> String {
        "\(rule.id.string):\(group.keyPart):\(start / 1_000_000)" + (origin == 0 ? "" : ".\(origin)")
    }
}

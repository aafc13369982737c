import FunnelAlerts
import FunnelModel

/// A saved alert rule and what it remembers.
package struct AlertEntry: Equatable, Sendable {
    package var project: UInt32
    package var rule: AlertRule
    package var revision: UInt64
    package var state: AlertState

    var isSignificanceTest: Bool { rule.condition.kind == .significantChange }

    /// The worst state of its groups.
    package var status: String {
        if state.fault != nil { return "invalid" }
        for status in [AlertState.Status.firing, .pending, .resolved] where state.groups.values.contains(where: { $0.status == status }) {
            return status.rawValue
        }
        return AlertState.Status.ok.rawValue
    }

    /// The rule with all defaults, and its state.
    var json: JSONValue { .object((rule.json.asObject ?? []) + [.init("state", stateJSON)]) }

    private var stateJSON: JSONValue {
        func time(_ time: Int64?) -> JSONValue { time.map { .text(Timestamp.format($0)) } ?? .null }
        let groups = state.groups.sorted { $0.key < $1.key }.map { key, group -> JSONValue in
            [
                "group": key.json, "status": .text(group.status.rawValue), "since": time(group.since),
                "value": .optional(group.value), "baseline": .optional(group.baseline), "p_value": .optional(group.pValue),
                "text": .text(group.text),
            ]
        }
        return [
            "status": .text(status), "evaluated_until": time(state.evaluated),
            "reason": state.fault.map { .text($0.reason) } ?? .null, "groups": .array(groups),
        ]
    }
}

extension AlertGroup {
    /// The value's JSON text; null for the whole.
    var json: JSONValue { isWhole ? .null : .string(text) }
}

extension JSONValue {
    static func optional(_ number: Double?) -> JSONValue { number.map { .double($0) } ?? .null }
}

extension AlertRule {
    /// Whether a change to another rule goes on with the state: only the times and forms of notifications differ.
    func keepsState(as other: AlertRule) -> Bool { watched == other.watched }

    /// Identifies what is watched, across versions of the rule.
    var fingerprint: UInt64 { XXH64.hash(watched.json.encode()) }

    private var watched: AlertRule {
        var rule = self
        rule.muteUntil = nil
        rule.quietHours = nil
        rule.coolDown = 0
        rule.grouping = .each
        return rule
    }
}

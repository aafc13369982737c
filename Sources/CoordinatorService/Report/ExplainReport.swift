import FunnelModel

/// One user's matched events, or why the user stopped. Fields and rules: `Protocol/FUNNEL.md` section 6.
struct ExplainReport: Sendable {
    var definition: FunnelDefinition
    var asOf: Int64
    var user: ByteString
    /// Nil if the shard has no events of the user.
    var explanation: UserExplanation?
    var completeness: Completeness

    var json: JSONValue {
        let found = explanation ?? UserExplanation()
        let last = found.depth == definition.steps.count
        return [
            "funnel": definition.json, "rules": .text(definition.rules), "as_of": .text(Timestamp.format(asOf)),
            "user_id": .string(user), "found": .bool(explanation != nil), "depth": .count(found.depth),
            "outcome": found.depth == 0 ? "not_entered" : (last ? "converted" : "dropped"),
            "chosen": .array(found.chosen.indices.map { chosen($0, of: found.chosen) }),
            "stopped": found.stopped.map(stopped) ?? .null,
            "open_until": found.openUntil.map { .text(Timestamp.format($0)) } ?? .null, "attempts": .array(found.attempts.map(attempt)),
            "attempts_total": .count(found.attemptsInAll), "events": .array(found.events.map(event)),
            "events_total": .count(found.eventsInAll), "completeness": completeness.json,
        ]
    }

    private func ticks(_ time: Int64) -> Int64 { Timestamp.floorDivide(time, definition.clock.tick.count) }

    private func seconds(_ ticks: Int64) -> JSONValue { .number(Double(ticks) * Double(definition.clock.tick.count) / 1e6) }

    private func name(_ position: Int) -> JSONValue { .string(definition.steps[position].name) }

    private func chosen(_ i: Int, of all: [UserExplanation.Chosen]) -> JSONValue {
        let this = all[i]
        let first = ticks(all[0].moment.time)
        let at = max(first, ticks(this.moment.time))
        // As in the counts, the step before is the nearest required one.
        let previous = all[..<i].last { !definition.steps[$0.position].isOptional }.map { max(first, ticks($0.moment.time)) }
        return [
            "step": name(this.position), "index": .count(this.position + 1), "event": .string(this.moment.event),
            "time": .text(Timestamp.format(this.moment.time)), "seconds_from_first": seconds(at - first),
            "seconds_from_previous": previous.map { seconds(max(0, at - $0)) } ?? .null,
            "properties": .object(this.properties.map { .init($0.key, $0.value.json) }),
        ]
    }

    private func stopped(_ miss: UserExplanation.Miss) -> JSONValue {
        [
            "step": name(miss.position), "index": .count(miss.position + 1), "reason": .text(miss.reason.rawValue),
            "text": .text(text(miss) + stillOpen), "event": miss.candidate.map { .string($0.event) } ?? .null,
            "time": miss.candidate.map { .text(Timestamp.format($0.time)) } ?? .null,
        ]
    }

    private func attempt(_ attempt: UserExplanation.Attempt) -> JSONValue {
        [
            "time": .text(Timestamp.format(attempt.time)), "depth": .count(attempt.depth),
            "seconds": seconds(Int64(clamping: attempt.took)), "not_chosen": .text(attempt.notChosen.rawValue),
        ]
    }

    private func event(_ entry: UserExplanation.Entry) -> JSONValue {
        let steps = definition.steps.indices.filter { entry.positions >> UInt64($0) & 1 == 1 }
        return [
            "time": .text(Timestamp.format(entry.moment.time)), "event": .string(entry.moment.event),
            "steps": .array(steps.map { .count($0 + 1) }),
        ]
    }

    private var stillOpen: String {
        guard let end = explanation?.openUntil else { return "" }
        return ". Still open: the conversion window ends at \(Timestamp.format(end))"
    }

    /// A sentence on the rule that the event failed: the event first, with its time, then the step.
    private func text(_ miss: UserExplanation.Miss) -> String {
        let step = Self.quoted(definition.steps[miss.position].name)
        let event = "The event \(Self.text(miss.candidate))"
        let distance = Self.duration(miss.distance)
        switch miss.reason {
        case .noEvent: return "The user has no event of step \(step)" + (last.map { " after \(text($0))" } ?? "")
        case .condition:
            let property = miss.property.isEmpty ? "" : " on the property \(Self.quoted(miss.property))"
            return "\(event) does not meet the condition of step \(step)\(property)"
        case .held:
            let lacks = "\(event) has no property \(Self.quoted(miss.property))"
            return lacks + (first.map { ", or not the value of it that \(text($0)) has" } ?? ", whose value the funnel holds constant")
        case .range: return "\(event) is outside the time range of the query"
        case .used: return "\(event) did another step of this attempt, and an event can do only one"
        case .sameTime: return "\(event) has the same \(definition.clock.rawValue) as \(text(last)), which it must follow"
        case .order:
            switch definition.order {
            case .flexible(let limit):
                return "\(event) came \(distance) before \(text(last)), and may precede it by less than \(limit) only"
            case .any: return "\(event) came \(distance) before the attempt began with \(text(first))"
            case .sequential, .strict: return "\(event) came \(distance) before \(text(last)), which it must follow"
            }
        case .window: return "\(event) came \(distance) after the conversion window of \(definition.window) had ended"
        case .stepWindow:
            let window = definition.steps[miss.position].window.map { " of \($0)" } ?? ""
            return "\(event) came \(distance) after the window\(window) of step \(step) had ended"
        case .between:
            let places = "between \(text(last)) and \(Self.text(miss.candidate))"
            return "The event \(Self.text(miss.blocker)) came \(places), where strict order allows no other event"
        case .excluded:
            return "\(event) cannot be step \(step): the excluded event \(Self.text(miss.blocker)) came before it"
        case .leftOut: return "An exclusion leaves the user out of the funnel"
        case .notInCohort: return "The user is not in the cohort of the query"
        }
    }

    private var first: UserExplanation.Chosen? { explanation?.chosen.first }

    private var last: UserExplanation.Chosen? { explanation?.chosen.last }

    private func text(_ chosen: UserExplanation.Chosen?) -> String {
        guard let chosen else { return "the step before it" }
        return "step \(Self.quoted(definition.steps[chosen.position].name)) at \(Timestamp.format(chosen.moment.time))"
    }

    private static func text(_ moment: UserExplanation.Moment?) -> String {
        moment.map { "\(quoted($0.event)) at \(Timestamp.format($0.time))" } ?? "of the step"
    }

    private static func quoted(_ name: ByteString) -> String { "\"\(name.string)\"" }

    /// The two largest units of a length of time in microseconds.
    private static func duration(_ microseconds: UInt64) -> String {
        let units: [(name: String, size: UInt64)] = [
            ("d", 86_400_000_000), ("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1),
        ]
        var rest = microseconds
        var parts: [String] = []
        for (name, size) in units where rest >= size && parts.count < 2 {
            parts.append("\(rest / size) \(name)")
            rest %= size
        }
        return parts.isEmpty ? "0 s" : parts.joined(separator: " ")
    }
}

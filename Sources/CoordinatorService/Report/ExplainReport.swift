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

    private func text(_ miss: UserExplanation.Miss) -> String {
        let step = definition.steps[miss.position].name.string
        let candidate = Self.text(miss.candidate)
        let blocker = Self.text(miss.blocker)
        let distance = Self.duration(miss.distance)
        switch miss.reason {
        case .noEvent:
            guard let last = explanation?.chosen.last else { return "no event of \"\(step)\"" }
            return "no event of \"\(step)\" after \(Timestamp.format(last.moment.time))"
        case .condition: return "a condition on \"\(miss.property.string)\" did not hold for \(candidate)"
        case .held: return "\"\(miss.property.string)\" was missing or had another value in \(candidate)"
        case .range: return "\(candidate) is outside the range of the query"
        case .used: return "\(candidate) had done another step already"
        case .sameTime: return "\(candidate) has the same \(definition.clock.rawValue) as the step before"
        case .order: return "in the wrong order: \(candidate) came \(distance) before the step that it should follow"
        case .window: return "the window had passed \(distance) earlier when \(candidate) came"
        case .stepWindow: return "the step's window had passed \(distance) earlier when \(candidate) came"
        case .between: return "another event between (strict): \(blocker) came before \(candidate)"
        case .excluded: return "excluded by \(blocker), before \(candidate)"
        case .leftOut: return "left out by an exclusion that drops users"
        case .notInCohort: return "not in the cohort of the query"
        }
    }

    private static func text(_ moment: UserExplanation.Moment?) -> String {
        moment.map { "\"\($0.event.string)\" at \(Timestamp.format($0.time))" } ?? "an event"
    }

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

import FunnelModel

/// The steps of a funnel that no user reached. A misspelt event name would otherwise be a 0 like any other.
struct EmptySteps {
    private struct Step {
        var number: Int
        var events: [ByteString]
    }

    private let steps: [Step]
    /// Whether the report has no users at all, so that any step may be the cause.
    private let isWhole: Bool
    /// Whether two events in one second cannot be two steps, one after the other.
    private var isSecondClock: Bool
    /// Max event names that the coordinator lists.
    private static let namesMax = 10_000
    private static let warningsMax = 5

    /// Nil if users reached every step, or if the answer is not complete.
    init?(of report: JSONValue) {
        guard report["completeness"]?["exact"] == true, let funnel = report["funnel"] else { return nil }
        self.init(Self.numbers(report, isAny: funnel["conversion_order"] == "any"), of: funnel)
        // Of one user, the explanation itself says why.
        if report["user_id"] != nil { isSecondClock = false }
    }

    /// Nil without such steps.
    /// - Parameter numbers: of the steps, from 1; nil is all.
    init?(_ numbers: [Int]?, of funnel: JSONValue) {
        isWhole = numbers == nil
        isSecondClock = ["second", nil].contains(funnel["clock"]) && ["sequential", nil].contains(funnel["conversion_order"])
        let list = funnel["steps"]?.asArray ?? []
        steps = list.enumerated().filter { numbers?.contains($0.offset + 1) ?? true }.compactMap { i, step in
            let events = Self.events(of: step, in: funnel)
            return events.contains("*") ? nil : Step(number: i + 1, events: events)
        }
        if steps.isEmpty { return nil }
    }

    /// Nil is all steps: in any order, a row is a number of steps and not one of them.
    private static func numbers(_ report: JSONValue, isAny: Bool) -> [Int]? {
        if let rows = report["steps"]?.asArray {
            let empty = rows.filter { $0["count"] == 0 }.compactMap { $0["index"]?.asInteger }.map { Int($0) }
            return isAny && !empty.isEmpty ? nil : empty
        }
        if let stopped = report["stopped"] {
            return stopped["reason"] == "no_event" ? [Int(stopped["index"]?.asInteger ?? 0)] : []
        }
        return report["users"] == 0 || report["converted"] == 0 ? nil : []
    }

    /// The names of the events that a step admits.
    private static func events(of step: JSONValue, in funnel: JSONValue) -> [ByteString] {
        let name = step.asString ?? step["name"]?.asString ?? ""
        let joined = (funnel["event_types"]?.asObject ?? []).filter { $0.value.asString == name }.map(\.key)
        return (step["events"]?.asArray?.compactMap(\.asString) ?? [name]) + joined
    }

    /// Writes on standard error which events of the steps are none that the project has, with names like theirs. Asks for the names
    /// of all events once; if that fails, says where they are.
    /// - Parameter client: calls the coordinator; nil if its HTTP address is not known.
    func warn(_ client: HTTPClient?) async {
        guard let known = await Self.names(client) else {
            let list = steps.prefix(Self.warningsMax).map { "\($0.number) (\($0.events.map(\.string).joined(separator: ", ")))" }
            let what = isWhole ? "there are no users" : "no user reached step \(NearestNames.alternatives(list))"
            return Terminal.note("Note: \(what); GET /v1/events of the coordinator lists the names of all events".printable)
        }
        if known.isEmpty { return Terminal.note("Note: no events are stored yet") }
        let all = Set(known)
        let texts = known.map(\.string)
        let unknown = steps.flatMap { step in step.events.map { (step: step.number, event: $0) } }.filter { !all.contains($0.event) }
        for (step, event) in unknown.prefix(Self.warningsMax) {
            let nearest = NearestNames.of(event.string, among: texts)
            let advice =
                nearest.isEmpty
                ? "the most frequent ones are \(texts.prefix(5).joined(separator: ", "))"
                : "did you mean \(NearestNames.alternatives(nearest.map { "\"\($0)\"" }))?"
            Terminal.note("Warning: no event is named \"\(event.string)\" (step \(step)); \(advice)".printable)
        }
        if unknown.isEmpty, !isWhole, isSecondClock, let first = steps.first, first.number > 1 {
            Terminal.note(
                "Note: no user reached step \(first.number). An event in the same second as the step before does not count; "
                    + "--order flexible:1s counts it, in either order")
        }
    }

    /// The names of all events, the most frequent first; nil if they could not be read, or not all of them.
    private static func names(_ client: HTTPClient?) async -> [ByteString]? {
        guard let client, let body = try? await client.call("GET", "/v1/events?limit=\(namesMax)", seconds: 5),
            let answer = try? JSONParser.parse(body), let events = answer["events"]?.asArray,
            answer["total"] == .count(events.count)
        else { return nil }
        return events.compactMap { $0["event"]?.asString }
    }
}

import FunnelMatch
import FunnelModel
import TestSupport
import Testing

/// A case of another system in our terms.
struct PeerCase {
    private let item: JSONValue
    private var options: JSONValue { item["options"] ?? [:] }
    var expected: JSONValue { item["expected"] ?? [:] }

    init(_ item: JSONValue) { self.item = item }

    func definition() throws -> FunnelDefinition {
        var definition = FunnelDefinition(steps: (item["steps"]?.asArray ?? []).enumerated().map(Self.step))
        // Some windows are longer than ours may be, and than any history here.
        if let window = item["window_seconds"]?.asDouble { definition.window = Microseconds(Int64(min(window, 366 * 86_400) * 1e6)) }
        definition.clock = .microsecond
        switch try #require(item["mode"]?.asString) {
        case "sequential": definition.clock = .second
        case "flexible":
            definition.clock = .second
            definition.order = .flexible(limit: Microseconds((options["order_limit_seconds"]?.asInteger ?? 1) * 1_000_000))
        case "strict", "clickhouse:strict_order", "clickhouse:strict_order+allow_reentry", "doris:fixed",
            "clickhouse:strict_deduplication+strict_order":
            definition.order = .strict
        case "unordered": definition.order = .any
        case "strict_increase", "clickhouse:strict_increase", "doris:increase": break
        default: definition.order = .flexible(limit: 1)
        }
        if options["same_time_granularity_s"] == 1 { definition.clock = .second }
        if let grace = options["grace_seconds"]?.asInteger {
            definition.clock = .second
            definition.order = .flexible(limit: Microseconds(grace * 1_000_000))
        }
        if options["reentry"]?.asString == "first" { definition.entry = .first }
        if options["count"]?.asString == "totals" || options["attribution"]?.asString == "step_1" { definition.countBy = .attempts }
        if options["unit"]?.asString == "session" { definition.countBy = .property("session") }
        // What that system holds constant makes a unit of its own there.
        if let property = options["hold_constant"]?.asArray?.first?.asString {
            definition.countBy = .property(property)
            definition.entry = .earliest
        }
        for number in options["optional_steps"]?.asArray?.compactMap(\.asInteger) ?? [] {
            definition.steps[Int(number) - 1].isOptional = true
        }
        let ends = definition.countBy == .attempts || item["mode"]?.asString == "unordered"
        definition.exclusions = (options["exclusions"]?.asArray ?? []).map { exclusion in
            .init(
                events: .named([exclusion["event"]?.asString ?? ""]), filters: Self.filters(exclusion),
                after: Int(exclusion["from_step"]?.asInteger ?? 0), before: Int(exclusion["to_step"]?.asInteger ?? 0),
                effect: ends ? .endAttempt : .dropUser)
        }
        // Ours must pass its own checks.
        return try FunnelDefinition.parse(definition.json)
    }

    private static func step(_ i: Int, _ step: JSONValue) -> FunnelDefinition.Step {
        if let name = step.asString { return .init(name) }
        if step["any"] != nil { return .init(ByteString("any \(i)"), events: .any) }
        return .init(ByteString("step \(i)"), events: .named([step["event"]?.asString ?? ""]), filters: filters(step))
    }

    private static func filters(_ value: JSONValue) -> [Predicate] {
        (value["where"]?.asObject ?? []).compactMap { member in
            PropertyValue(scalar: member.value).map { Predicate(property: member.key, comparison: .equal, values: [$0]) }
        }
    }

    /// Events that name no user are all of one.
    func users() -> [OneUser] {
        let events = (item["events"]?.asArray ?? []).compactMap(Self.event)
        var names: [PropertyValue?] = []
        for event in events where !names.contains(Self.user(event)) { names.append(Self.user(event)) }
        return names.map { name in OneUser(events.filter { Self.user($0) == name }) }
    }

    private static func user(_ event: Event) -> PropertyValue? { event.properties.first { $0.key == "user" }?.value }

    /// The breakdown's value by the first event of the chosen attempt.
    func value(of outcome: UserOutcome, in user: OneUser) -> PropertyValue? {
        user.events[outcome.chain[0]].properties.first { $0.key == options["breakdown"]?.asString }?.value
    }

    private static func event(_ row: JSONValue) -> Event? {
        guard let parts = row.asArray, let name = parts[0].asString, let ms = parts[1].asDouble else { return nil }
        let properties = (parts.count > 2 ? parts[2].asObject ?? [] : []).compactMap { member in
            PropertyValue(scalar: member.value).map { Event.Property(member.key, $0) }
        }
        return Event(user: "u", name: name, time: Int64(ms * 1000), properties: properties)
    }
}

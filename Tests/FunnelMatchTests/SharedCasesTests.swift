import FunnelMatch
import FunnelModel
import FunnelTestSupport
import Testing

/// Cases taken as facts from other systems' tests, and the micro cases of the independent oracle. They lie beside the
/// repository; a clone without them skips, by name.
struct SharedCasesTests {
    static let peers = (try? Repository.sharedJSON("cases/peer-cases.json"))?.asArray ?? []
    static let micro = (try? Repository.sharedJSON("oracle/micro_cases.json"))?["cases"]?.asArray ?? []

    @Test(.enabled(if: !peers.isEmpty, "peer-cases.json is not beside the repository"))
    func peerCasesPass() throws {
        var ran = 0
        for item in Self.peers {
            let mode = item["mode"]?.asString ?? ""
            guard ["sequential", "flexible", "ordered"].contains(mode), item["flags"] == nil, item["options"] == nil
            else { continue }
            ran += 1
            let id = item["id"]?.asString?.string ?? "?"
            let definition = try peerDefinition(item)
            let events = (item["events"]?.asArray ?? []).compactMap(Self.event)
            let (outcome, seconds) = try OneUser(events).match(definition)
            let expected = try #require(item["expected"])
            if let step = expected["furthest_step"]?.asInteger { #expect(outcome.depth == Int(step), "\(id)") }
            if let time = expected["conversion_time_s"]?.asDouble { #expect(seconds.last == time, "\(id)") }
            if let gaps = expected["step_gaps_s"]?.asArray?.compactMap(\.asDouble) {
                #expect(zip(seconds.dropFirst(), seconds).map { $0 - $1 } == gaps, "\(id)")
            }
        }
        #expect(ran == 32)
    }

    private func peerDefinition(_ item: JSONValue) throws -> FunnelDefinition {
        let steps = (item["steps"]?.asArray ?? []).enumerated().map { i, step -> FunnelDefinition.Step in
            if let name = step.asString { return .init(name) }
            if step["any"] != nil { return .init(ByteString("any \(i)"), events: .any) }
            let filters = (step["where"]?.asObject ?? []).compactMap { member in
                PropertyValue(scalar: member.value).map {
                    Predicate(property: member.key, comparison: .equal, values: [$0])
                }
            }
            return .init(ByteString("step \(i)"), events: .named([step["event"]?.asString ?? ""]), filters: filters)
        }
        var definition = FunnelDefinition(steps: steps)
        definition.window = Int64((item["window_seconds"]?.asDouble ?? 0) * 1e6)
        definition.clock = .microsecond
        definition.order = .flexible(limit: 1)
        return definition
    }

    private static func event(_ row: JSONValue) -> Event? {
        guard let parts = row.asArray, let name = parts[0].asString, let ms = parts[1].asDouble else { return nil }
        let properties = (parts.count > 2 ? parts[2].asObject ?? [] : []).compactMap { member in
            PropertyValue(scalar: member.value).map { Event.Property(member.key, $0) }
        }
        return Event(user: "u", name: name, time: Int64(ms * 1000), properties: properties)
    }

    @Test(.enabled(if: !micro.isEmpty, "micro_cases.json is not beside the repository"))
    func microCasesPass() throws {
        var ran = 0
        for item in Self.micro {
            let events = try (item["events"]?.asArray ?? []).map { row in
                let parts = try #require(row.asArray)
                return Event(user: "u", name: parts[0].asString ?? "", time: try Timestamp.parse(parts[1].asString ?? ""))
            }
            for want in item["expect"]?.asArray ?? [] {
                let funnel = try #require(want["funnel"])
                guard let definition = Self.oracleDefinition(funnel) else { continue }
                ran += 1
                let (outcome, seconds) = try OneUser(events).match(definition)
                let why = "\(item["name"]?.asString?.string ?? ""): \(want["why"]?.asString?.string ?? "")"
                #expect(outcome.depth == (want["depth"]?.asInteger).map(Int.init), "\(why)")
                if let time = want["seconds"]?.asDouble { #expect(seconds.last == time, "\(why)") }
            }
        }
        #expect(ran == 28)
    }

    /// The oracle's terms in ours; nil for rules that lie outside our semantics (inclusive limit, other reference, ch_*).
    static func oracleDefinition(_ funnel: JSONValue) -> FunnelDefinition? {
        guard funnel["limit_inclusive"] != true, funnel["reference"]?.asString != "anchor" else { return nil }
        let steps = (funnel["steps"]?.asArray ?? []).enumerated().map { i, step -> FunnelDefinition.Step in
            if let name = step.asString { return .init(name) }
            return .init(ByteString("step \(i)"), events: .named(step.asArray?.compactMap(\.asString) ?? []))
        }
        var definition = FunnelDefinition(steps: steps)
        switch funnel["mode"]?.asString {
        case "sequential"?: break
        case "flexible"?: definition.order = .flexible(limit: (funnel["limit_seconds"]?.asInteger ?? 0) * 1_000_000)
        default: return nil
        }
        if let window = funnel["window_seconds"]?.asInteger { definition.window = window * 1_000_000 }
        if funnel["window_mode"]?.asString == "from_previous" { definition.anchor = .previousStep }
        return definition
    }
}

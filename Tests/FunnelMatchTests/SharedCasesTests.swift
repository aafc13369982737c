import FunnelMatch
import FunnelModel
import TestSupport
import Testing

/// Cases taken as facts from other systems' tests, and the micro cases of the independent oracle, by the reference, and by
/// the matcher where the rules are plain. They lie beside the repository; a clone without them skips, by name.
struct SharedCasesTests {
    static let peers = (try? Repository.sharedJSON("cases/peer-cases.json"))?.asArray ?? []
    static let micro = (try? Repository.sharedJSON("oracle/micro_cases.json"))?["cases"]?.asArray ?? []

    /// Cases that our rules do not cover or answer differently, and why.
    static let left: [ByteString: String] = [
        "ch-009": "strict_deduplication: a repeated step does not end a search here",
        "ch-025": "strict_deduplication: a repeated step does not end a search here",
        "ch-047": "strict_deduplication: a repeated step does not end a search here",
        "do-006": "deduplication: a repeated step does not end a search here",
        "ph-brk-002": "attribution all_events is none of first, last and step",
        "ph-fst-002": "first-ever steps are not in the definition language",
        "ph-grp-001": "chains across users are refused: the account is to be sent as user_id",
        "ph-grp-002": "chains across users are refused: the account is to be sent as user_id",
        "ph-ttc-agg-002": "bins of times are not part of a report",
        "ph-uno-exc-004": "peer_specific: an exclusion wipes what came before it, here steps before it stay reached",
    ]

    @Test(.enabled(if: !peers.isEmpty, "peer-cases.json is not beside the repository"))
    func peerCasesPass() throws {
        var ran = 0
        for item in Self.peers {
            let id = try #require(item["id"]?.asString)
            if Self.left[id] != nil { continue }
            ran += 1
            try check(PeerCase(item), "\(id)")
        }
        #expect(ran == Self.peers.count - Self.left.count)
    }

    private func check(_ peer: PeerCase, _ id: Comment) throws {
        let definition = try peer.definition()
        let plan = FunnelPlan(definition, entryRange: nil, asOf: 1 << 59)
        let users = peer.users()
        let found = users.flatMap { user in user.outcomes(plan).map { (user, $0) } }
        let expected = peer.expected
        if let step = expected["furthest_step"]?.asInteger { #expect(found.map(\.1.depth).max() ?? 0 == Int(step), id) }
        if expected["excluded"] == true { #expect(found.isEmpty, id) }
        if let time = expected["conversion_time_s"]?.asDouble { #expect(found.first.map { $0.seconds($1, plan).last } == time, id) }
        if let gaps = expected["step_gaps_s"]?.asArray?.compactMap(\.asDouble) {
            let seconds = found.first.map { $0.seconds($1, plan).compactMap { $0 } } ?? []
            #expect(zip(seconds.dropFirst(), seconds).map { $0 - $1 } == gaps, id)
        }
        if let done = expected["steps_done"]?.asArray?.compactMap(\.asInteger) {
            let chain = found.first?.1.chain ?? []
            #expect(chain.indices.filter { chain[$0] >= 0 }.map { Int64($0) + 1 } == done, id)
        }
        if let entries = expected["entries"]?.asInteger { #expect(found.count == Int(entries), id) }
        if let converted = expected["conversions"]?.asInteger { #expect(found.count { $0.1.depth == plan.steps } == Int(converted), id) }
        if let counts = expected["step_counts"] { #expect(Self.counts(found.map(\.1), plan.steps) == counts, id) }
        for member in expected["by_value"]?.asObject ?? [] {
            let rows = found.filter { peer.value(of: $1, in: $0) == .string(member.key) }
            #expect(Self.counts(rows.map(\.1), plan.steps) == member.value, id)
        }
        for member in expected["by_interval"]?.asObject ?? [] {
            let day = Int64(member.key.string).map { $0 * 86_400_000_000 } ?? 0
            let plan = FunnelPlan(definition, entryRange: day..<(day + 86_400_000_000), asOf: 1 << 59)
            #expect(Self.counts(users.flatMap { $0.outcomes(plan) }, plan.steps) == member.value, id)
        }
        for user in users { #expect(try user.matched(plan) == user.outcomes(plan), id) }
        guard plan.isPlain else { return }
        for user in users {
            let (time, mask) = user.columns(for: plan)
            var matcher = PlainMatcher(plan)
            #expect(try matcher.match(time: time, mask: mask) == user.outcomes(plan).first ?? UserOutcome(), id)
        }
    }

    private static func counts(_ outcomes: [UserOutcome], _ steps: Int) -> JSONValue {
        .array((1...steps).map { step in .integer(Int64(outcomes.count { $0.depth >= step })) })
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
                let why: Comment = "\(item["name"]?.asString?.string ?? ""): \(want["why"]?.asString?.string ?? "")"
                let plan = FunnelPlan(definition, entryRange: nil, asOf: 1 << 59)
                let user = OneUser(events)
                let (time, mask) = user.columns(for: plan)
                var matcher = PlainMatcher(plan)
                let outcome = try matcher.match(time: time, mask: mask)
                #expect(outcome == user.outcomes(plan).first ?? UserOutcome(), why)
                #expect(outcome.depth == (want["depth"]?.asInteger).map(Int.init), why)
                if let time = want["seconds"]?.asDouble { #expect(user.seconds(outcome, plan).last == time, why) }
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
        case "flexible"?: definition.order = .flexible(limit: Microseconds((funnel["limit_seconds"]?.asInteger ?? 0) * 1_000_000))
        default: return nil
        }
        if let window = funnel["window_seconds"]?.asInteger { definition.window = Microseconds(window * 1_000_000) }
        if funnel["window_mode"]?.asString == "from_previous" { definition.anchor = .previousStep }
        return definition
    }
}

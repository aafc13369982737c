import FunnelMatch
import FunnelModel
import TestSupport
import Testing

/// The product's matcher, the second opinion and the reference on random small histories: ties, repeats, joined and wildcard steps, entry ranges, open
/// attempts. `SLUICE_CASES` histories a mode, 100,000 unless the environment says otherwise.
struct ReferenceAgreementTests {
    struct Mode: Sendable, CustomTestStringConvertible {
        var flexible: Bool
        var anchor: FunnelDefinition.WindowAnchor
        var entry: FunnelDefinition.Entry

        var testDescription: String { "\(flexible ? "flexible" : "sequential") \(anchor.rawValue) \(entry.rawValue)" }
    }

    static let modes: [Mode] = [false, true].flatMap { flexible in
        FunnelDefinition.WindowAnchor.allCases.flatMap { anchor in
            FunnelDefinition.Entry.allCases.map { Mode(flexible: flexible, anchor: anchor, entry: $0) }
        }
    }

    @Test(arguments: modes.indices)
    func matcherEqualsReference(modeIndex: Int) throws {
        let mode = Self.modes[modeIndex]
        var random = SplitMix64(seed: 0x5EED + UInt64(modeIndex))
        for round in 0..<TestCounts.histories {
            let plan = randomPlan(mode, &random)
            let user = OneUser(randomEvents(&random))
            let (time, mask) = user.columns(for: plan)
            let got = try user.matched(plan).first ?? UserOutcome()
            var plain = PlainMatcher(plan)
            let second = try plain.match(time: time, mask: mask)
            let want = ReferenceMatcher(plan).match(time: time, mask: mask)
            if got != want || second != want {
                let story = user.events.map { "\($0.name)@\($0.time)" }.joined(separator: " ")
                let definition = String(decoding: plan.definition.json.encode(), as: UTF8.self)
                Issue.record("round \(round): \(mode.testDescription) \(story)\n\(definition)\ngot \(got)\nsecond \(second)\nwant \(want)")
                return
            }
        }
    }

    private func randomPlan(_ mode: Mode, _ random: inout SplitMix64) -> FunnelPlan {
        let shapes: [[[ByteString]]] = [
            [["a"], ["b"]], [["a"], ["b"], ["c"]], [["a"], ["a"]], [["a"], ["a"], ["a"]], [["a"], ["a", "b"], ["c"]],
            [["b"], ["a"], ["b"]], [["a", "b"], ["b", "c"], ["a"]], [["a"], ["*"], ["c"]], [["*"], ["*"], ["*"]],
            [["a"], ["b"], ["c"], ["d"]], [["a"], ["b", "c"], ["b"], ["c"]], [["a"]],
        ]
        let steps = random.pick(shapes).enumerated().map { i, names in
            FunnelDefinition.Step(ByteString("s\(i)"), events: names == ["*"] ? .any : .named(names))
        }
        var definition = FunnelDefinition(steps: steps)
        definition.clock = random.chance(75) ? .second : .microsecond
        let tick = definition.clock.tick
        if mode.flexible { definition.order = .flexible(limit: tick * Int64(random.pick([1, 1, 2, 3, 6]))) }
        definition.anchor = mode.anchor
        definition.entry = mode.entry
        definition.window = tick * Int64(random.pick([1, 2, 3, 5, 100]))
        let unit: Int64 = 1_000_000
        let range = random.chance(30) ? (Int64(random.below(4)) * unit)..<(Int64(4 + random.below(6)) * unit) : nil
        let asOf = random.chance(50) ? Int64(random.below(14)) * unit : 1 << 59
        return FunnelPlan(definition, entryRange: range, asOf: asOf)
    }

    private func randomEvents(_ random: inout SplitMix64) -> [Event] {
        let coarse = random.chance(50)
        let count = 1 + random.below(7)
        return (0..<count).map { _ in
            let micros = coarse ? Int64(random.below(9)) * 1_000_000 : Int64(random.below(36)) * 250_000
            let near = random.chance(10) ? Int64(random.below(4)) : 0
            return Event(user: "u", name: random.pick(["a", "b", "c", "d"]), time: micros + near)
        }
    }
}

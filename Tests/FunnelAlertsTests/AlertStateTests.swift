import FunnelAlerts
import FunnelModel
import Testing

/// The state machine of a group, hour by hour.
struct AlertStateTests {
    /// Hours are words of results: m(et), h(olding), n(ot met), u(nknown). The states are what each hour ends with.
    @Test(arguments: [
        ("", "nmmnn", "ok firing firing resolved ok"),
        ("", "munun", "firing firing resolved resolved ok"),
        ("", "mhhnh", "firing firing firing resolved ok"),
        ("", "hhm", "ok ok firing"),
        (#""for":"2h","#, "mmmn", "pending pending firing resolved"),
        (#""for":"2h","#, "mmnmmm", "pending pending ok pending pending firing"),
        (#""for":"2h","#, "mumhm", "pending pending firing firing firing"),
        (#""for":"2h","#, "mh", "pending ok"),
        (#""keep_firing_for":"2h","#, "mnnn", "firing firing resolved ok"),
        (#""keep_firing_for":"2h","#, "mnmnn", "firing firing firing firing resolved"),
        ("", "mnmn", "firing resolved firing resolved"),
    ])
    func statuses(members: String, results: String, states: String) throws {
        let rule = try Self.rule(members)
        var state = AlertState()
        var seen: [String] = []
        for (hour, letter) in results.enumerated() {
            state.receive([(.whole, Self.outcome(letter))], at: Self.time(hour), rule)
            seen.append(state.groups[.whole]?.status.rawValue ?? "none")
        }
        #expect(seen.joined(separator: " ") == states)
    }

    /// What is notified, with the hour at which it is and the hour at which the firing began.
    @Test(arguments: [
        ("", "nmmnn", ["1 firing 1", "3 resolved 1"]),
        ("", "mnmn", ["0 firing 0", "1 resolved 0", "2 firing 2", "3 resolved 2"]),
        (#""for":"2h","#, "mmnmmmn", ["5 firing 5", "6 resolved 5"]),
        // Within the cool-down a firing waits, and is never notified if it ends.
        (#""cool_down":"3h","#, "mnmnmm", ["0 firing 0", "1 resolved 0", "4 firing 4"]),
        (#""cool_down":"4h","#, "mnmmmn", ["0 firing 0", "1 resolved 0", "4 firing 2", "5 resolved 2"]),
        // Muted until hour 3: what still fires then is notified, what has ended is not.
        (#""mute_until":"2026-03-02T03:00:00Z","#, "mnmmn", ["3 firing 2", "4 resolved 2"]),
        (#""mute_until":"2026-03-02T03:00:00Z","#, "mmnnn", []),
        // Quiet from 02:00 to 04:00: an end waits, and a new firing comes after it.
        (#""quiet_hours":{"from":"02:00","to":"04:00"},"#, "nmnnnn", ["1 firing 1", "4 resolved 1"]),
        (#""quiet_hours":{"from":"02:00","to":"04:00"},"#, "nmnmmm", ["1 firing 1", "4 resolved 1", "4 firing 3"]),
        (#""quiet_hours":{"from":"03:00","to":"01:00"},"time_zone":"Europe/Berlin","#, "mmmmmm", ["0 firing 0"]),
    ])
    func notifications(members: String, results: String, expected: [String]) throws {
        let rule = try Self.rule(members)
        var state = AlertState()
        var seen: [String] = []
        var keys: Set<String> = []
        for (hour, letter) in results.enumerated() {
            state.receive([(.whole, Self.outcome(letter))], at: Self.time(hour), rule)
            for notification in state.notify(rule, now: Self.time(hour)) {
                let item = try #require(notification.items.first)
                // The end comes with the first hour that does not meet the condition, also if it is notified later.
                #expect((item.end == nil) == (item.kind == .firing))
                if let end = item.end { #expect(state.groups[.whole]?.ended == nil && end > item.start && end <= Self.time(hour)) }
                seen.append("\(hour) \(notification.kind.rawValue) \((item.start - Answers.monday) / Answers.hour)")
                keys.insert(item.key)
            }
            #expect(state.notify(rule, now: Self.time(hour)).isEmpty)
        }
        #expect(seen == expected)
        #expect(keys.count == expected.count)
    }

    @Test func quietHoursFollowTheClockOfTheZone() throws {
        let rule = try Self.rule(#""quiet_hours":{"from":"22:00","to":"07:00"},"time_zone":"Europe/Berlin","#)
        for (text, isSilent) in [
            ("2026-03-28T20:59:00Z", false), ("2026-03-28T21:00:00Z", true), ("2026-03-28T05:59:00Z", true),
            ("2026-03-28T06:00:00Z", false),
            // From 29 March on clocks are two hours ahead.
            ("2026-03-30T19:59:00Z", false), ("2026-03-30T20:00:00Z", true), ("2026-03-30T04:59:00Z", true),
            ("2026-03-30T05:00:00Z", false),
        ] { #expect(rule.isSilent(at: try Timestamp.parse(ByteString(text))) == isSilent, "\(text)") }
    }

    @Test func groupsShareANotificationIfTheRuleSaysSo() throws {
        let (a, b) = (Answers.group("a"), Answers.group("b"))
        for (grouping, counts) in [("each", [1, 1]), ("together", [2])] {
            let rule = try Self.rule(#""grouping":"\#(grouping)","#)
            var state = AlertState()
            state.receive([(a, Self.outcome("m")), (b, Self.outcome("m"))], at: Self.time(0), rule)
            #expect(state.notify(rule, now: Self.time(0)).map(\.items.count) == counts)
        }
    }

    @Test func keysAreTheSameAfterACrash() throws {
        let rule = try Self.rule(#""quiet_hours":{"from":"01:00","to":"03:00"},"#)
        var state = AlertState()
        state.receive([(.whole, Self.outcome("m"))], at: Self.time(1), rule)
        let saved = state
        let first = state.notify(rule, now: Self.time(3)).flatMap(\.items).map(\.key)
        #expect(first == ["r:whole:\(Self.time(1) / 1_000_000):firing"])
        // The state was not saved, and another hour was evaluated meanwhile.
        state = saved
        state.receive([(.whole, Self.outcome("m"))], at: Self.time(2), rule)
        #expect(state.notify(rule, now: Self.time(5)).flatMap(\.items).map(\.key) == first)
    }

    @Test func anInvalidRuleSaysSoOnceAndEndsItsFirings() throws {
        let rule = try Self.rule("")
        var state = AlertState()
        state.receive([(.whole, Self.outcome("m"))], at: Self.time(0), rule)
        #expect(state.notify(rule, now: Self.time(0)).count == 1)
        let invalid = try #require(throws: AlertPlan.Invalid.self) { try AlertPlan(rule, funnel: nil, channels: []) }
        let sent = state.fail(invalid, rule, now: Self.time(1))
        #expect(sent.map(\.kind) == [.resolved, .invalid])
        #expect(sent.first?.items.first?.end == Self.time(0))
        #expect(sent.last?.items.first?.text == "Rule r is not evaluated: it names the funnel shop, which does not exist.")
        for hour in 1..<5 { #expect(state.fail(invalid, rule, now: Self.time(hour)).isEmpty) }
        #expect(state.fault != nil)
        // Valid again: the next failure is said again, with another key.
        state.receive([(.whole, Self.outcome("n"))], at: Self.time(5), rule)
        #expect(state.fault == nil)
        let again = state.fail(invalid, rule, now: Self.time(6))
        #expect(again.map(\.kind) == [.invalid])
        #expect(again.first?.items.first?.key != sent.last?.items.first?.key)
    }

    @Test func closingARuleEndsItsFiringsAtOnce() throws {
        let rule = try Self.rule(#""mute_until":"2026-03-03T00:00:00Z","#)
        var state = AlertState()
        state.receive([(.whole, AlertOutcome(.met, text: "It fell."))], at: Self.time(0), rule)
        var unmuted = rule
        unmuted.muteUntil = nil
        #expect(state.notify(unmuted, now: Self.time(0)).map(\.kind) == [.firing])
        state.origin = 7
        let closed = state.close(rule, because: "the rule was deleted", now: Self.time(1))
        #expect(closed.map(\.kind) == [.resolved])
        // People must not take it for a recovery.
        #expect(closed[0].items[0].text == "Not a recovery: the rule was deleted. Before: It fell.")
        #expect(closed[0].items[0].key.hasSuffix(".7:resolved"))
        #expect(state.groups[.whole]?.status == .resolved)
    }

    @Test func aStateIsSmallAndReadsBack() throws {
        let rule = try Self.rule("")
        var state = AlertState()
        // Values of quotes take most bytes: their JSON text is written as JSON again.
        let outcomes = (0..<AlertLimits.groups).map { i in
            let group = AlertGroup(.string(ByteString(String(repeating: "\"", count: 4_000) + "\(i)")))
            let text = String(repeating: "\"", count: AlertLimits.textBytes)
            return (group: group, outcome: AlertOutcome(.met, value: 1.0 / 3, baseline: 1e-300, pValue: 2.0 / 7, text: text))
        }
        state.receive(outcomes, at: Self.time(0), rule)
        _ = state.notify(rule, now: Self.time(0))
        _ = state.fail(AlertPlan.Invalid(reason: String(repeating: "é", count: 9_000)), rule, now: Self.time(1))
        #expect(Set(outcomes.map(\.group)).count == AlertLimits.groups)
        let bytes = state.json.encode()
        print("a state of \(state.groups.count) groups with the longest texts: \(bytes.count) bytes")
        // A state can have twice as many groups.
        #expect(2 * bytes.count < AlertLimits.stateBytes)
        #expect(try AlertState.parse(JSONParser.parse(bytes)) == state)
        #expect(try AlertState.parse(JSONParser.parse(AlertState().json.encode())) == AlertState())
    }

    @Test(arguments: [
        ("[]", "body: must be an object, not an array"),
        (
            #"{"groups":[{"group":"","status":"well","since":1}]}"#,
            "groups[0].status: must be one of ok, pending, firing, resolved; \"well\" is not"
        ),
        (#"{"groups":[{"group":""}]}"#, "groups[0].since: is required; groups[0].status: is required"),
        (
            #"{"evaluated":9223372036854775807}"#,
            "evaluated: must be an integer from -1152921504606846976 to 1152921504606846976"
        ),
    ])
    func damagedStatesAreErrors(text: String, fault: String) throws {
        let error = try #require(throws: InvalidDocument.self) { try AlertState.parse(JSONParser.parse(Array(text.utf8))) }
        #expect("\(error)" == fault)
    }

    // MARK: - Helpers

    private static func time(_ hour: Int) -> Int64 { Answers.monday + Int64(hour) * Answers.hour }

    private static func rule(_ members: String) throws -> AlertRule {
        try Answers.rule(#"\#(members)"metric":{"kind":"count"},"condition":{"no_data":{}}"#)
    }

    private static func outcome(_ letter: Character) -> AlertOutcome {
        let result: AlertOutcome.Result =
            switch letter {
            case "m": .met
            case "h": .holding
            case "n": .notMet
            default: .unknown
            }
        return AlertOutcome(result)
    }
}

import FunnelModel
import Testing

/// Strict and any order, optional steps, step windows, exclusions, held properties, units: what is taken, what is refused
/// and for which reason, and that what is taken reads back.
struct DefinitionRulesTests {
    /// - Parameter members: of a definition with steps a, b, c, unless they give others.
    private func parse(_ members: String) throws -> FunnelDefinition {
        let steps = members.contains(#""steps""#) ? "" : #""steps": ["a", "b", "c"], "#
        return try FunnelDefinition.parse(JSONParser.parse(Array("{\(steps)\(members)}".utf8)))
    }

    private func faults(_ members: String) -> [FieldFault] {
        do {
            _ = try parse(members)
            return []
        } catch {
            return (error as? InvalidDocument)?.faults ?? [FieldFault("", "\(error)")]
        }
    }

    static let taken = [
        #""conversion_order": "strict""#, #""conversion_order": "any""#,
        #""conversion_order": "strict", "window_anchor": "previous_step""#,
        #""steps": ["a", {"name": "b", "optional": true, "window_duration": "1h"}, {"name": "c", "window_duration": "366d"}]"#,
        #""steps": ["a", {"name": "b", "where": [{"property": "user.plan", "op": "=", "value": "x"}]}]"#,
        #""exclude": [{"events": ["x", "y"], "after": 1, "before": 3}]"#,
        #""exclude": [{"events": ["*"], "where": [{"property": "p", "op": "exists"}], "after": 2, "before": 3, "effect": "drop_user"}]"#,
        #""conversion_order": "any", "exclude": [{"events": ["x"], "after": 1, "before": 3}]"#,
        #""exclude": []"#, #""hold_constant": ["p", ["q", "r", "q"], "s"]"#,
        #""count_by": "users""#, #""count_by": "attempts""#, #""count_by": "sessions", "session_gap": "1h""#,
        #""count_by": "property:org""#, #""count_by": "property:property:x""#, #""session_gap": "10s""#,
        #""clock": "microsecond", "session_gap": "1us""#,
        #""preset": "mixpanel-totals/1""#, #""preset": "mixpanel-totals/1", "count_by": "users""#,
        #""preset": "posthog/1", "exclude": [{"events": ["x"], "after": 1, "before": 2}]"#,
        #""preset": "posthog/1", "exclude": [{"events": ["x"], "after": 1, "before": 2, "effect": "end_attempt"}]"#,
    ]

    @Test(arguments: taken)
    func whatIsTakenReadsBack(members: String) throws {
        #expect(faults(members) == [])
        let definition = try parse(members)
        #expect(try FunnelDefinition.parse(definition.json) == definition)
        #expect(try FunnelDefinition.parse(JSONParser.parse(definition.json.encode())) == definition)
    }

    static let refused: [(members: String, field: String, reason: String)] = [
        (#""steps": [{"name": "a", "optional": true}, "b"]"#, "steps[0].optional", "first and the last"),
        (#""steps": ["a", {"name": "b", "optional": true}]"#, "steps[1].optional", "first and the last"),
        (#""steps": ["a", {"name": "b", "optional": 1}, "c"]"#, "steps[1].optional", "true or false"),
        (#""conversion_order": "strict", "steps": ["a", {"name": "b", "optional": true}, "c"]"#, "steps[1].optional", "strict"),
        (#""conversion_order": "any", "steps": ["a", {"name": "b", "optional": true}, "c"]"#, "steps[1].optional", "any"),
        (#""steps": [{"name": "a", "window_duration": "1h"}, "b"]"#, "steps[0].window_duration", "step 1"),
        (#""steps": ["a", {"name": "b", "window_duration": "1500ms"}]"#, "steps[1].window_duration", "whole ticks"),
        (#""steps": ["a", {"name": "b", "window_duration": "367d"}]"#, "steps[1].window_duration", "366d"),
        (#""steps": ["a", {"name": "b", "window_duration": "0s"}]"#, "steps[1].window_duration", "1s"),
        (#""conversion_order": "any", "steps": ["a", {"name": "b", "window_duration": "1h"}]"#, "steps[1].window_duration", "any"),
        (#""conversion_order": "any", "window_anchor": "previous_step""#, "window_anchor", "any"),
        (#""steps": ["a", {"name": "b", "where": [{"property": "user.", "op": "exists"}]}]"#, "steps[1].where[0].property", "user."),
        (#""exclude": {}"#, "exclude", "at most 16"),
        (
            "\"exclude\": [" + Array(repeating: #"{"events": ["x"], "after": 1, "before": 2}"#, count: 17).joined(separator: ",") + "]",
            "exclude", "at most 16"
        ),
        (#""exclude": ["x"]"#, "exclude[0]", "object"),
        (#""exclude": [{"after": 1, "before": 2}]"#, "exclude[0].events", "required"),
        (#""exclude": [{"events": [], "after": 1, "before": 2}]"#, "exclude[0].events", "1 to 256"),
        (#""exclude": [{"events": ["x"], "before": 2}]"#, "exclude[0].after", "required"),
        (#""exclude": [{"events": ["x"], "after": 1}]"#, "exclude[0].before", "required"),
        (#""exclude": [{"events": ["x"], "after": 0, "before": 2}]"#, "exclude[0].after", "1 to 64"),
        (#""exclude": [{"events": ["x"], "after": 2, "before": 2}]"#, "exclude[0].after", "before"),
        (#""exclude": [{"events": ["x"], "after": 1, "before": 4}]"#, "exclude[0].before", "3 steps"),
        (#""exclude": [{"events": ["x"], "after": 1, "before": 2, "effect": "forget"}]"#, "exclude[0].effect", "drop_user"),
        (#""exclude": [{"events": ["x"], "after": 1, "before": 2, "until": 2}]"#, "exclude[0].until", "known member; known are after"),
        (#""conversion_order": "strict", "exclude": [{"events": ["x"], "after": 1, "before": 2}]"#, "exclude[0]", "strict"),
        (#""conversion_order": "any", "exclude": [{"events": ["x"], "after": 1, "before": 2}]"#, "exclude[0]", "before 3"),
        (#""conversion_order": "any", "exclude": [{"events": ["x"], "after": 2, "before": 3}]"#, "exclude[0]", "after 1"),
        (#""hold_constant": []"#, "hold_constant", "1 to 3"), (#""hold_constant": "p""#, "hold_constant", "1 to 3"),
        (#""hold_constant": ["p", "q", "r", "s"]"#, "hold_constant", "1 to 3"),
        (#""hold_constant": [["p", "q"]]"#, "hold_constant[0]", "3 steps"),
        (#""hold_constant": [""]"#, "hold_constant[0]", "1 to 256"),
        (#""hold_constant": ["p", ["p", "", "q"]]"#, "hold_constant[1]", "1 to 256"),
        (#""hold_constant": [["p", 1, "q"]]"#, "hold_constant[0]", "property name"),
        (#""hold_constant": [1]"#, "hold_constant[0]", "property name"),
        (#""hold_constant": ["user.plan"]"#, "hold_constant[0]", "one value"),
        (#""count_by": "events""#, "count_by", "property:<name>"), (#""count_by": "property:""#, "count_by", "1 to 256"),
        (#""count_by": "property:user.plan""#, "count_by", "one value"), (#""count_by": 1"#, "count_by", "string"),
        (#""count_by": "attempts", "entry": "first""#, "count_by", "first"),
        (#""preset": "mixpanel-unique/1", "count_by": "attempts""#, "count_by", "first"),
        (#""session_gap": "0s""#, "session_gap", "366d"), (#""session_gap": "367d""#, "session_gap", "366d"),
        (#""session_gap": "1500ms""#, "session_gap", "whole ticks"),
    ]

    @Test(arguments: refused.indices)
    func refusalNamesFieldAndRule(index: Int) {
        let (members, field, reason) = Self.refused[index]
        let found = faults(members)
        #expect(found.contains { $0.field == field && $0.reason.contains(reason) }, "\(members): \(found)")
    }

    @Test func exclusionsTakeTheirEffectFromThePreset() throws {
        let exclusion = #""exclude": [{"events": ["x"], "after": 1, "before": 2}]"#
        #expect(try parse(exclusion).exclusions[0].effect == .endAttempt)
        #expect(try parse(#""preset": "posthog/1", "# + exclusion).exclusions[0].effect == .dropUser)
    }

    @Test func totalsCountAttempts() throws {
        let definition = try parse(#""preset": "mixpanel-totals/1""#)
        #expect(definition.countBy == .attempts)
        #expect(definition.order == .flexible(limit: 2_000_000))
    }

    /// A definition without further rules has the same bytes in messages as in release 0.1.
    @Test func inMessagesRulesAppearOnlyWhereTheyAreGiven() throws {
        let keys = try #require(try parse(#""entry": "first""#).wireJSON.asObject).map(\.key)
        #expect(
            keys == [
                "steps", "event_types", "probability", "window_duration", "window_anchor", "conversion_order", "clock", "entry",
                "default",
            ])
        let text = String(decoding: try parse(Self.taken[3]).json.encode(), as: UTF8.self)
        #expect(text.contains(#"{"name":"b","optional":true,"window_duration":"1h"}"#))
        for members in Self.taken {
            let definition = try parse(members)
            #expect(try FunnelDefinition.parse(definition.wireJSON) == definition, "\(members)")
        }
    }

    /// A default that is given and one that is left out are written alike; the other defaults of this table are those of
    /// `FUNNEL.md` section 2.
    @Test(arguments: [
        (#""count_by": "users""#, "count_by", #""users""#), (#""session_gap": "30m""#, "session_gap", #""30m""#),
        (#""window_duration": "30d""#, "window_duration", #""30d""#),
        (#""window_anchor": "first_step""#, "window_anchor", #""first_step""#),
        (#""conversion_order": "sequential""#, "conversion_order", #""sequential""#), (#""clock": "second""#, "clock", #""second""#),
        (#""entry": "shortest""#, "entry", #""shortest""#), (#""probability": 0.5"#, "probability", "0.5"),
        (#""event_types": {}"#, "event_types", "{}"), (#""default": false"#, "default", "false"),
    ])
    func defaultsAreWrittenOutGivenOrNot(members: String, key: String, value: String) throws {
        let given = try parse(members).json
        #expect(given == (try parse(#""default": false"#).json))
        #expect(given[ByteString(key)].map { String(decoding: $0.encode(), as: UTF8.self) } == value)
    }

    @Test(arguments: [
        (#""preset": "mixpanel-totals/1""#, "attempts"), (#""preset": "mixpanel-totals/1", "count_by": "users""#, "users"),
        (#""preset": "amplitude/1""#, "users"), (#""count_by": "property:org""#, "property:org"),
    ])
    func whatIsCountedIsAlwaysWritten(members: String, countBy: String) throws {
        #expect(try parse(members).json["count_by"] == .text(countBy))
    }

    /// `FUNNEL.md` section 2, "Events of a step".
    @Test(
        arguments: [
            (#"["*"]"#, nil), (#"["X"]"#, nil), (#"["X", "Y*"]"#, nil), (#"["*", "X"]"#, "\"*\" is any event"),
            (#"["X", "*"]"#, "any event"),
            (#"["*", "*"]"#, "any event"),
        ] as [(String, String?)])
    func anyEventStandsAlone(events: String, reason: String?) {
        let step = faults(#""steps": ["a", {"name": "b", "events": \#(events)}]"#)
        let exclusion = faults(#""exclude": [{"events": \#(events), "after": 1, "before": 2}]"#)
        #expect(step.map(\.field) == (reason == nil ? [] : ["steps[1].events"]), "\(step)")
        #expect(exclusion.map(\.field) == (reason == nil ? [] : ["exclude[0].events"]), "\(exclusion)")
        if let reason { #expect((step + exclusion).allSatisfy { $0.reason.contains(reason) }, "\(step + exclusion)") }
    }

    @Test func aQueryOverridesWithTheSameChecks() throws {
        let definition = try parse(#""count_by": "sessions", "session_gap": "1h""#)
        let other = try definition.overriding(countBy: .property("org"), sessionGap: nil)
        #expect(other.countBy == .property("org"))
        #expect(other.sessionGap == 3_600_000_000)
        #expect(try definition.overriding(countBy: nil, sessionGap: nil) == definition)
        #expect(throws: InvalidDocument.self) { try definition.overriding(countBy: nil, sessionGap: 1_500_000) }
        let first = try parse(#""entry": "first""#)
        #expect(throws: InvalidDocument.self) { try first.overriding(countBy: .attempts, sessionGap: nil) }
    }

    @Test func conditionsTellPropertiesOfUsers() {
        #expect(Predicate(property: "user.plan", comparison: .exists, values: []).userProperty == "plan")
        #expect(Predicate(property: "plan", comparison: .exists, values: []).userProperty == nil)
    }
}

import EventRules
import FunnelModel
import Testing

/// Documents of rules: what is read, and the faults of what is not.
struct RuleParseTests {
    /// One rule of each kind, as `json` writes them.
    private static let all = [
        #"{"replace_prefix":"web_","with":""}"#, #"{"lower_case_events":true}"#,
        #"{"rename_events":["a","b"],"match":"any_case","to":"c"}"#, #"{"rename_events":["d"],"to":"c"}"#,
        #"{"drop_events":["debug"],"match":"prefix"}"#, #"{"rename_properties":["A","é"],"to":"a","events":["c","$identify"]}"#,
        #"{"drop_properties":["password"]}"#, #"{"cast_properties":["n"],"to":"integer","otherwise":"reject"}"#,
        #"{"default_property":"plan","value":"free","events":["c"]}"#, #"{"default_property":"score","value":1.5}"#,
        #"{"missing_timestamp":["events","segment"],"to":"server_time"}"#,
    ]

    @Test func everyKindIsReadAndWritten() throws {
        let text = "{\"rules\":[\(Self.all.joined(separator: ","))]}"
        let list = try RuleList.parse(Array(text.utf8))
        #expect(list.rules.count == Self.all.count)
        #expect(Set(list.rules.map(\.kind)) == Set(EventRule.Kind.allCases))
        #expect(String(decoding: list.json.encode(), as: UTF8.self) == text)
        #expect(try RuleList.parse(list.json) == list)
        #expect(try RuledEvents.list("[]") == RuleList())
        #expect(try RuleList.parse(Array(#"{"revision":7,"rules":[]}"#.utf8)) == RuleList(replaces: 7))
    }

    @Test func aNameNeedsNoList() throws {
        #expect(
            try RuledEvents.list(#"[{"drop_events":"a"},{"cast_properties":"n","to":"number","events":"e","otherwise":null}]"#).rules
                == [.dropEvents(["a"], .exact), .castProperties(["n"], to: .number, otherwise: .keep, events: ["e"])])
    }

    @Test(arguments: [
        // The document.
        ("[]", "body: must be an object, not an array"),
        ("{", "body: malformed JSON at byte 1: expected a member name"),
        ("{}", "rules: is required"),
        ("null", "body: must have a list \"rules\""),
        (#"{"rules":{}}"#, "rules: must be a list of rules, not an object"),
        (#"{"rules":[],"rule":1}"#, "rule: is not a known member; known are rules, revision"),
        (#"{"rules":[],"rules":[]}"#, "body: rules: is given twice"),
        (#"{"rules":[],"revision":-1}"#, "revision: must be an integer from 0 to 9223372036854775807"),
    ])
    func faultsOfDocuments(text: String, fault: String) throws { #expect(Self.faults(text) == [fault]) }

    @Test(arguments: [
        // A rule as a whole.
        ("7", "rules[0]: must be an object, not a number"),
        (
            #"{"rename_event":["a"],"to":"b"}"#,
            "rules[0]: must have one of replace_prefix, lower_case_events, rename_events, drop_events, rename_properties, drop_properties, "
                + "cast_properties, default_property, missing_timestamp; did you mean rename_events?"
        ),
        (
            #"{"drop_events":["a"],"drop_properties":["a"]}"#,
            "rules[0]: has drop_events and drop_properties; a rule has one of them"
        ),
        (
            #"{"drop_events":["a"],"to":"b"}"#,
            "rules[0].to: is not a known member of drop_events; known are drop_events, match"
        ),
        // Events.
        (#"{"rename_events":["a"]}"#, "rules[0].to: is required"),
        (#"{"rename_events":[],"to":"b"}"#, "rules[0].rename_events: must have at least one name"),
        (#"{"rename_events":["a",404],"to":"b"}"#, "rules[0].rename_events[1]: must be text, not a number; put it in quotes"),
        (#"{"rename_events":["a",""],"to":"b"}"#, "rules[0].rename_events[1]: must not be empty"),
        (#"{"rename_events":["a"],"to":""}"#, "rules[0].to: must not be empty"),
        (#"{"rename_events":["a"],"to":"\u0000identify"}"#, "rules[0].to: must not begin with U+0000, which is reserved"),
        (#"{"drop_events":["\u0000alias"]}"#, "rules[0].drop_events[0]: must not begin with U+0000, which is reserved"),
        (
            #"{"rename_events":["a"],"to":"$set"}"#,
            "rules[0].to: \"$set\" is a profile record, which rules neither rename, drop nor make"
        ),
        (
            #"{"rename_events":["a","$identify"],"to":"b"}"#,
            "rules[0].rename_events[1]: \"$identify\" is a profile record, which rules neither rename, drop nor make"
        ),
        (
            #"{"drop_events":"$groupidentify"}"#,
            "rules[0].drop_events: \"$groupidentify\" is a profile record, which rules neither rename, drop nor make"
        ),
        (
            #"{"rename_events":["a"],"to":"b","match":"regex"}"#,
            "rules[0].match: must be one of exact, any_case, prefix; \"regex\" is not"
        ),
        (#"{"rename_events":["a"],"to":7}"#, "rules[0].to: must be text, not a number; put it in quotes"),
        (#"{"replace_prefix":"","with":"a"}"#, "rules[0].replace_prefix: must not be empty"),
        (#"{"replace_prefix":"a"}"#, "rules[0].with: is required; \"\" removes the prefix"),
        (#"{"lower_case_events":false}"#, "rules[0].lower_case_events: must be true; leave the rule out otherwise"),
        (#"{"lower_case_events":"yes"}"#, "rules[0].lower_case_events: must be true; leave the rule out otherwise"),
        // Properties.
        (#"{"rename_properties":["a"],"to":"user.a"}"#, "rules[0].to: must not begin with user., which names user properties in queries"),
        (#"{"drop_properties":["\u0000parent"]}"#, "rules[0].drop_properties[0]: must not begin with U+0000, which is reserved"),
        (#"{"drop_properties":["a"],"events":[]}"#, "rules[0].events: must have at least one name"),
        (#"{"cast_properties":["a"]}"#, "rules[0].to: is required: one of string, number, integer, boolean"),
        (#"{"cast_properties":["a"],"to":"date"}"#, "rules[0].to: must be one of string, number, integer, boolean; \"date\" is not"),
        (
            #"{"cast_properties":["a"],"to":"number","otherwise":"null"}"#,
            "rules[0].otherwise: must be one of keep, drop, reject; \"null\" is not"
        ),
        (#"{"default_property":"a"}"#, "rules[0].value: is required"),
        (#"{"default_property":["a"],"value":1}"#, "rules[0].default_property: must be text, not an array"),
        (#"{"default_property":"a","value":[1]}"#, "rules[0].value: must be text, a finite number, true or false, not an array"),
        (
            #"{"default_property":"a","value":1,"events":["e","$set"]}"#,
            "rules[0].events[1]: \"$set\" is a profile record, which takes no defaults"
        ),
        // Timestamps.
        (
            #"{"missing_timestamp":["wire"],"to":"reject"}"#,
            "rules[0].missing_timestamp: \"wire\" is no endpoint; known are track_event, events, segment, posthog, mixpanel, amplitude, "
                + "snowplow, cloudevents"
        ),
        (#"{"missing_timestamp":["events"],"to":"now"}"#, "rules[0].to: must be one of server_time, reject; \"now\" is not"),
    ])
    func faultsOfRules(rule: String, fault: String) throws { #expect(Self.faults("{\"rules\":[\(rule)]}") == [fault]) }

    @Test(arguments: [
        (
            #"{"rename_events":["a","b"],"to":"c"},{"rename_events":["b"],"to":"d"}"#,
            "rules[1].rename_events[0]: \"b\" is in rules[0] already; give it once"
        ),
        (
            #"{"rename_events":["a","A"],"match":"any_case","to":"c"}"#,
            "rules[0].rename_events[1]: \"A\" is in rules[0] already; give it once"
        ),
        (
            #"{"drop_events":["a"],"match":"prefix"},{"drop_events":["b","a"],"match":"prefix"}"#,
            "rules[1].drop_events[1]: \"a\" is in rules[0] already; give it once"
        ),
        (
            #"{"replace_prefix":"a","with":"b"},{"replace_prefix":"a","with":""}"#,
            "rules[1].replace_prefix: \"a\" is in rules[0] already; give it once"
        ),
        (
            #"{"lower_case_events":true},{"lower_case_events":true}"#,
            "rules[1].lower_case_events: the rule is in rules[0] already; give it once"
        ),
        (
            #"{"cast_properties":["a"],"to":"number"},{"cast_properties":["a"],"to":"string"}"#,
            "rules[1].cast_properties[0]: \"a\" is in rules[0] already; give it once"
        ),
        (
            #"{"rename_properties":["a"],"to":"b","events":["e"]},{"rename_properties":["c","a"],"to":"d","events":["f","e"]}"#,
            "rules[1].rename_properties[1]: \"a\" of \"e\" is in rules[0] already; give it once"
        ),
        (
            #"{"default_property":"a","value":1},{"default_property":"a","value":2}"#,
            "rules[1].default_property: \"a\" is in rules[0] already; give it once"
        ),
        (
            #"{"missing_timestamp":["events"],"to":"reject"},{"missing_timestamp":["events"],"to":"reject"}"#,
            "rules[1].missing_timestamp[0]: \"events\" is in rules[0] already; give it once"
        ),
    ])
    func faultsOfSeveralRules(rules: String, fault: String) throws { #expect(Self.faults("{\"rules\":[\(rules)]}") == [fault]) }

    @Test func faultsOfOneRuleDoNotHideThoseOfSeveral() {
        #expect(
            Self.faults(#"{"rules":[{"drop_events":[""]},{"drop_events":["a"]},{"rename_events":["b"]},{"drop_events":["a"]}]}"#) == [
                "rules[0].drop_events[0]: must not be empty", "rules[2].to: is required",
                "rules[3].drop_events[0]: \"a\" is in rules[1] already; give it once",
            ])
    }

    @Test func theSameNameMayBeInRulesOfOtherKinds() throws {
        _ = try RuledEvents.list(
            """
            [{"rename_events":["a"],"to":"b"},{"rename_events":["a"],"match":"prefix","to":"c"},
             {"rename_events":["a"],"match":"any_case","to":"d"},{"drop_events":["a"]},
             {"cast_properties":["p"],"to":"number"},{"cast_properties":["p"],"to":"string","events":["a"]},{"drop_properties":["p"]},
             {"default_property":"p","value":1}]
            """)
    }

    @Test func allFaultsAreReportedAtOnce() {
        let text = #"{"rules":[{"rename_events":["",1]},{"drop_events":["a"]},{"cast_properties":[],"to":"x","why":1}],"other":1}"#
        #expect(
            Self.faults(text).map { $0.prefix { $0 != " " } } == [
                "other:", "rules[0].rename_events[0]:", "rules[0].rename_events[1]:", "rules[0].to:", "rules[2].cast_properties:",
                "rules[2].to:", "rules[2].why:",
            ])
    }

    static func faults(_ text: String) -> [String] {
        do throws(InvalidDocument) {
            _ = try RuleList.parse(Array(text.utf8))
            return []
        } catch {
            return error.faults.map { "\($0.field): \($0.reason)" }
        }
    }
}

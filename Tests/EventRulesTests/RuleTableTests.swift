import EventRules
import FunnelModel
import Testing

/// Rules, an event, and what becomes of it.
struct RuleTableTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var rules: String
        var name: String
        var properties = "{}"
        var result: String

        init(_ rules: String, _ name: String, _ properties: String = "{}", becomes result: String) {
            (self.rules, self.name, self.properties, self.result) = (rules, name, properties, result)
        }

        var testDescription: String { "\(rules) \(name) \(properties)" }
    }

    private static let signup = #"[{"rename_events":["sign_up","register"],"to":"Signup"}]"#
    private static let anyCase = #"[{"rename_events":["sign up"],"match":"any_case","to":"Signup"}]"#
    private static let views = #"[{"rename_events":["Viewed ","Viewed page "],"match":"prefix","to":"View"}]"#
    private static let web = #"[{"replace_prefix":"web_","with":""},{"replace_prefix":"web_app_","with":"app/"}]"#
    private static let specific = """
        [{"rename_events":["a"],"match":"prefix","to":"1"},{"rename_events":["AB"],"match":"any_case","to":"2"},
         {"rename_events":["ab"],"to":"3"}]
        """
    private static let stages = """
        [{"drop_events":["Done"]},{"rename_events":["sign up"],"to":"Done"},{"lower_case_events":true},
         {"replace_prefix":"WEB ","with":""}]
        """
    private static let defaults = """
        [{"default_property":"b","value":7},{"default_property":"b","value":8,"events":["e"]},{"default_property":"c","value":true}]
        """
    private static let lower = #"[{"lower_case_events":true}]"#

    static let names: [Case] = [
        .init(signup, "sign_up", becomes: "Signup {}"),
        .init(signup, "register", becomes: "Signup {}"),
        .init(signup, "Sign_up", becomes: "Sign_up {}"),
        .init(signup, "sign_up2", becomes: "sign_up2 {}"),
        .init(#"[{"rename_events":"a","to":"b"}]"#, "a", becomes: "b {}"),
        .init(anyCase, "SIGN Up", becomes: "Signup {}"),
        .init(anyCase, "sign up", becomes: "Signup {}"),
        .init(anyCase, "sign_up", becomes: "sign_up {}"),
        .init(#"[{"rename_events":["ÉTÉ"],"match":"any_case","to":"x"}]"#, "été", becomes: "été {}"),
        .init(#"[{"rename_events":["ÉTE"],"match":"any_case","to":"x"}]"#, "Éte", becomes: "x {}"),
        .init(views, "Viewed product", becomes: "View {}"),
        .init(views, "Viewed ", becomes: "View {}"),
        .init(views, "viewed product", becomes: "viewed product {}"),
        // The most specific match counts, wherever it is in the list.
        .init(specific, "ab", becomes: "3 {}"),
        .init(specific, "aB", becomes: "2 {}"),
        .init(specific, "aC", becomes: "1 {}"),
        .init(
            #"[{"rename_events":["ab"],"match":"prefix","to":"2"},{"rename_events":["a","abc"],"match":"prefix","to":"1"}]"#, "abd",
            becomes: "2 {}"),
        .init(
            #"[{"rename_events":["ab"],"match":"prefix","to":"2"},{"rename_events":["a","abc"],"match":"prefix","to":"1"}]"#, "ac",
            becomes: "1 {}"),
        // A stage changes a name once.
        .init(#"[{"rename_events":["a"],"to":"b"},{"rename_events":["b"],"to":"c"}]"#, "a", becomes: "b {}"),
        .init(#"[{"rename_events":["a"],"to":"b"},{"rename_events":["b"],"to":"a"}]"#, "b", becomes: "a {}"),
        .init(web, "web_signup", becomes: "signup {}"),
        .init(web, "web_web_signup", becomes: "web_signup {}"),
        .init(web, "web_app_signup", becomes: "app/signup {}"),
        .init(lower, "Sign Up É", becomes: "sign up É {}"),
        // The stages: prefix, case, name, drop.
        .init(stages, "WEB Sign Up", becomes: "dropped: rules[0]"),
        .init(#"[{"lower_case_events":true},{"replace_prefix":"web ","with":""}]"#, "WEB Up", becomes: "web up {}"),
        .init(#"[{"drop_events":["a"]},{"rename_events":["a"],"to":"b"}]"#, "a", becomes: "b {}"),
        .init(#"[{"drop_events":["debug_"],"match":"prefix"}]"#, "debug_x", becomes: "dropped: rules[0]"),
        .init(#"[{"drop_events":["PING"],"match":"any_case"}]"#, "Ping", becomes: "dropped: rules[0]"),
        .init(#"[{"drop_events":["ping"]}]"#, "Ping", becomes: "Ping {}"),
    ]

    static let reserved: [Case] = [
        // Profile records keep their names and are never dropped.
        .init(#"[{"replace_prefix":"$","with":""}]"#, "$identify", #"{"a":1}"#, becomes: #"$identify {"a":1}"#),
        .init(#"[{"rename_events":["$"],"match":"prefix","to":"x"}]"#, "$set", becomes: "$set {}"),
        .init(#"[{"rename_events":["$"],"match":"prefix","to":"x"}]"#, "$pageview", becomes: "x {}"),
        .init(#"[{"rename_events":["$SET"],"match":"any_case","to":"x"}]"#, "$set", becomes: "$set {}"),
        .init(#"[{"drop_events":["$"],"match":"prefix"}]"#, "$groupidentify", becomes: "$groupidentify {}"),
        .init(#"[{"drop_events":["$"],"match":"prefix"}]"#, "$autocapture", becomes: "dropped: rules[0]"),
        // No event becomes a profile record, a reserved name, an empty one or one over the limit: that stage leaves the name.
        .init(#"[{"replace_prefix":"web_","with":""}]"#, "web_$identify", becomes: "web_$identify {}"),
        .init(#"[{"replace_prefix":"$web","with":"$"}]"#, "$webset_once", becomes: "$webset_once {}"),
        .init(lower, "$Identify", becomes: "$Identify {}"),
        .init(#"[{"replace_prefix":"web_","with":""}]"#, "web_", becomes: "web_ {}"),
        .init(
            #"[{"replace_prefix":"a","with":"bb"}]"#, String(repeating: "a", count: 256),
            becomes: String(repeating: "a", count: 256) + " {}"),
        .init(
            #"[{"replace_prefix":"a","with":"bb"}]"#, String(repeating: "a", count: 255),
            becomes: "bb" + String(repeating: "a", count: 254) + " {}"),
        .init(#"[{"replace_prefix":"web_","with":""},{"rename_events":["web_"],"to":"Empty"}]"#, "web_", becomes: "Empty {}"),
        // Their properties are renamed, dropped and cast like others, and get no defaults.
        .init(#"[{"rename_properties":["Plan"],"to":"plan"}]"#, "$identify", #"{"Plan":"a"}"#, becomes: #"$identify {"plan":"a"}"#),
        .init(#"[{"drop_properties":["email"],"events":["$set"]}]"#, "$set", #"{"email":"a"}"#, becomes: "$set {}"),
        .init(#"[{"drop_properties":["email"],"events":["$set"]}]"#, "x", #"{"email":"a"}"#, becomes: #"x {"email":"a"}"#),
        .init(#"[{"default_property":"plan","value":"free"}]"#, "$set", becomes: "$set {}"),
        .init(#"[{"default_property":"plan","value":"free"}]"#, "x", becomes: #"x {"plan":"free"}"#),
    ]

    static let properties: [Case] = [
        .init(#"[{"rename_properties":["Plan"],"to":"plan"}]"#, "e", #"{"Plan":"a","b":1}"#, becomes: #"e {"b":1,"plan":"a"}"#),
        .init(#"[{"rename_properties":["Plan"],"to":"plan"}]"#, "e", #"{"plan ":"a"}"#, becomes: #"e {"plan ":"a"}"#),
        // The property that has the name already stays, else the first in the rules.
        .init(#"[{"rename_properties":["Plan"],"to":"plan"}]"#, "e", #"{"Plan":"a","plan":"b"}"#, becomes: #"e {"plan":"b"}"#),
        .init(#"[{"rename_properties":["z","a"],"to":"m"}]"#, "e", #"{"a":1,"z":2}"#, becomes: #"e {"m":2}"#),
        .init(
            #"[{"rename_properties":["z"],"to":"m"},{"rename_properties":["a"],"to":"m"}]"#, "e", #"{"a":1,"z":2}"#,
            becomes: #"e {"m":2}"#),
        .init(
            #"[{"rename_properties":["a"],"to":"b"},{"rename_properties":["b"],"to":"a"}]"#, "e", #"{"a":1,"b":2}"#,
            becomes: #"e {"a":2,"b":1}"#),
        .init(#"[{"rename_properties":["a"],"to":"b"},{"rename_properties":["b"],"to":"c"}]"#, "e", #"{"a":1}"#, becomes: #"e {"b":1}"#),
        .init(#"[{"rename_properties":["a","b"],"to":"b"}]"#, "e", #"{"a":1,"b":2}"#, becomes: #"e {"b":2}"#),
        // A rule that names the event comes before one for all, in any order.
        .init(
            #"[{"rename_properties":["a"],"to":"x"},{"rename_properties":["a"],"to":"y","events":["e"]}]"#, "e", #"{"a":1}"#,
            becomes: #"e {"y":1}"#),
        .init(
            #"[{"rename_properties":["a"],"to":"y","events":["e"]},{"rename_properties":["a"],"to":"x"}]"#, "f", #"{"a":1}"#,
            becomes: #"f {"x":1}"#),
        // Events go by their names after the rules, and properties too.
        .init(
            #"[{"rename_properties":["a"],"to":"y","events":["Signup"]},{"rename_events":["e"],"to":"Signup"}]"#, "e", #"{"a":1}"#,
            becomes: #"Signup {"y":1}"#),
        .init(#"[{"drop_properties":["b"]},{"rename_properties":["a"],"to":"b"}]"#, "e", #"{"a":1,"c":2}"#, becomes: #"e {"c":2}"#),
        .init(#"[{"drop_properties":["a"]},{"rename_properties":["a"],"to":"b"}]"#, "e", #"{"a":1}"#, becomes: #"e {"b":1}"#),
        .init(#"[{"drop_properties":["a","b"]}]"#, "e", #"{"a":1,"b":2,"c":3}"#, becomes: #"e {"c":3}"#),
        .init(#"[{"drop_properties":["a"],"events":["f"]}]"#, "e", #"{"a":1}"#, becomes: #"e {"a":1}"#),
        .init(#"[{"drop_properties":["user.name"]}]"#, "e", #"{"user":{"name":"x"}}"#, becomes: "e {}"),
        .init(#"[{"default_property":"b","value":7}]"#, "e", #"{"a":1,"c":2}"#, becomes: #"e {"a":1,"b":7,"c":2}"#),
        .init(#"[{"default_property":"b","value":7}]"#, "e", #"{"b":"own"}"#, becomes: #"e {"b":"own"}"#),
        .init(#"[{"default_property":"b","value":7}]"#, "e", #"{"b":null}"#, becomes: #"e {"b":7}"#),
        .init(#"[{"default_property":"b","value":7,"events":["f"]}]"#, "e", becomes: "e {}"),
        .init(defaults, "e", becomes: #"e {"b":8,"c":true}"#),
        .init(#"[{"drop_properties":["a"]},{"default_property":"a","value":1.5}]"#, "e", #"{"a":"own"}"#, becomes: #"e {"a":1.5}"#),
        .init(#"[{"rename_properties":["A"],"to":"a"},{"default_property":"a","value":0}]"#, "e", #"{"A":1}"#, becomes: #"e {"a":1}"#),
        .init(
            #"[{"cast_properties":["a"],"to":"integer","otherwise":"drop"},{"default_property":"a","value":"none"}]"#, "e", #"{"a":"x"}"#,
            becomes: #"e {"a":"none"}"#),
        .init(
            #"[{"rename_properties":["A"],"to":"a"},{"cast_properties":["a"],"to":"number"}]"#, "e", #"{"A":"1.50"}"#,
            becomes: #"e {"a":1.5}"#),
        .init(#"[{"cast_properties":["a"],"to":"number","otherwise":"reject"}]"#, "e", #"{"a":"12"}"#, becomes: #"e {"a":12}"#),
        .init(
            #"[{"cast_properties":["a"],"to":"number","otherwise":"reject"}]"#, "e", #"{"a":"x"}"#,
            becomes: "rejected: properties.a: is no number (rules[0])"),
        .init(
            #"[{"cast_properties":["a"],"to":"number","otherwise":"reject"}]"#, "e", #"{"b":"x"}"#, becomes: #"e {"b":"x"}"#),
        .init(
            #"[{"cast_properties":["a"],"to":"string"},{"cast_properties":["a"],"to":"boolean","events":["e"]}]"#, "e", #"{"a":1}"#,
            becomes: #"e {"a":true}"#),
    ]

    @Test(arguments: names) func namesOfEvents(_ one: Case) throws { try check(one) }

    @Test(arguments: reserved) func reservedNames(_ one: Case) throws { try check(one) }

    @Test(arguments: properties) func propertiesOfEvents(_ one: Case) throws { try check(one) }

    private func check(_ one: Case) throws { #expect(try RuledEvents.one(one.rules, one.name, one.properties) == one.result) }

    // MARK: - Casts

    /// Type, value, and the value as this type; nil if it has none.
    static let casts: [(CastTarget, String, String?)] = [
        (.string, "1", "\"1\""), (.string, "1.5", "\"1.5\""), (.string, "1e300", "\"1e+300\""), (.string, "true", "\"true\""),
        (.string, "\"x\"", "\"x\""), (.string, "-9223372036854775808", "\"-9223372036854775808\""),
        (.number, "\"12\"", "12"), (.number, "\" 12.50 \"", "12.5"), (.number, "\"1e3\"", "1000.0"), (.number, "7", "7"),
        (.number, "\"-0.5\"", "-0.5"), (.number, "\"18446744073709551616\"", "18446744073709551616"), (.number, "\"12,5\"", nil),
        (.number, "\"007\"", nil), (.number, "\"+1\"", nil), (.number, "\"\"", nil), (.number, "\"1e999\"", nil), (.number, "\"NaN\"", nil),
        (.number, "true", nil), (.number, "\"0x10\"", nil), (.number, "\"[1]\"", nil), (.number, "[1]", nil),
        (.integer, "\"12\"", "12"), (.integer, "12.0", "12"), (.integer, "\"1e3\"", "1000"), (.integer, "-3", "-3"),
        (.integer, "12.5", nil), (.integer, "1e300", nil), (.integer, "false", nil), (.integer, "\"9223372036854775808\"", nil),
        (.boolean, "\"TRUE\"", "true"), (.boolean, "\"false\"", "false"), (.boolean, "\"0\"", "false"), (.boolean, "1", "true"),
        (.boolean, "0.0", "false"), (.boolean, "true", "true"), (.boolean, "2", nil), (.boolean, "\"yes\"", nil), (.boolean, "\"\"", nil),
    ]

    @Test(arguments: casts) func valuesAsAnotherType(type: CastTarget, value: String, result: String?) throws {
        func cast(_ failure: String) throws -> Event.Property? {
            let rules = "[{\"cast_properties\":[\"a\"],\"to\":\"\(type.rawValue)\",\"otherwise\":\"\(failure)\"}]"
            let batch = EventBatchBuilder([try RuledEvents.event("e", "{\"a\":\(value)}")]).finish()
            return try RuledEvents.tables(rules).apply(to: batch).batch.events.first?.properties.first
        }
        let before = try RuledEvents.event("e", "{\"a\":\(value)}").properties.first
        let after = try result.map { try RuledEvents.event("e", "{\"a\":\($0)}").properties.first } ?? nil
        #expect(try cast("keep") == after ?? before)
        #expect(try cast("drop") == after)
        #expect(try cast("reject") == after)
    }

    @Test func aLongTextIsNoNumber() throws {
        let rules = #"[{"cast_properties":["a"],"to":"number"}]"#
        let digits = "0." + String(repeating: "1", count: 62)
        #expect(digits.utf8.count == RuleLimits.numberBytes)
        #expect(try RuledEvents.one(rules, "e", "{\"a\":\"\(digits)\"}") == "e {\"a\":0.1111111111111111}")
        #expect(try RuledEvents.one(rules, "e", "{\"a\":\"\(digits)1\"}") == "e {\"a\":\"\(digits)1\"}")
    }

    // MARK: - Timestamps

    @Test func endpointsWithoutTimestamps() throws {
        let none = RuleTables(RuleList())
        #expect(none.isEmpty)
        for endpoint in EventEndpoint.allCases {
            let isNative = endpoint == .events || endpoint == .trackEvent
            #expect(none.missingTimestamp(at: endpoint) == (isNative ? .reject : .serverTime))
            #expect(none.timestampFault(at: endpoint).reason == "timestamp: field required")
        }
        let tables = try RuledEvents.tables(
            #"[{"missing_timestamp":["events"],"to":"server_time"},{"missing_timestamp":["segment","snowplow"],"to":"reject"}]"#)
        #expect(tables.isEmpty)
        #expect(tables.missingTimestamp(at: .events) == .serverTime)
        #expect(tables.missingTimestamp(at: .trackEvent) == .reject)
        #expect(tables.missingTimestamp(at: .segment) == .reject)
        #expect(tables.missingTimestamp(at: .posthog) == .serverTime)
        #expect(tables.timestampFault(at: .snowplow).reason == "timestamp: field required (rules[1])")
    }

    @Test func eventsWithoutTimestamps() throws {
        let now: Int64 = 1_800_000_000_000_000
        let tables = try RuledEvents.tables(#"[{"missing_timestamp":["events"],"to":"server_time"}]"#)
        func read(_ text: String, _ endpoint: EventEndpoint = .events) throws -> (event: Event, hasServerTime: Bool) {
            try tables.read(JSONParser.parse(Array(text.utf8)), text: Array(text.utf8), 0..<text.utf8.count, at: endpoint, now: now)
        }
        func reason(_ text: String, _ endpoint: EventEndpoint = .events) throws -> String {
            try #require(throws: EventFault.self) { try read(text, endpoint) }.reason
        }
        for time in ["", #","timestamp":null"#, #","timestamp":"""#] {
            let event = "{\"user_id\":\"u\",\"event\":\"e\"\(time),\"event_id\":\"i\"}"
            let read = try read(event)
            #expect(read.hasServerTime && read.event.time == now && read.event.id == "i")
            #expect(try reason(event, .trackEvent) == "timestamp: field required")
        }
        // A double has not all digits of such a time.
        let exact = try read(#"{"user_id":"u","event":"e","timestamp":1700000000.123457}"#)
        #expect(!exact.hasServerTime && exact.event.time == 1_700_000_000_123_457)
        #expect(try reason(#"{"user_id":"u","event":"e","timestamp":"soon"}"#).hasPrefix("timestamp: \"soon\""))
        #expect(try reason(#"{"event":"e"}"#) == "user_id: field required")
        #expect(try reason("[1]") == "body: an event must be an object, not an array")
        #expect(try reason(#"{"user_id":"u"}"#, .trackEvent) == "event_type: field required")
    }
}

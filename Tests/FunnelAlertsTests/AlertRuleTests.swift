import FunnelAlerts
import FunnelModel
import TestSupport
import Testing

/// Documents of rules: what is read, and the faults of what is not.
struct AlertRuleTests {
    private static let metric = #""metric":{"kind":"conversion","step":3}"#
    private static let threshold = #""condition":{"threshold":{"below":0.2}}"#

    @Test(arguments: [
        #"{"threshold":{"above":0.5,"below":0.25,"min_sample":50}}"#,
        #"{"change":{"direction":"down","relative":0.25,"against":"previous_period","min_sample":1}}"#,
        #"{"change":{"direction":"any","absolute":0.5,"against":"same_weekday","weeks":2,"min_sample":9}}"#,
        #"{"significant_change":{"direction":"up","level":0.001,"min_sample":200,"min_change":0.25,"weeks":8}}"#,
    ])
    func everyMemberIsReadAndWritten(condition: String) throws {
        let text =
            #"{"id":"r","funnel_id":"shop","metric":{"kind":"conversion","step":"Purchase","from":"previous"},"#
            + #""segment":{"name":"mobile","where":[{"property":"device","op":"=","value":"phone"}]},"#
            + #""breakdown":{"property":"country","touch":"step:1","k":20},"condition":\#(condition),"period":"1h","#
            + #""time_zone":"Europe/Berlin","within":"30m","delay":"5m","for":"2h","keep_firing_for":"1h","cool_down":"1d","#
            + #""mute_until":"2026-03-02T00:00:00Z","quiet_hours":{"from":"22:00","to":"07:30"},"grouping":"together","#
            + #""channels":["ops","mail"]}"#
        let rule = try AlertRule.parse(Array(text.utf8))
        #expect(String(decoding: rule.json.encode(), as: UTF8.self) == text)
        #expect(try AlertRule.parse(rule.json) == rule)
    }

    @Test func defaultsAreWrittenOut() throws {
        let rule = try Answers.rule(#""metric":{"kind":"count"},"condition":{"no_data":{}}"#)
        #expect(
            String(decoding: rule.json.encode(), as: UTF8.self)
                == #"{"id":"r","funnel_id":"shop","metric":{"kind":"count"},"condition":{"no_data":{}},"period":"1h","time_zone":"UTC","#
                + #""delay":"2m","for":"0s","keep_firing_for":"0s","cool_down":"0s","grouping":"each","channels":[]}"#)
        #expect(try AlertRule.parse(rule.json) == rule)
        let test = try Answers.rule(#"\#(Self.metric),"condition":{"significant_change":{}}"#)
        #expect(test.condition == .significantChange(.init()))
        #expect(try AlertRule.parse(test.json) == test)
    }

    @Test(arguments: [
        ("7", ["body: must be an object, not a number"]),
        (
            "{}",
            [
                "id: is required", "funnel_id: is required: the id of a saved funnel", "metric: is required", "condition: is required",
            ]
        ),
        (
            #"{"id":"a b","funnel_id":"","metric":{},"condition":{}}"#,
            [
                "id: must match [A-Za-z0-9_.-]{1,64}", "funnel_id: must match [A-Za-z0-9_.-]{1,128}",
                "metric.kind: is required: one of count, conversion, drop_off, median_time",
                "condition: must have one of threshold, change, significant_change, no_data",
            ]
        ),
    ])
    func allFaultsAtOnce(text: String, faults: [String]) throws { #expect(Self.faults(text) == faults) }

    @Test(arguments: [
        (#""metric":{"kind":"speed"}"#, ["metric.kind: must be one of count, conversion, drop_off, median_time; \"speed\" is not"]),
        (#""metric":{"kind":"count","from":"first"}"#, ["metric.from: is a member of conversion and median_time only"]),
        (#""metric":{"kind":"drop_off","step":1}"#, ["metric.step: must be from 2 for drop_off: step 1 is where users begin"]),
        (#""metric":{"kind":"count","step":65}"#, ["metric.step: must be a step's number from 1 to 64, or its name"]),
        (#""metric":[]"#, ["metric: must be an object, not an array"]),
        (#""metric":{"kind":"count","stp":2}"#, ["metric.stp: is not a known member; known are step, from, kind"]),
    ])
    func faultsOfMetrics(metric: String, faults: [String]) throws {
        #expect(Self.faults(#"{"id":"r","funnel_id":"shop",\#(metric),"condition":{"threshold":{"below":1}}}"#) == faults)
    }

    @Test(arguments: [
        (#"{"threshold":{}}"#, ["condition.threshold.below: is required if there is no \"above\""]),
        (#"{"threshold":{"below":2}}"#, ["condition.threshold.below: must be a number from 0 to 1, 0.2 for 20 %"]),
        (#"{"threshold":{"below":0.5,"above":0.4}}"#, ["condition.threshold.below: must be less than \"above\""]),
        (#"{"threshold":{"below":0.5},"no_data":{}}"#, ["condition: must have only one of threshold, change, significant_change, no_data"]),
        (
            #"{"treshold":{}}"#,
            [
                "condition: must have one of threshold, change, significant_change, no_data",
                "condition.treshold: is not a known member; known are threshold, change, no_data, significant_change",
            ]
        ),
        (#"{"threshold":3}"#, ["condition.threshold: must be an object, not a number"]),
        (#"{"change":{}}"#, ["condition.change.relative: is required if there is no \"absolute\""]),
        (#"{"change":{"relative":0.1,"absolute":1}}"#, ["condition.change.absolute: and \"relative\" exclude each other"]),
        (#"{"change":{"relative":0.1,"weeks":2}}"#, ["condition.change.weeks: needs \"against\": \"same_weekday\""]),
        (
            #"{"change":{"relative":0.1,"against":"ever"}}"#,
            [
                "condition.change.against: must be one of previous_period, same_weekday; \"ever\" is not"
            ]
        ),
        (#"{"change":{"relative":0.1,"against":"same_weekday","weeks":9}}"#, ["condition.change.weeks: must be an integer from 1 to 8"]),
        (
            #"{"significant_change":{"level":0.5,"min_sample":0}}"#,
            [
                "condition.significant_change.level: must be a number from 1e-09 to 0.05",
                "condition.significant_change.min_sample: must be an integer from 1 to 1000000000",
            ]
        ),
        (#"{"no_data":{}}"#, ["condition.no_data: is for count, not for conversion"]),
    ])
    func faultsOfConditions(condition: String, faults: [String]) throws {
        #expect(Self.faults(#"{"id":"r","funnel_id":"shop",\#(Self.metric),"condition":\#(condition)}"#) == faults)
    }

    @Test(arguments: [
        (#""period":"1w""#, ["period: must be one of 5m, 15m, 30m, 1h, 1d; \"1w\" is not"]),
        (#""time_zone":"Mars""#, ["time_zone: \"Mars\" is not an IANA time zone"]),
        (#""for":"8d""#, ["for: must be 0s to 7d in whole ticks of the clock (1us)"]),
        (#""cool_down":"1 day""#, ["cool_down: must be <integer><unit> with unit us, ms, s, m, h or d; \"1 day\" is not"]),
        (#""mute_until":"tomorrow""#, ["mute_until: must be an RFC 3339 instant; \"tomorrow\" is not"]),
        (
            #""quiet_hours":{"from":"24:00"}"#,
            [
                "quiet_hours.from: must be a time of day from 00:00 to 23:59; \"24:00\" is not",
                "quiet_hours.to: is required: a time of day such as 22:00",
            ]
        ),
        (#""quiet_hours":{"from":"07:00","to":"07:00"}"#, ["quiet_hours.to: must differ from \"from\""]),
        (#""channels":["ops","ops",7]"#, ["channels[1]: is given twice", "channels[2]: must match [A-Za-z0-9_.-]{1,128}"]),
        (#""breakdown":{"property":"country","k":101}"#, ["breakdown.k: must be an integer from 1 to 100"]),
        (
            #""breakdown":{"touch":"step:0"}"#,
            [
                "breakdown.property: is required: a property's name of 1 to 256 bytes",
                "breakdown.touch: must be first, last or step:N with N from 1; \"step:0\" is not",
            ]
        ),
        (#""segment":{"name":"x"}"#, ["segment.where: is required: conditions of step 1"]),
        (
            #""chanels":[]"#,
            [
                "chanels: is not a known member; known are channels, breakdown, condition, cool_down, delay, for, funnel_id, grouping, id, "
                    + "keep_firing_for, metric, mute_until, period, quiet_hours, segment, time_zone, within"
            ]
        ),
    ])
    func faultsOfOtherMembers(members: String, faults: [String]) throws {
        #expect(Self.faults(#"{"id":"r","funnel_id":"shop",\#(Self.metric),\#(Self.threshold),\#(members)}"#) == faults)
    }

    @Test func faultsOfMembersThatDoNotFit() throws {
        #expect(throws: InvalidDocument([FieldFault("period", "must be 1h or 1d with significant_change")])) {
            try Answers.rule(#"\#(Self.metric),"condition":{"significant_change":{}},"period":"5m""#)
        }
        let reason = "and median_time exclude each other: reports have no times for each value"
        #expect(throws: InvalidDocument([FieldFault("breakdown", reason)])) {
            try Answers.rule(
                #""metric":{"kind":"median_time"},"condition":{"threshold":{"above":60}},"breakdown":{"property":"country"}"#)
        }
        let needed = "is required with \"breakdown\": the weeks before name the values"
        #expect(throws: InvalidDocument([FieldFault("condition.no_data.min_sample", needed)])) {
            try Answers.rule(#""metric":{"kind":"count"},"condition":{"no_data":{}},"breakdown":{"property":"country"}"#)
        }
        #expect(throws: InvalidDocument([FieldFault("body", "has 65537 bytes; the limit is 65536")])) {
            try AlertRule.parse(Array(repeating: 32, count: 65_537))
        }
    }

    @Test func damagedDocumentsAreErrors() throws {
        let text = Array(
            (#"{"id":"r","funnel_id":"shop","metric":{"kind":"drop_off","step":2},"segment":{"name":"m","where":[{"property":"d","op":"exists"}]},"#
                + #""breakdown":{"property":"c","touch":"step:1","k":20},"condition":{"change":{"relative":0.25,"min_sample":9}},"#
                + #""for":"2h","mute_until":"2026-03-02T00:00:00Z","quiet_hours":{"from":"22:00","to":"07:30"},"channels":["ops"]}"#).utf8)
        var random = SplitMix64(seed: 15)
        var valid = 0
        for _ in 0..<20_000 {
            var damaged = text
            for _ in 0...random.below(3) {
                let at = random.below(damaged.count)
                switch random.below(3) {
                case 0: damaged[at] = UInt8(random.below(128))
                case 1: damaged.remove(at: at)
                default: damaged.insert(random.pick(Array(#"0-9e.:{}[]","#.utf8)), at: at)
                }
            }
            guard let rule = try? AlertRule.parse(damaged) else { continue }
            valid += 1
            #expect(try AlertRule.parse(rule.json) == rule)
        }
        #expect((100..<19_000).contains(valid))
    }

    private static func faults(_ text: String) -> [String] {
        do throws(InvalidDocument) {
            _ = try AlertRule.parse(Array(text.utf8))
            return []
        } catch {
            return error.faults.map { "\($0.field): \($0.reason)" }
        }
    }
}

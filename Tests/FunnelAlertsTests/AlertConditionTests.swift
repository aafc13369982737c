import FunnelAlerts
import FunnelModel
import Testing

/// Every condition on numbers that were worked out by hand: a hand's breadth on either side of its limit.
struct AlertConditionTests {
    private static let conversion = #""metric":{"kind":"conversion","step":3}"#

    private static func status(_ members: String, _ now: AlertAnswer, _ before: AlertAnswer? = nil, rules: Int = 1) throws -> String {
        let group = try Answers.outcome(members, now: now, before: before, rules: rules)
        return group.text.contains("not decided") ? "unknown" : group.status.rawValue
    }

    @Test(
        arguments: [
            (#"{"below":0.2}"#, 19, "firing"), (#"{"below":0.2}"#, 20, "ok"), (#"{"above":0.2}"#, 20, "ok"),
            (#"{"above":0.2}"#, 21, "firing"),
            (#"{"above":0.5,"below":0.1}"#, 9, "firing"), (#"{"above":0.5,"below":0.1}"#, 10, "ok"),
            (#"{"below":0.2,"min_sample":101}"#, 0, "unknown"),
        ] as [(String, UInt64, String)])
    func thresholds(limit: String, converted: UInt64, status: String) throws {
        let members = #"\#(Self.conversion),"condition":{"threshold":\#(limit)}"#
        #expect(try Self.status(members, Answers.whole([100, 50, converted])) == status)
    }

    @Test func everyMetricHasItsValue() throws {
        for (metric, value) in [
            (#"{"kind":"count","step":1}"#, 100), (#"{"kind":"count","step":"Cart"}"#, 40), (#"{"kind":"conversion"}"#, 0.1),
            (#"{"kind":"conversion","from":"previous"}"#, 0.25), (#"{"kind":"drop_off","step":3}"#, 0.75),
            (#"{"kind":"drop_off","step":2}"#, 0.6),
            (#"{"kind":"median_time"}"#, 90), (#"{"kind":"median_time","from":"previous"}"#, 45),
        ] as [(String, Double)] {
            let group = try Answers.outcome(
                #""metric":\#(metric),"condition":{"threshold":{"above":0}}"#, now: Answers.whole([100, 40, 10], median: 90))
            #expect(group.value == value, "\(metric)")
            #expect(group.status == .firing)
        }
    }

    @Test(
        arguments: [
            (#""direction":"down","relative":0.2"#, 400, 320, "firing"), (#""direction":"down","relative":0.2"#, 400, 321, "ok"),
            (#""direction":"up","relative":0.2"#, 400, 320, "ok"), (#""direction":"up","relative":0.2"#, 400, 480, "firing"),
            (#""relative":0.2"#, 400, 320, "firing"), (#""relative":0.2"#, 400, 480, "firing"), (#""relative":0.2"#, 400, 400, "ok"),
            (#""absolute":0.1"#, 400, 300, "firing"), (#""absolute":0.1"#, 400, 301, "ok"), (#""relative":0.2"#, 0, 100, "unknown"),
            (#""relative":0.2,"min_sample":1001"#, 400, 0, "unknown"),
        ] as [(String, UInt64, UInt64, String)])
    func changesOfShares(change: String, before: UInt64, now: UInt64, status: String) throws {
        let members = #"\#(Self.conversion),"condition":{"change":{\#(change)}}"#
        #expect(try Self.status(members, Answers.whole([1_000, 500, now]), Answers.whole([1_000, 500, before])) == status)
    }

    @Test(
        arguments: [
            (#""relative":0.5"#, 40, 20, "firing"), (#""relative":0.5"#, 40, 21, "ok"), (#""relative":0.5"#, 40, 0, "firing"),
            (#""relative":0.5,"min_sample":41"#, 40, 0, "unknown"), (#""absolute":5"#, 40, 45, "firing"), (#""absolute":5"#, 40, 44, "ok"),
        ] as [(String, UInt64, UInt64, String)])
    func changesOfCounts(change: String, before: UInt64, now: UInt64, status: String) throws {
        let members = #""metric":{"kind":"count"},"condition":{"change":{\#(change)}}"#
        #expect(try Self.status(members, Answers.whole([100, 50, now]), Answers.whole([100, 50, before])) == status)
    }

    /// 2,000 users an hour, 30 % of whom converted in the four weeks before: Fisher's p of 480 is 6.5e-8 and of 536 about 0.005.
    @Test(
        arguments: [
            ("", 480, 1, "firing"), ("", 480, 500, "firing"), ("", 480, 5_000, "ok"), ("", 536, 1, "ok"),
            (#""direction":"up""#, 480, 1, "ok"),
            (#""direction":"down""#, 480, 1, "firing"), (#""min_change":0.21"#, 480, 1, "ok"), (#""min_change":0.19"#, 480, 1, "firing"),
            (#""min_sample":2001"#, 480, 1, "unknown"), (#""level":0.01,"min_change":0"#, 536, 1, "firing"),
        ] as [(String, UInt64, Int, String)])
    func significantChanges(members: String, now: UInt64, rules: Int, status: String) throws {
        let members = #"\#(Self.conversion),"condition":{"significant_change":{\#(members)}}"#
        let before = Answers.whole([2_000, 1_000, 600])
        #expect(try Self.status(members, Answers.whole([2_000, 1_000, now]), before, rules: rules) == status)
    }

    @Test func weeksThatDifferFromEachOtherAskForALargerChange() throws {
        // The same 30 % of the weeks together. Chi-square of 27, 30, 33, 30 % is 17.1, so the variance is 5.7 times that of chance.
        for (weeks, status) in [([600, 600, 600, 600], "firing"), ([540, 600, 660, 600], "ok")] as [([UInt64], String)] {
            let plan = try Answers.plan(#"\#(Self.conversion),"condition":{"significant_change":{}}"#)
            var state = AlertState()
            _ = state.advance(plan, now: Answers.monday + Answers.hour + plan.closing, significantRules: 1) { question in
                let week = (Answers.monday - question.period.lowerBound) / (7 * Answers.day)
                return Answers.whole([2_000, 1_000, week == 0 ? 480 : weeks[Int(week) - 1]])
            }
            #expect(state.groups[.whole]?.status.rawValue == status)
            // z is -5.30, and -2.22 with the larger variance.
            if status == "ok" { #expect(abs((state.groups[.whole]?.pValue ?? 0) - 0.0266) < 0.0001) }
        }
    }

    @Test func holmCorrectsTheGroupsOfARule() throws {
        let plan = try Answers.plan(#"\#(Self.conversion),"breakdown":{"property":"country"},"condition":{"significant_change":{}}"#)
        let values = Dictionary(uniqueKeysWithValues: (0..<10).map { ("c\($0)", [2_000, 1_000, 600] as [UInt64]) })
        var state = AlertState()
        let sent = state.advance(plan, now: Answers.monday + Answers.hour + plan.closing, significantRules: 3) { question in
            var now = values
            if question.period.lowerBound == Answers.monday { now["c3"] = [2_000, 1_000, 480] }
            return Answers.values(now)
        }
        #expect(Answers.lines(sent) == [#"firing r "c3" 03-02T01:00"#])
        let single = try Answers.outcome(
            #"\#(Self.conversion),"condition":{"significant_change":{}}"#, now: Answers.whole([2_000, 1_000, 480]),
            before: Answers.whole([2_000, 1_000, 600]))
        let corrected = try #require(state.groups[Answers.group("c3")]?.pValue)
        let alone = try #require(single.pValue)
        #expect(abs(corrected / alone - 30) < 1e-9)
    }

    @Test(
        arguments: [
            ("", 0, 0, "firing"), ("", 1, 0, "ok"), (#""min_sample":10"#, 0, 10, "firing"), (#""min_sample":10"#, 0, 9, "unknown"),
            (#""min_sample":10"#, 1, 900, "ok"),
        ] as [(String, UInt64, UInt64, String)])
    func noData(members: String, now: UInt64, before: UInt64, status: String) throws {
        let members = #""metric":{"kind":"count","step":2},"condition":{"no_data":{\#(members)}}"#
        #expect(try Self.status(members, Answers.whole([100, now, 0]), Answers.whole([100, before, 0])) == status)
    }

    @Test func sentencesHaveTheNumbers() throws {
        let fallen = try Answers.outcome(
            #"\#(Self.conversion),"condition":{"significant_change":{}}"#, now: Answers.whole([2_000, 1_000, 480]),
            before: Answers.whole([2_000, 1_000, 600]))
        #expect(
            fallen.text
                == "Conversion to step 3 (Purchase) of funnel shop: 24.0 % (480 of 2,000), -20.0 % against 30.0 % (2,400 of 8,000) in the same "
                + "hour of the 4 weeks before, corrected p < 0.0001. 2026-03-02T00:00:00Z to 2026-03-02T01:00:00Z.")
        let gone = try Answers.outcome(
            #"\#(Self.conversion),"condition":{"threshold":{"below":0.1}}"#, now: Answers.whole([2_000, 1_000, 0]))
        #expect(
            gone.text
                == "Conversion to step 3 (Purchase) of funnel shop: 0.0 % (0 of 2,000); the rule fires below 10.0 %. 2026-03-02T00:00:00Z to "
                + "2026-03-02T01:00:00Z. Nobody reached the step: its event may have been renamed or removed, or may no longer be sent.")
        let few = try Answers.outcome(
            #"\#(Self.conversion),"condition":{"threshold":{"below":0.1,"min_sample":50}}"#, now: Answers.whole([20, 10, 1]))
        #expect(
            few.text.contains(": 5.0 % (1 of 20); the rule fires below 10.0 %; not decided: 20 users, and the rule asks for at least 50. "))
    }

    @Test func aValueThatVanishedIsZeroUnlessTheAnswerIsCut() throws {
        let plan = try Answers.plan(
            #""metric":{"kind":"count","step":1},"breakdown":{"property":"country"},"condition":{"no_data":{"min_sample":50}}"#)
        for hasMore in [false, true] {
            var state = AlertState()
            let sent = state.advance(plan, now: Answers.monday + Answers.hour + plan.closing, significantRules: 0) { question in
                question.period.lowerBound == Answers.monday
                    ? Answers.values(["FR": [90, 0, 0]], hasMore: hasMore) : Answers.values(["DE": [90, 0, 0], "FR": [90, 0, 0]])
            }
            #expect(Answers.lines(sent) == (hasMore ? [] : [#"firing r "DE" 03-02T01:00"#]))
        }
    }
}

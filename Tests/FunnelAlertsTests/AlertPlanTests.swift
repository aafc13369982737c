import FunnelAlerts
import FunnelModel
import Testing

/// Periods, questions, and rules that do not fit their funnel.
struct AlertPlanTests {
    private static let members = #""metric":{"kind":"conversion","step":3},"condition":{"threshold":{"below":0.1}}"#

    @Test(arguments: [
        // An hour to convert, a second of the clock, and two minutes for late events.
        ("", "2026-03-02T03:02:00Z", "2026-03-02T00:00:00Z 2026-03-02T01:00:00Z"),
        ("", "2026-03-02T03:02:01Z", "2026-03-02T01:00:00Z 2026-03-02T02:00:00Z"),
        (#","within":"10m","delay":"0s""#, "2026-03-02T03:10:01Z", "2026-03-02T02:00:00Z 2026-03-02T03:00:00Z"),
        (#","period":"5m","delay":"0s""#, "2026-03-02T03:10:01Z", "2026-03-02T03:00:00Z 2026-03-02T03:05:00Z"),
        // A day of Berlin, which has 23 hours; the day after it is to convert.
        (
            #","period":"1d","time_zone":"Europe/Berlin","delay":"0s""#, "2026-03-30T22:00:01Z", "2026-03-28T23:00:00Z 2026-03-29T22:00:00Z"
        ),
    ])
    func thePeriodWhoseWindowsHaveClosed(members: String, now: String, period: String) throws {
        let plan = try Answers.plan(Self.members + members)
        let due = plan.due(after: nil, now: try Timestamp.parse(ByteString(now)))
        #expect(due.map { "\(Timestamp.format($0.lowerBound)) \(Timestamp.format($0.upperBound))" } == [period])
    }

    @Test func aCountOfStepOneIsFinalAtOnce() throws {
        let plan = try Answers.plan(#""metric":{"kind":"count","step":1},"condition":{"no_data":{}}"#)
        #expect(plan.closing == 120_000_000)
    }

    @Test func missedPeriodsFollowInOrder() throws {
        let plan = try Answers.plan(Self.members)
        let now = Answers.monday + 100 * Answers.hour + plan.closing
        let evaluated = Answers.monday + 97 * Answers.hour
        #expect(plan.due(after: evaluated, now: now).map { ($0.upperBound - Answers.monday) / Answers.hour } == [98, 99, 100])
        #expect(plan.due(after: now, now: now).isEmpty)
        #expect(plan.due(after: Answers.monday, now: now).count == AlertLimits.latePeriods)
        #expect(plan.due(after: Answers.monday, now: now).last?.upperBound == Answers.monday + 100 * Answers.hour)
    }

    @Test func theBaselineIsTheSameHourOnTheClock() throws {
        let plan = try Answers.plan(
            #""metric":{"kind":"conversion"},"condition":{"significant_change":{"weeks":3}},"time_zone":"Europe/Berlin""#)
        // Monday 2026-04-06, 10:00 in Berlin: two hours ahead, and one before 29 March.
        let start = try Timestamp.parse("2026-04-06T08:00:00Z")
        let starts = plan.baseline(of: start..<start + Answers.hour).map { Timestamp.format($0.lowerBound) }
        #expect(starts == ["2026-03-30T08:00:00Z", "2026-03-23T09:00:00Z", "2026-03-16T09:00:00Z"])
        // 02:30 did not exist on 29 March.
        let night = try Timestamp.parse("2026-04-05T00:00:00Z")
        #expect(plan.baseline(of: night..<night + Answers.hour).count == 2)
    }

    @Test func daysOfTheBaselineHaveTheirOwnLength() throws {
        let plan = try Answers.plan(
            #""metric":{"kind":"conversion"},"condition":{"significant_change":{"weeks":1}},"time_zone":"Europe/Berlin","period":"1d""#)
        let start = try Timestamp.parse("2026-04-04T22:00:00Z")
        let before = try #require(plan.baseline(of: start..<start + Answers.day).first)
        #expect(Timestamp.format(before.lowerBound) == "2026-03-28T23:00:00Z")
        #expect(before.upperBound - before.lowerBound == 23 * Answers.hour)
    }

    @Test func rulesThatAskTheSameShareAQuestion() throws {
        let period = Answers.monday..<Answers.monday + Answers.hour
        let rules = try [
            Answers.plan(Self.members), Answers.plan(#""metric":{"kind":"drop_off","step":2},"condition":{"change":{"relative":0.1}}"#),
            Answers.plan(#""metric":{"kind":"count"},"condition":{"no_data":{}},"for":"1h","channels":["ops"]"#),
        ]
        #expect(Set(rules.map { $0.question(period) }).count == 1)
        let breakdowns = try [5, 100].map { k in try Answers.plan(Self.members + #","breakdown":{"property":"country","k":\#(k)}"#) }
        #expect(Set(breakdowns.map { $0.question(period) }).count == 1)
        let others = try [
            #","breakdown":{"property":"country"}"#, #","within":"10m""#,
            #","segment":{"name":"a","where":[{"property":"device","op":"exists"}]}"#,
        ].map { try Answers.plan(Self.members + $0) }
        #expect(Set((rules + others).map { $0.question(period) }).count == 4)
        // A rule asks for its period and for what it compares it with.
        #expect(rules[1].questions(after: nil, now: period.upperBound + rules[1].closing).count == 2)
    }

    @Test func aQuestionIsTheBodyOfAQuery() throws {
        let plan = try Answers.plan(
            Self.members
                + #","breakdown":{"property":"country","k":5},"segment":{"name":"a","where":[{"property":"device","op":"exists"}]}"#)
        let body = try JSONParser.parse(plan.question(Answers.monday..<Answers.monday + Answers.hour).body)
        let definition = try FunnelDefinition.parse(try #require(body["funnel"]))
        #expect(definition.window == 3_600_000_000)
        #expect(definition.steps[0].filters == [Predicate(property: "device", comparison: .exists, values: [])])
        #expect(body["start"] == "2026-03-02T00:00:00Z")
        #expect(body["end"] == "2026-03-02T01:00:00Z")
        #expect(body["breakdown"] == ["property": "country", "touch": "first", "k": 100])
        #expect(body["times"] == "none")
    }

    @Test func anAnswerIsReadFromAReport() throws {
        let text = """
            {"steps":[{"count":100,"dropoff":null,"median_seconds":0},{"count":30,"dropoff":null,"median_seconds":5},
            {"count":20,"dropoff":80,"median_seconds":61.5,"median_seconds_from_previous":null}],
            "breakdown":{"rows":[{"value":"DE","steps":[{"count":60},{"count":9},{"count":8}]},
            {"value":null,"steps":[{"count":40},{"count":21},{"count":12}]}],"other":{"values":3}}}
            """
        let answer = try #require(AlertAnswer(report: JSONParser.parse(Array(text.utf8))))
        #expect(answer.hasMore)
        #expect(Set(answer.steps.keys) == [.whole, Answers.group("DE")])
        // Step 2 is optional, so step 3 comes after step 1.
        #expect(answer.steps[.whole]?[2] == AlertAnswer.Step(count: 20, previous: 100, median: 61.5))
        #expect(answer.steps[Answers.group("DE")]?.map(\.previous) == [nil, 60, 60])
        for text in ["{}", #"{"steps":[{"count":-1}]}"#, #"{"steps":[{"count":1}],"breakdown":{"rows":[{"value":1}]}}"#] {
            #expect(try AlertAnswer(report: JSONParser.parse(Array(text.utf8))) == nil)
        }
    }

    @Test func rulesThatDoNotFitTheirFunnel() throws {
        func reason(_ members: String, _ change: (inout FunnelDefinition) -> Void = { _ in }) throws -> String {
            var funnel = Answers.funnel
            change(&funnel)
            let rule = try Answers.rule(members)
            return try #require(throws: AlertPlan.Invalid.self) { try AlertPlan(rule, funnel: funnel, channels: ["ops"]) }.reason
        }
        let below = #""condition":{"threshold":{"below":0.1}}"#
        #expect(try reason(#""metric":{"kind":"count","step":4},\#(below)"#) == "names step 4, which its funnel does not have")
        #expect(
            try reason(#""metric":{"kind":"count","step":"Pay"},\#(below)"#) == "names the step \"Pay\", which its funnel does not have")
        #expect(try reason(#""metric":{"kind":"drop_off","step":"Visit"},\#(below)"#) == "names step 1, which has no drop_off")
        #expect(
            try reason(#""metric":{"kind":"drop_off","step":2},\#(below)"#) { $0.steps[1].isOptional = true }
                == "names step 2, which is optional: nobody drops at an optional step")
        #expect(
            try reason(#""metric":{"kind":"conversion"},"condition":{"significant_change":{}}"#) { $0.countBy = .attempts }
                == "tests for a significant change, but its funnel counts by attempts, not by users")
        #expect(try reason(Self.members + #","channels":["ops","gone"]"#) == "names the channel gone, which does not exist")
        #expect(
            try reason(Self.members + #","breakdown":{"property":"a","touch":"step:4"}"#)
                == "breaks down by step 4, which its funnel does not have")
    }
}

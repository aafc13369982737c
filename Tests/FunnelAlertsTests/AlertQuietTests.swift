import FunnelAlerts
import FunnelModel
import TestSupport
import Testing

/// How often rules of significant changes are wrong.
struct AlertQuietTests {
    /// 10 projects of 50 rules, each on traffic of its own, for 30 days without a change: 41 years of a rule. By chance alone, where any
    /// change counts; and with rates that also drift from hour to hour, by a part of the rate.
    @Test(arguments: [(0, "0s"), (0.02, "0s"), (0.04, "1h")] as [(Double, String)])
    func quietDaysHaveFewFalseAlarms(drift: Double, hold: String) throws {
        let (rules, days, weeks) = (50, 30, 4)
        let minChange = drift == 0 ? "0" : "0.1"
        let hours = (first: Int64(7 * weeks * 24), end: Int64((7 * weeks + days) * 24))
        var alarms = 0
        var looks = 0
        for seed in 0..<10 {
            for number in 0..<rules {
                let plan = try Answers.plan(
                    #""metric":{"kind":"conversion","step":3},"condition":{"significant_change":{"min_change":\#(minChange)}},"for":"\#(hold)""#,
                    id: "r\(number)")
                // From 60 to 3,000 users at noon, and rates from 1 to 50 %.
                var shop = Shop(seed: UInt64(seed * 1_000 + number))
                shop.users = [("DE", 60 * Double(1 + number))]
                let factor = [0.03, 0.2, 0.7, 1.5][number % 4]
                shop.rate = { [seed = shop.seed] _, hour in
                    var random = SplitMix64(seed: seed &* 31 &+ UInt64(bitPattern: hour))
                    // The sum of 12 uniform numbers less 6 is nearly normal.
                    let normal = (0..<12).reduce(-6) { sum, _ in sum + Double.random(in: 0..<1, using: &random) }
                    return Shop.usual(hour) * factor * (1 + drift * normal)
                }
                let answers = (0..<hours.end).map { shop.answer($0) }
                var state = AlertState()
                for hour in hours.first..<hours.end {
                    let now = Answers.monday + (hour + 1) * Answers.hour + plan.closing
                    let sent = state.advance(plan, now: now, significantRules: rules) { answers[Int(Shop.hour($0))] }
                    alarms += sent.count { $0.kind == .firing }
                    if let group = state.groups[.whole], group.pValue != nil { looks += 1 }
                }
            }
        }
        print(
            "50 significant rules, 10 x 30 quiet days, drift \(drift), for \(hold): \(alarms) false alarms in \(looks) tests; 41 are allowed"
        )
        #expect(looks > 200_000)
        #expect(alarms <= 41)
    }

    /// The test keeps its level: without a change, at most 5 % of looks are significant at a level of 5 %.
    @Test func theTestIsNotOftenWrongAtItsLevel() throws {
        let plan = try Answers.plan(
            #""metric":{"kind":"conversion","step":3},"condition":{"significant_change":{"min_change":0,"level":0.05}}"#)
        var alarms = 0
        let hours: Int64 = 20_000
        for hour in 0..<hours {
            var shop = Shop(seed: 77)
            shop.users = [("DE", 2_000)]
            var state = AlertState()
            _ = state.advance(plan, now: Answers.monday + Answers.hour + plan.closing, significantRules: 1) { question in
                let week = (Answers.monday - question.period.lowerBound) / (7 * Answers.day)
                return shop.answer(12, offset: UInt64(hour * 8 + week))
            }
            if state.groups[.whole]?.status == .firing { alarms += 1 }
        }
        print("level 0.05: \(alarms) of \(hours) looks without a change are significant")
        #expect(alarms > 100)
        // 1,000 expected at most; 120 are four standard deviations.
        #expect(alarms <= 1_000 + 120)
    }
}

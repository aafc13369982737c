import FunnelAlerts
import FunnelModel
import TestSupport
import Testing

/// Scripted days on a clock that is passed in: the right rules fire once each and resolve once.
struct AlertDayTests {
    /// Hours from Monday on; the day is the Monday four weeks later.
    private static let day: Int64 = 28 * 24

    private static let country = #""breakdown":{"property":"country"},"#
    private static let rules = [
        (
            "falls-by-country",
            #"\#(country)"metric":{"kind":"conversion","step":3},"condition":{"significant_change":{"direction":"down"}}"#
        ),
        ("falls", #""metric":{"kind":"conversion","step":3},"condition":{"significant_change":{"direction":"down","min_change":0.15}}"#),
        ("rises", #"\#(country)"metric":{"kind":"conversion","step":3},"condition":{"significant_change":{"direction":"up"}}"#),
        ("purchase-gone", #""metric":{"kind":"count","step":3},"condition":{"no_data":{"min_sample":20}}"#),
        ("no-traffic", #""metric":{"kind":"count","step":1},"condition":{"no_data":{"min_sample":20}}"#),
        ("low", #""metric":{"kind":"conversion","step":3},"condition":{"threshold":{"below":0.1,"min_sample":100}}"#),
        ("drop", #""metric":{"kind":"drop_off","step":3},"condition":{"change":{"direction":"up","relative":0.3}},"for":"1h""#),
    ]

    /// Runs every minute of a day and of the three hours after it.
    private static func run(_ shop: Shop, restarts: SplitMix64? = nil) throws -> [AlertNotification] {
        let plans = try rules.map { try Answers.plan($0.1, id: $0.0) }
        let tests = plans.count { $0.rule.condition.kind == .significantChange }
        var states = Array(repeating: AlertState(), count: plans.count)
        var random = restarts
        var answers: [AlertQuestion: AlertAnswer] = [:]
        var sent: [AlertNotification] = []
        for minute in 0..<27 * 60 {
            let now = Answers.monday + day * Answers.hour + Int64(minute) * 60_000_000
            for i in plans.indices {
                sent += states[i].advance(plans[i], now: now, significantRules: tests) { question in
                    let answer = answers[question] ?? shop.answer(Shop.hour(question))
                    answers[question] = answer
                    return answer
                }
                if random?.chance(10) ?? false { states[i] = try AlertState.parse(JSONParser.parse(states[i].json.encode())) }
            }
        }
        return sent
    }

    @Test func aQuietDay() throws { #expect(Answers.lines(try Self.run(Shop(seed: 1))) == []) }

    @Test func conversionFallsForOneCountryAndRecovers() throws {
        var shop = Shop(seed: 2)
        shop.rate = { country, hour in
            Shop.usual(hour) * (country == "DE" && (Self.day + 9..<Self.day + 15).contains(hour) ? 0.8 : 1)
        }
        // Of all users the fall is one of 8 %, which is below the rule's `min_change`.
        #expect(
            Answers.lines(try Self.run(shop)) == [
                #"firing falls-by-country "DE" 03-30T10:00"#, #"resolved falls-by-country "DE" 03-30T10:00"#,
            ])
    }

    @Test func aReleaseRemovesAnEvent() throws {
        var shop = Shop(seed: 3)
        shop.rate = { _, hour in (Self.day + 9..<Self.day + 15).contains(hour) ? 0 : Shop.usual(hour) }
        let sent = try Self.run(shop)
        let expected =
            ["DE", "FR", "IT"].map { #"falls-by-country "\#($0)" 03-30T10:00"# }
            + ["falls 03-30T10:00", "purchase-gone 03-30T10:00", "low 03-30T10:00"]
        #expect(Set(Answers.lines(sent)) == Set(expected.flatMap { ["firing \($0)", "resolved \($0)"] }))
        #expect(Answers.lines(sent).count == 12)
        #expect(sent.first?.items.first?.text.contains("may have been renamed or removed") ?? false)
    }

    @Test func trafficStops() throws {
        var shop = Shop(seed: 4)
        shop.traffic = { (Self.day + 9..<Self.day + 15).contains($0) ? 0 : 1 }
        #expect(
            Answers.lines(try Self.run(shop)) == [
                "firing no-traffic 03-30T10:00", "firing purchase-gone 03-30T10:00", "resolved no-traffic 03-30T10:00",
                "resolved purchase-gone 03-30T10:00",
            ])
    }

    @Test func restartsChangeNothing() throws {
        var shop = Shop(seed: 5)
        shop.rate = { country, hour in
            switch hour - Self.day {
            case 6..<9: Shop.usual(hour) * (country == "FR" ? 0.7 : 1)
            case 12..<14: 0
            default: Shop.usual(hour)
            }
        }
        let expected = try Self.run(shop)
        #expect(expected.count >= 8)
        for seed in 0..<20 { #expect(try Self.run(shop, restarts: SplitMix64(seed: UInt64(seed))) == expected, "seed \(seed)") }
    }

    /// The process dies between any two evaluations, after the notifications were handed over and before the state was saved.
    @Test func crashesRepeatKeysAndAddNone() throws {
        var shop = Shop(seed: 5)
        shop.rate = { country, hour in Shop.usual(hour) * ((hour - Self.day) % 6 < 2 && country != "IT" ? 0.6 : 1) }
        for (id, members) in Self.rules {
            let plan = try Answers.plan(members + #","quiet_hours":{"from":"13:00","to":"16:30"}"#, id: id)
            func keys(crashes: SplitMix64?) -> [String] {
                var random = crashes
                var state = AlertState()
                var keys: [String] = []
                for quarter in 0..<108 {
                    let now = Answers.monday + Self.day * Answers.hour + Int64(quarter) * 900_000_000
                    let saved = state
                    keys += state.advance(plan, now: now, significantRules: 3) { shop.answer(Shop.hour($0)) }.flatMap(\.items).map(\.key)
                    if random?.chance(40) ?? false { state = saved }
                }
                return keys
            }
            let expected = keys(crashes: nil)
            #expect(Set(expected).count == expected.count)
            for seed in 0..<10 { #expect(Set(keys(crashes: SplitMix64(seed: UInt64(seed)))) == Set(expected), "\(id), seed \(seed)") }
        }
    }

    @Test func aDryRunSaysWhatWouldHaveFired() throws {
        var shop = Shop(seed: 6)
        shop.rate = { _, hour in [700, 701, 720, 760, 761].contains(hour) ? 0.1 : Shop.usual(hour) }
        let plan = try Answers.plan(Self.rules[1].1)
        let start = Answers.monday + Self.day * Answers.hour
        let run = AlertDryRun(plan, over: start..<start + 7 * Answers.day, significantRules: 1) { question in
            let hour = Shop.hour(question)
            return hour == 730 ? nil : shop.answer(hour)
        }
        #expect(run.text == "would have fired 3 times in 167 periods; 1 without data")
        let hours = run.firings.map { firing in [firing.start, firing.end ?? 0].map { ($0 - Answers.monday) / Answers.hour } }
        #expect(hours == [[701, 703], [721, 722], [761, 763]])
        #expect(run.notifications.count == 6)
    }
}

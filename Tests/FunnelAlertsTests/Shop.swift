import FunnelAlerts
import FunnelModel
import TestSupport

/// Simulated traffic: how many users of each country come in an hour, and how far they get. Every number is exact chance: each user
/// is drawn by itself.
struct Shop {
    var seed: UInt64
    /// Users an hour at noon, by country.
    var users: [(country: String, noon: Double)] = [("DE", 3_000), ("FR", 2_500), ("IT", 2_000)]
    /// Share of the users of an hour who reach step 3.
    var rate: @Sendable (_ country: String, _ hour: Int64) -> Double = { _, hour in Shop.usual(hour) }
    /// Factor of the users of an hour.
    var traffic: @Sendable (_ hour: Int64) -> Double = { _ in 1 }

    /// 30 %, a little more in the evening and less on Sundays.
    static func usual(_ hour: Int64) -> Double {
        let (ofDay, weekday) = (hour % 24, hour / 24 % 7)
        return 0.3 + (ofDay >= 18 ? 0.03 : 0) - (weekday == 6 ? 0.04 : 0)
    }

    /// The answer for an hour, counted from `Answers.monday`; the same each time.
    func answer(_ hour: Int64, offset: UInt64 = 0) -> AlertAnswer {
        var whole: [UInt64] = [0, 0, 0]
        var groups: [AlertGroup: [AlertAnswer.Step]] = [:]
        for (i, entry) in users.enumerated() {
            var random = SplitMix64(seed: seed &* 1_000_003 &+ UInt64(bitPattern: hour) &* 64 &+ UInt64(i) &+ offset &* 7_919)
            let ofDay = (hour % 24 + 24) % 24
            // From a third at midnight to all at noon.
            let share = 1 - Double(abs(ofDay - 12)) / 18
            let entered = Int(entry.noon * share * traffic(hour))
            let reached = random.successes(of: entered, rate: min(1, 2 * rate(entry.country, hour)))
            let counts = [UInt64(entered), UInt64(reached), UInt64(random.successes(of: reached, rate: 0.5))]
            whole = zip(whole, counts).map { $0 + $1 }
            if entered > 0 { groups[AlertGroup(.string(ByteString(entry.country)))] = Answers.steps(counts) }
        }
        groups[.whole] = Answers.steps(whole)
        return AlertAnswer(groups)
    }

    static func hour(_ question: AlertQuestion) -> Int64 {
        Timestamp.floorDivide(question.period.lowerBound - Answers.monday, Answers.hour)
    }
}

extension SplitMix64 {
    /// Successes among independent trials, 64 at a time: each bit of `lanes` is one trial, decided by the binary digits of the rate.
    mutating func successes(of trials: Int, rate: Double) -> Int {
        let digits = UInt64((min(max(rate, 0), 1) * 4_294_967_296).rounded())
        if digits >= 1 << 32 { return trials }
        var count = 0
        var left = trials
        while left > 0 {
            var undecided = left >= 64 ? UInt64.max : (1 << UInt64(left)) - 1
            var place: UInt64 = 31
            while undecided != 0 {
                // A trial succeeds if its first digit that differs from the rate's is the smaller one.
                let random = next()
                if digits >> place & 1 == 1 {
                    count += (undecided & ~random).nonzeroBitCount
                    undecided &= random
                } else {
                    undecided &= ~random
                }
                if place == 0 { break }
                place -= 1
            }
            left -= 64
        }
        return count
    }
}

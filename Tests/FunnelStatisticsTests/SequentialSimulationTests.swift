import FunnelStatistics
import TestSupport
import Testing

/// Simulated experiments, looked at after every 100 users. SLUICE_EXPERIMENTS sets their number in each setting; 10,000 is
/// the full run.
struct SequentialSimulationTests {
    static let settings = [0.01, 0.05, 0.2, 0.5].flatMap { rate in [0.5, 0.1].map { (rate: rate, share: $0) } }

    /// An A/A experiment stopped at its first p-value of at most 5 %: that may happen in 5 % of all, and four standard errors more.
    @Test(arguments: settings)
    func falseAlarmsStayBelowTheLevel(rate: Double, share: Double) {
        let alarms = Simulation(rates: (rate, rate), share: share, users: 20_000).alarms()
        let runs = Double(TestCounts.experiments)
        #expect(Double(alarms) <= 0.05 * runs + 4 * (0.05 * 0.95 * runs).squareRoot(), "rate \(rate), share \(share): \(alarms) of \(runs)")
    }

    /// 5 % against 8 % is found nearly always within 20,000 users.
    @Test func aRealDifferenceIsFound() {
        let found = Simulation(rates: (0.05, 0.08), share: 0.5, users: 20_000).alarms()
        #expect(found * 100 >= TestCounts.experiments * 95, "\(found) of \(TestCounts.experiments)")
    }
}

struct Simulation {
    let rates: (Double, Double)
    /// Of users, in the first sample.
    let share: Double
    let users: Int

    /// In how many runs some look has a p-value of at most 5 %.
    func alarms() -> Int {
        var random = SplitMix64(seed: rates.0.bitPattern ^ rates.1.bitPattern << 1 ^ share.bitPattern << 2)
        return (0..<TestCounts.experiments).count { _ in alarm(&random) }
    }

    private func alarm(_ random: inout SplitMix64) -> Bool {
        func bound(_ p: Double) -> UInt64 { UInt64(p * 0x1p32) }
        let (first, rate1, rate2) = (bound(share), bound(rates.0), bound(rates.1))
        var (n1, x1, n2, x2) = (UInt64(0), UInt64(0), UInt64(0), UInt64(0))
        for user in 1...users {
            let bits = random.next()
            let isFirst: UInt64 = bits >> 32 < first ? 1 : 0
            let converts: UInt64 = bits & 0xFFFF_FFFF < (isFirst == 1 ? rate1 : rate2) ? 1 : 0
            n1 += isFirst
            n2 += 1 - isFirst
            x1 += converts & isFirst
            x2 += converts & (1 - isFirst)
            guard user % 100 == 0, let a = Proportion(x1, of: n1), let b = Proportion(x2, of: n2) else { continue }
            if let p = SequentialTest.pValue(TwoProportions(a, b)), p <= 0.05 { return true }
        }
        return false
    }
}

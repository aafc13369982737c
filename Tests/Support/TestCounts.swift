import Foundation

/// How much the slow, random suites do; the environment can ask for more or less.
package enum TestCounts {
    package static let histories = number("SLUICE_CASES", 100_000)
    /// Simulated experiments a setting.
    package static let experiments = number("SLUICE_EXPERIMENTS", 500)
    package static let kills = number("SLUICE_KILLS", 6)

    private static func number(_ name: String, _ fallback: Int) -> Int {
        ProcessInfo.processInfo.environment[name].flatMap(Int.init) ?? fallback
    }
}

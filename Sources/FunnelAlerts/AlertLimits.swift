import FunnelModel

/// Limits of alert rules and of what they leave behind. Errors name them.
package enum AlertLimits {
    /// Bytes of one rule as JSON.
    package static let documentBytes = 64 << 10
    package static let ruleIDBytes = 64
    package static let channels = 10
    /// Values of a breakdown that one rule evaluates.
    package static let groups = 100
    /// Bytes of a value's JSON text in states and notifications; a longer one is shortened.
    package static let groupBytes = 200
    /// Bytes of the sentence of an outcome, and of a name in it.
    package static let textBytes = 600
    package static let nameBytes = 60
    /// Weeks of a baseline.
    package static let weeks: ClosedRange<Int64> = 1...8
    package static let sample: ClosedRange<Int64> = 1...1_000_000_000
    package static let level: ClosedRange<Double> = 1e-9...0.05
    package static let within: ClosedRange<Microseconds> = 1_000_000...Limits.window
    package static let delay: ClosedRange<Microseconds> = 0...86_400_000_000
    package static let hold: ClosedRange<Microseconds> = 0...604_800_000_000
    package static let coolDown: ClosedRange<Microseconds> = 0...2_592_000_000_000
    /// Periods that are evaluated late, after a time without evaluation. Older ones are passed over.
    package static let latePeriods = 24
    /// Periods of one dry run.
    package static let dryPeriods = 10_000
    /// Groups of a state: those that are evaluated, and as many whose end was not notified yet.
    package static let stateGroups = 2 * groups
    /// Bytes of a state as JSON. The limits of its groups and texts keep it below.
    package static let stateBytes = 512 << 10
}

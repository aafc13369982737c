/// How long users took from one step of their chosen attempt to a later one.
package struct StepTimes: Equatable, Sendable {
    /// In ticks of the clock.
    package var times: TimeSummary
    /// Min and max time, in ticks; nil without users.
    package var range: ClosedRange<UInt64>?
    /// Users who reached the later step, but skipped one of the two.
    package var skipped: UInt64

    package init(times: TimeSummary = TimeSummary(), range: ClosedRange<UInt64>? = nil, skipped: UInt64 = 0) {
        self.times = times
        self.range = range
        self.skipped = skipped
    }

    /// Adds another shard's users.
    package mutating func merge(_ other: StepTimes) {
        times.merge(other.times)
        skipped += other.skipped
        guard let more = other.range else { return }
        range = range.map { min($0.lowerBound, more.lowerBound)...max($0.upperBound, more.upperBound) } ?? more
    }
}

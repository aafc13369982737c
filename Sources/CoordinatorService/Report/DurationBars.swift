import FunnelModel

/// Bars of a histogram of times, with edges at round durations.
struct DurationBars: Sendable {
    enum Scale: String, Sendable { case linear, log }

    let scale: Scale
    /// In ticks, ascending. A bar has its lower edge but not its upper one. After the last edge there may be one more bar, without
    /// an upper edge.
    let edges: [UInt64]

    /// Round durations in microseconds: 1, 2 and 5 times powers of ten up to 5 s, then parts and multiples of minutes, hours and
    /// days.
    private static let ladder: [UInt64] = {
        let small = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000].flatMap { [$0, 2 * $0, 5 * $0] }
        let minute = 60_000_000
        let minutes = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720].map { $0 * minute }
        let days = [1, 2, 7, 14, 30, 60, 90, 180, 365, 730, 1_825, 3_650, 7_300, 18_250, 36_500].map { $0 * 1_440 * minute }
        return (small + [10_000_000, 30_000_000] + minutes + days).map { UInt64($0) }
    }()

    /// Makes at most `bins` bars; nil if there are no times. They are linear up to the 99th percentile. If more than half of the
    /// users would be in the first of three bars or more, the edges are successive round durations instead.
    /// - Parameter tick: microseconds.
    init?(_ times: StepTimes, bins: Int, tick: UInt64) {
        guard let least = times.range?.lowerBound, let p99 = times.times.percentile(99).map({ UInt64($0) }) else { return nil }
        let ladder = Self.ladder.filter { $0 % tick == 0 }.map { $0 / tick }
        // One bar is kept for times beyond the last edge.
        let bars = UInt64(bins - 1)
        guard let width = ladder.first(where: { max(p99, least) / $0 - least / $0 < bars }) else { return nil }
        let start = least / width * width
        let linear = (0...((max(p99, least) - start) / width + 1)).map { start + $0 * width }
        let isCrowded = linear.count > 3 && 2 * times.times.count(below: linear[1]) > times.times.count
        scale = isCrowded ? .log : .linear
        let edges = isCrowded ? Self.logarithmic(ladder, least, p99, bars: Int(bars)) : linear
        self.edges = times.times.isExact ? edges : Self.cut(edges)
    }

    private static func logarithmic(_ ladder: [UInt64], _ least: UInt64, _ p99: UInt64, bars: Int) -> [UInt64] {
        let first = ladder.last { $0 <= least } ?? 0
        var edges = [first] + ladder.filter { $0 > first && $0 <= p99 }
        if let beyond = ladder.first(where: { $0 > p99 }) { edges.append(beyond) }
        let stride = (edges.count - 2) / bars + 1
        // The first edge, and every `stride`-th counted from the last.
        return edges.indices.filter { (edges.count - 1 - $0) % stride == 0 || $0 == 0 }.map { edges[$0] }
    }

    /// Moves the edges to borders of the time histogram's buckets, below which it can count.
    private static func cut(_ edges: [UInt64]) -> [UInt64] {
        var borders: [UInt64] = []
        for edge in edges.map({ TimeHistogram.least(of: TimeHistogram.bucket(of: $0)) }) where edge != borders.last { borders.append(edge) }
        return borders
    }

    /// Users in each bar; they add up to all.
    func bars(of times: TimeSummary) -> [(from: UInt64, to: UInt64?, users: UInt64)] {
        let below = edges.map { times.count(below: $0) }
        var bars: [(from: UInt64, to: UInt64?, users: UInt64)] = []
        for i in edges.indices.dropLast() { bars.append((edges[i], edges[i + 1], below[i + 1] - below[i])) }
        if let edge = edges.last, let known = below.last, known < times.count { bars.append((edge, nil, times.count - known)) }
        return bars
    }
}

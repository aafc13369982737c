import FunnelMatch
import FunnelModel
import Synchronization

extension ShardQuery {
    /// The outcomes of the same users in this funnel and in another one, in the same range (`FUNNEL.md` section 6, "Two
    /// funnels").
    package func paired(with second: FunnelDefinition) -> PairedScan {
        let plan = FunnelPlan(second, entryRange: self.plan.entryRange, asOf: self.plan.asOf)
        return PairedScan(self, with(plan))
    }
}

/// A running comparison of two funnels. Threads call `run` concurrently; call `finish` when all have returned. Memory: one byte
/// a user.
package final class PairedScan: Sendable {
    private let scans: [(attempts: ChosenAttemptsScan, steps: Int)]
    private let firstPlace: Int
    /// By place, the user's outcome in both funnels.
    private let marks: Mutex<[UInt8]>

    private static let entered: UInt8 = 1
    private static let converted: UInt8 = 2
    /// The second funnel's marks are this many bits above the first's.
    private static let shift: UInt8 = 2

    init(_ first: ShardQuery, _ second: ShardQuery) {
        scans = [first, second].map { ($0.chosenAttempts(), $0.plan.steps) }
        firstPlace = first.places.first?.lowerBound ?? 0
        marks = Mutex(Array(repeating: 0, count: (first.places.last?.upperBound ?? 0) - firstPlace))
    }

    /// Number of slices; more threads than that have no work.
    package var slices: Int { scans.reduce(0) { $0 + $1.attempts.slices } }

    /// Processes slices until none is left.
    /// - Parameter isCancelled: called once a slice, and within long histories.
    /// - Throws: `MatchError`, `StoreError`.
    package func run(isCancelled: () -> Bool) throws {
        for (i, scan) in scans.enumerated() {
            // All threads share the lock of `marks`, so each adds many users at once.
            var found: [(place: Int, mark: UInt8)] = []
            try scan.attempts.run(isCancelled: isCancelled) { attempt in
                let mark = attempt.depth == scan.steps ? Self.entered | Self.converted : Self.entered
                found.append((attempt.place - firstPlace, mark << (UInt8(i) * Self.shift)))
                if found.count == 4_096 { flush(&found) }
            }
            flush(&found)
        }
    }

    private func flush(_ found: inout [(place: Int, mark: UInt8)]) {
        marks.withLock { marks in
            for (place, mark) in found { marks[place] |= mark }
        }
        found.removeAll(keepingCapacity: true)
    }

    /// The counts, after all calls of `run` have returned.
    package func finish() -> PairedCounts {
        var users = [UInt64](repeating: 0, count: 16)
        marks.withLock { marks in
            for mark in marks { users[Int(mark & 15)] += 1 }
        }
        func count(_ first: UInt8, _ second: UInt8) -> UInt64 { users[Int(first | second << Self.shift)] }
        let (entered, converted) = (Self.entered, Self.entered | Self.converted)
        var pairs = PairedCounts()
        pairs.neither = count(entered, entered)
        pairs.firstOnly = count(converted, entered)
        pairs.secondOnly = count(entered, converted)
        pairs.both = count(converted, converted)
        pairs.aloneInFirst = .init(entered: count(entered, 0) + count(converted, 0), converted: count(converted, 0))
        pairs.aloneInSecond = .init(entered: count(0, entered) + count(0, converted), converted: count(0, converted))
        return pairs
    }
}

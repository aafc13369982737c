import ShardService
import Testing

/// Projects take turns at the disk; one that fills the memory rests, the others go on.
struct AppendTurnTests {
    /// A reference, since expectations can't change values.
    private final class Turns {
        private var turns: AppendTurns<String>
        init(bytesMax: Int, groupBytes: Int) { turns = AppendTurns(bytesMax: bytesMax, groupBytes: groupBytes) }

        var bytes: Int { turns.bytes }
        var rows: Int { turns.rows }

        func enter(_ append: String, project: UInt32, bytes: Int, rows: Int = 1) -> Bool {
            turns.enter(append, project: project, bytes: bytes, rows: rows)
        }

        func rest(_ project: UInt32, until instant: ContinuousClock.Instant) { turns.rest(project, until: instant) }

        func group(_ now: ContinuousClock.Instant) -> [String]? {
            if case .group(let appends, _) = turns.next(now) { appends } else { nil }
        }

        /// Nil where nothing waits; there must be nothing to write.
        func end(_ now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
            if case .rest(let end) = turns.next(now) { end } else { nil }
        }
    }

    private let start = ContinuousClock.now

    @Test func projectsTakeTurnsAndKeepTheirOrder() {
        let turns = Turns(bytesMax: 1_000, groupBytes: 20)
        for name in ["a1", "a2", "a3", "a4"] { #expect(turns.enter(name, project: 1, bytes: 10, rows: 2)) }
        #expect(turns.enter("b1", project: 2, bytes: 5))
        #expect(turns.bytes == 45 && turns.rows == 9)
        // The small one does not wait for the four that came before.
        #expect(turns.group(start) == ["a1", "b1"])
        #expect(turns.enter("b2", project: 2, bytes: 5))
        #expect(turns.group(start) == ["a2", "b2"])
        #expect(turns.group(start) == ["a3", "a4"])
        #expect(turns.group(start) == nil && turns.end(start) == nil)
        #expect(turns.bytes == 0 && turns.rows == 0)
    }

    @Test func anAppendLargerThanAGroupIsOne() {
        let turns = Turns(bytesMax: 1_000, groupBytes: 20)
        #expect(turns.enter("large", project: 1, bytes: 50) && turns.enter("small", project: 2, bytes: 1))
        #expect(turns.group(start) == ["large"])
        #expect(turns.group(start) == ["small"])
    }

    @Test func aProjectHasHalfOfTheRoom() {
        let turns = Turns(bytesMax: 100, groupBytes: 20)
        #expect(turns.enter("a1", project: 1, bytes: 40))
        #expect(!turns.enter("a2", project: 1, bytes: 20))
        #expect(turns.enter("a3", project: 1, bytes: 10))
        #expect(turns.enter("b1", project: 2, bytes: 50))
        #expect(!turns.enter("c1", project: 3, bytes: 1))
        #expect(turns.bytes == 100 && turns.rows == 3)
        // One that is larger than all the room is taken where nothing waits.
        let empty = Turns(bytesMax: 100, groupBytes: 20)
        #expect(empty.enter("huge", project: 1, bytes: 500) && !empty.enter("next", project: 1, bytes: 1))
    }

    @Test func whoRestsHoldsUpNobody() {
        let turns = Turns(bytesMax: 1_000, groupBytes: 20)
        let (soon, later) = (start + .milliseconds(100), start + .milliseconds(300))
        turns.rest(1, until: soon)
        turns.rest(3, until: later)
        #expect(turns.enter("a1", project: 1, bytes: 1) && turns.enter("c1", project: 3, bytes: 1))
        #expect(turns.end(start) == soon)
        #expect(turns.enter("b1", project: 2, bytes: 1))
        #expect(turns.group(start) == ["b1"])
        #expect(turns.end(start) == soon)
        #expect(turns.group(soon) == ["a1"])
        #expect(turns.end(soon) == later)
        #expect(turns.group(later) == ["c1"])
        #expect(turns.end(later) == nil)
    }
}

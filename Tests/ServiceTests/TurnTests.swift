import ServiceRuntime
import Testing

/// Projects take turns on a shard's threads.
struct TurnTests {
    private static func scan(_ ticket: UInt64, _ project: UInt32, _ since: ContinuousClock.Instant) -> ProjectTurns.Work {
        ProjectTurns.Work(ticket: ticket, project: project, since: since)
    }

    @Test func aProjectGivesAThreadToAnother() {
        let start = ContinuousClock.now
        var turns = ProjectTurns(places: 2, begunMax: 8)
        #expect(turns.enter(Self.scan(1, 1, start)).map(\.ticket) == [1])
        #expect(turns.enter(Self.scan(2, 1, start)).map(\.ticket) == [2])
        #expect(turns.enter(Self.scan(3, 1, start)).isEmpty)
        // Its own others wait for a whole turn.
        #expect(!turns.shouldGiveWay(1, start + .milliseconds(10)))
        #expect(turns.enter(Self.scan(4, 2, start)).isEmpty)
        #expect(turns.shouldGiveWay(1, start + .milliseconds(10)))
        #expect(turns.giveWay(1, start + .milliseconds(10)) {}.map(\.ticket) == [4])
        // Now each has its half.
        #expect(!turns.shouldGiveWay(2, start + .milliseconds(20)))
        #expect(!turns.shouldGiveWay(4, start + .milliseconds(20)))
        // The first goes on where it stood, in its turn.
        #expect(turns.leave(4, start + .milliseconds(30)).map(\.ticket) == [3])
        #expect(turns.shouldGiveWay(2, start + .milliseconds(60)))
        #expect(turns.giveWay(2, start + .milliseconds(60)) {}.map(\.ticket) == [1])
        #expect(turns.leave(3, start + .milliseconds(61)).map(\.ticket) == [2])
        #expect(turns.leave(1, start + .milliseconds(62)).isEmpty && turns.leave(2, start + .milliseconds(63)).isEmpty)
    }

    @Test func scansThatStandStillHoldThreadsButNotAll() {
        let start = ContinuousClock.now
        var turns = ProjectTurns(places: 1, begunMax: 2)
        #expect(turns.enter(Self.scan(1, 1, start)).count == 1)
        #expect(turns.enter(Self.scan(2, 2, start)).isEmpty && turns.enter(Self.scan(3, 3, start)).isEmpty)
        #expect(turns.giveWay(1, start + .milliseconds(60)) {}.map(\.ticket) == [2])
        // The third can't begin: two have.
        #expect(turns.giveWay(2, start + .milliseconds(120)) {}.map(\.ticket) == [1])
        #expect(turns.leave(1, start + .milliseconds(130)).map(\.ticket) == [3])
        #expect(turns.withdraw(2)?.ticket == 2 && turns.withdraw(2) == nil)
    }
}

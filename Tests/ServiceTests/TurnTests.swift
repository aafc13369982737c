import ServiceRuntime
import Testing

/// Projects take turns on a shard's threads, and light scans go before heavy ones.
struct TurnTests {
    private static func scan(_ ticket: UInt64, _ project: UInt32, isHeavy: Bool = false, _ since: ContinuousClock.Instant)
        -> ProjectTurns.Work
    {
        ProjectTurns.Work(ticket: ticket, project: project, isHeavy: isHeavy, since: since)
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

    @Test(arguments: [1, 2, 4])
    func lightScansGoBeforeHeavyOnes(places: Int) {
        let start = ContinuousClock.now
        var turns = ProjectTurns(places: places, begunMax: 8)
        let heavy = (1...UInt64(places)).map { turns.enter(Self.scan($0, 1, isHeavy: true, start)) }
        #expect(heavy.allSatisfy { $0.count == 1 })
        #expect(turns.enter(Self.scan(10, 1, isHeavy: true, start)).isEmpty)
        #expect(turns.enter(Self.scan(11, 1, start)).isEmpty)
        #expect(turns.shouldGiveWay(1, start + .milliseconds(6)))
        #expect(turns.giveWay(1, start + .milliseconds(6)) {}.map(\.ticket) == [11])
        #expect(!turns.shouldGiveWay(2, start + .milliseconds(6)))
        // Whoever has waited long enough has a turn all the same.
        #expect(turns.enter(Self.scan(12, 1, start + .milliseconds(6))).isEmpty)
        let woken = turns.leave(11, start + .seconds(2))
        #expect(woken.map(\.ticket) == [10])
    }

    @Test func workThatDoesNotPauseLeavesAPlace() {
        let start = ContinuousClock.now
        func unpaused(_ ticket: UInt64) -> ProjectTurns.Work {
            ProjectTurns.Work(ticket: ticket, project: 1, isHeavy: true, isUnpaused: true, since: start)
        }
        var turns = ProjectTurns(places: 2, begunMax: 8)
        #expect(turns.enter(unpaused(1)).count == 1)
        #expect(turns.enter(unpaused(2)).isEmpty)
        // A scan that pauses takes the other place, and gives it to whoever comes.
        #expect(turns.enter(Self.scan(3, 1, isHeavy: true, start)).count == 1)
        #expect(turns.enter(Self.scan(4, 2, start)).isEmpty)
        #expect(turns.giveWay(3, start + .milliseconds(6)) {}.map(\.ticket) == [4])
        #expect(turns.leave(4, start + .milliseconds(7)).map(\.ticket) == [3])
        #expect(turns.leave(1, start + .milliseconds(8)).map(\.ticket) == [2])
        // Where there is one place, it has that.
        var single = ProjectTurns(places: 1, begunMax: 8)
        #expect(single.enter(unpaused(1)).count == 1)
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

import ServiceRuntime
import Testing

/// `ProjectTurns` under any order of events: what always holds. Its rules one by one: `TurnTests`.
struct ProjectTurnsTests {
    /// The numbers of a linear congruential generator (D. Knuth, "The Art of Computer Programming", MMIX).
    private struct Numbers {
        var state: UInt64
        mutating func below(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
    }

    /// Works as they come and go, beside a plain list of what they do.
    private struct World {
        var turns: ProjectTurns
        var now: ContinuousClock.Instant
        var running: Set<UInt64> = []
        var waiting: Set<UInt64> = []
        /// Tickets that have begun and not ended.
        var begun: Set<UInt64> = []
        var last: UInt64 = 0

        mutating func wake(_ woken: [ProjectTurns.Work]) {
            for work in woken {
                let waited = waiting.remove(work.ticket)
                #expect(waited != nil, "\(work.ticket) was woken and did not wait")
                running.insert(work.ticket)
                begun.insert(work.ticket)
            }
        }

        mutating func enter(_ project: UInt32) {
            last += 1
            waiting.insert(last)
            wake(turns.enter(.init(ticket: last, project: project, since: now)))
        }

        mutating func leave(_ ticket: UInt64) {
            running.remove(ticket)
            begun.remove(ticket)
            wake(turns.leave(ticket, now))
        }

        mutating func giveWay(_ ticket: UInt64) {
            running.remove(ticket)
            waiting.insert(ticket)
            wake(turns.giveWay(ticket, now) {})
        }

        mutating func withdraw(_ ticket: UInt64) {
            let withdrawn = turns.withdraw(ticket)
            #expect(withdrawn?.ticket == ticket)
            waiting.remove(ticket)
        }
    }

    @Test(arguments: [(1, 1), (1, 3), (2, 2), (2, 8), (3, 5), (8, 8)])
    func nobodyIsLostAndNoPlaceIsLeftEmpty(places: Int, begunMax: Int) {
        var numbers = Numbers(state: UInt64(places * 100 + begunMax))
        var world = World(turns: ProjectTurns(places: places, begunMax: begunMax), now: .now)
        for step in 0..<4_000 {
            world.now += .milliseconds(numbers.below(40))
            let running = world.running.sorted()
            switch numbers.below(10) {
            case 0..<4 where world.waiting.count < 30:
                world.enter(UInt32(numbers.below(4)))
            case 4..<7 where !running.isEmpty:
                let ticket = running[numbers.below(running.count)]
                if world.turns.shouldGiveWay(ticket, world.now) { world.giveWay(ticket) }
            case 7 where !world.waiting.subtracting(world.begun).isEmpty:
                let new = world.waiting.subtracting(world.begun).sorted()
                world.withdraw(new[numbers.below(new.count)])
            default:
                if !running.isEmpty { world.leave(running[numbers.below(running.count)]) }
            }
            #expect(Set(world.turns.running.map(\.ticket)) == world.running && Set(world.turns.waiting.map(\.ticket)) == world.waiting)
            #expect(world.running.count <= places && world.begun.count <= begunMax, "step \(step)")
            guard world.running.count < places else { continue }
            // Work that waits beside an empty place cannot begin.
            let ready = world.waiting.filter { world.begun.contains($0) || world.begun.count < begunMax }
            #expect(ready.isEmpty, "step \(step): \(ready) wait beside \(places - world.running.count) empty places")
        }
        while let ticket = world.running.min() {
            world.now += .milliseconds(10)
            world.leave(ticket)
        }
        #expect(world.waiting.isEmpty && world.begun.isEmpty)
    }

    /// However many works of its own a project has in line, each project is served as often.
    @Test(arguments: [1, 2, 4])
    func projectsAreServedAsOftenAsEachOther(places: Int) {
        var world = World(turns: ProjectTurns(places: places, begunMax: 64), now: .now)
        var projects: [UInt64: UInt32] = [:]
        var served: [UInt32: Int] = [:]
        func enter(_ project: UInt32) {
            projects[world.last + 1] = project
            world.enter(project)
        }
        for project in 1...5 as ClosedRange<UInt32> {
            for _ in 0..<Int(project) * 3 { enter(project) }
        }
        for _ in 0..<500 {
            // What has run for longest ends.
            guard let ticket = world.turns.running.first?.ticket, let project = projects[ticket] else { break }
            world.now += .milliseconds(50)
            served[project, default: 0] += 1
            world.leave(ticket)
            enter(project)
        }
        #expect(served.values.reduce(0, +) == 500)
        let (fewest, most) = (served.values.min() ?? 0, served.values.max() ?? 0)
        #expect(served.count == 5 && most - fewest <= places, "\(served)")
    }
}

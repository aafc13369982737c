import EventStorage
import FunnelModel
import Testing

/// Which rows are one event.
struct IdentityRuleTests {
    /// Whether the copies meet in one batch, one memtable or in segments must not matter.
    enum Spread: CaseIterable { case oneBatch, oneGroup, runs, segments, segmentAndRun }

    private func stored(_ events: [Event], _ spread: Spread) throws -> [Event] {
        let store = try openStore(SimulatedFileSystem())
        switch spread {
        case .oneBatch: _ = try store.put([request(events, sequence: 1)])
        case .oneGroup:
            _ = try store.put(events.enumerated().map { request([$1], sequence: UInt64($0)) })
        case .runs, .segments, .segmentAndRun:
            for (i, event) in events.enumerated() {
                _ = try store.put([request([event], sequence: UInt64(i))])
                if spread == .segments || (spread == .segmentAndRun && i == 0) { try store.seal() }
            }
        }
        // Counting reads no ids where no two rows tie.
        let view = try store.view(project: 1)
        var bare = 0
        try view.scan { rows in
            bare += rows.count
            return true
        }
        let all = try view.allEvents()
        #expect(bare == all.count)
        return all
    }

    @Test(arguments: Spread.allCases)
    func equalIDsAreOneEventAndTheFirstDurableCopyStands(spread: Spread) throws {
        let copies = [3, 1, 2].map { event("u", "a", 5, id: "x", p: $0) }
        #expect(try stored(copies, spread) == [copies[0]])
    }

    @Test(arguments: Spread.allCases)
    func anotherTimeNameOrUserIsAnotherEvent(spread: Spread) throws {
        let events = [
            event("u", "a", 5, id: "x"), event("u", "a", 6, id: "x"), event("u", "b", 6, id: "x"),
            event("v", "a", 5, id: "x"),
        ]
        #expect(try stored(events, spread) == events)
    }

    @Test(arguments: Spread.allCases)
    func rowsWithoutIDAreNeverMerged(spread: Spread) throws {
        let events = [event("u", "a", 5, p: 1), event("u", "a", 5, p: 1), event("u", "a", 5, p: 2)]
        #expect(try stored(events, spread) == events)
    }

    @Test(arguments: Spread.allCases)
    func ofServerTimedCopiesTheSmallestTimeStands(spread: Spread) throws {
        let copies = [9, 4, 7].map { event("u", "a", $0, id: "x", serverTimed: true, p: $0) }
        #expect(try stored(copies, spread) == [copies[1]])
    }

    @Test(arguments: Spread.allCases)
    func serverTimedCopiesDoNotTouchClientTimedOnes(spread: Spread) throws {
        let events = [
            event("u", "a", 4, id: "x", serverTimed: true), event("u", "a", 9, id: "x", serverTimed: true),
            event("u", "a", 9, id: "x"), event("u", "a", 9, serverTimed: true), event("u", "a", 10, serverTimed: true),
        ]
        #expect(try stored(events, spread) == [events[0], events[3], events[2], events[4]])
    }

    @Test func orderIsByTimeThenNameThenIDThenProperties() throws {
        let events = [
            event("u", "a", 1, p: 1), event("u", "a", 1, p: 2), event("u", "a", 1, id: "i"), event("u", "b", 1),
            event("u", "a", 2), event("v", "a", 0),
        ]
        for spread in Spread.allCases { #expect(try stored(events.reversed(), spread) == events) }
    }
}

import EventStorage
import FunnelModel
import Synchronization
import Testing

/// What keeps a write key from spoiling a project, and what frees its names.
struct NameLimitTests {
    private final class Clock: Sendable {
        private let seconds = Mutex<UInt64>(1_700_000_000)
        var now: UInt64 { seconds.withLock { $0 } }
        func go(_ more: Int) { seconds.withLock { $0 = UInt64(Int($0) + more) } }
    }

    private static func options(_ clock: Clock, perHour: Int = 10, free: Int = 5) -> StoreOptions {
        var options = StoreOptions()
        options.newNamesPerHour = perHour
        options.namesWithoutRate = free
        options.now = { clock.now }
        return options
    }

    /// Events of new names, from `first` on, each with a key of its own.
    private static func flood(_ first: Int, _ count: Int) -> [Event] {
        (first..<(first + count)).map {
            Event(
                user: "u", name: ByteString("n\($0)"), time: 1, id: ByteString("\($0)"),
                properties: [.init(ByteString("k\($0)"), .bool(true))])
        }
    }

    private static func put(_ store: SimulatedStore, _ events: [Event], _ sequence: UInt64, free: Bool = false, project: UInt32 = 1) throws
        -> AppendResult
    {
        var request = request(events, sequence: sequence, project: project)
        request.isNameRateFree = free
        return try #require(try store.put([request]).first).get()
    }

    @Test func newNamesAreSlowAfterTheFirst() throws {
        let clock = Clock()
        let disk = SimulatedFileSystem()
        let store = try openStore(disk, testIdentity, Self.options(clock))
        // Five are free, and an hour's worth may come at once.
        let first = try Self.put(store, Self.flood(0, 40), 1)
        #expect(first == AppendResult(accepted: 15, rejected: (15..<40).map { RejectedRow(row: $0, code: .eventNamesTooFast) }))
        // Ten an hour are one in six minutes.
        clock.go(359)
        #expect(try Self.put(store, Self.flood(40, 3), 2).accepted == 0)
        clock.go(1)
        #expect(try Self.put(store, Self.flood(40, 3), 3).accepted == 1)
        // What is known costs nothing, and another project has a rate of its own.
        #expect(try Self.put(store, Self.flood(0, 15), 4).accepted == 15)
        #expect(try Self.put(store, Self.flood(0, 40), 5, project: 2).accepted == 15)
        // No more than an hour's worth is ever saved up; a clock that steps back keeps nobody waiting for longer than that.
        clock.go(100_000)
        #expect(try Self.put(store, Self.flood(100, 40), 6).accepted == 10)
        clock.go(-50_000)
        #expect(try Self.put(store, Self.flood(200, 40), 7).accepted == 0)
        clock.go(3_600)
        #expect(try Self.put(store, Self.flood(200, 40), 8).accepted == 10)
        // An operator's import.
        #expect(try Self.put(store, Self.flood(300, 40), 9, free: true).accepted == 40)
        // The first answer stands, however many may come by now, and after replay.
        clock.go(3_000)
        let again = try openStore(disk.copy(), testIdentity, Self.options(clock))
        for store in [store, again] {
            var repeated = first
            repeated.repeated = true
            #expect(try Self.put(store, Self.flood(0, 40), 1) == repeated)
        }
        let names = try Set(store.view(project: 1).eventNames())
        #expect(try names.count == 76 && Set(again.view(project: 1).eventNames()) == names && again.names(project: 1).events == names)
    }

    @Test func propertiesOfNewKeysAreLeftOutAndTheirEventsStay() throws {
        let clock = Clock()
        let disk = SimulatedFileSystem()
        let store = try openStore(disk, testIdentity, Self.options(clock, perHour: 2, free: 3))
        let events = (0..<9).map {
            Event(
                user: "u", name: "e", time: Int64($0),
                properties: [.init(ByteString("k\($0)"), .string(ByteString("v\($0)"))), .init("k0", .integer(1))])
        }
        #expect(try Self.put(store, events, 1).accepted == 9)
        #expect(store.stats.propertiesLeftOut == 4 && store.stats.rejectedRows.isEmpty)
        func keys(_ store: SimulatedStore) throws -> [String] {
            try store.view(project: 1).allEvents().map { $0.properties.map(\.key.string).joined(separator: " ") }
        }
        let wanted = ["k0", "k0 k1", "k0 k2", "k0 k3", "k0 k4", "k0", "k0", "k0", "k0"]
        #expect(try keys(store) == wanted)
        #expect(store.names(project: 1).properties == ["k0", "k1", "k2", "k3", "k4"])
        try store.seal()
        #expect(try keys(store) == wanted)
        store.close()
        #expect(try keys(openStore(disk.copy())) == wanted)
    }

    /// Of two equal events the first durable copy stands, with or without its property.
    @Test(arguments: [false, true])
    func anEventWithoutItsPropertyStaysEqualToItsRepeats(sealed: Bool) throws {
        let disk = SimulatedFileSystem()
        var options = StoreOptions()
        options.propertyKeysMax = 1
        let store = try openStore(disk, testIdentity, options)
        _ = try Self.put(store, [event("u", "a", 1, id: "x", p: 1)], 1)
        let other = Event(user: "u", name: "a", time: 2, id: "y", properties: [.init("q", .integer(1))])
        #expect(try Self.put(store, [other], 2).accepted == 1)
        if sealed { try store.seal() }
        store.close()
        options.propertyKeysMax = 2
        let again = try openStore(disk, testIdentity, options)
        #expect(try Self.put(again, [other], 3).accepted == 1)
        let stands = [event("u", "a", 1, id: "x", p: 1), Event(user: "u", name: "a", time: 2, id: "y", properties: [])]
        #expect(try again.view(project: 1).allEvents() == stands)
        try again.seal()
        try again.compact(everything: true)
        #expect(try again.view(project: 1).allEvents() == stands)
    }

    @Test func theOperatorIsToldOnceBeforeALimit() throws {
        let notes = Mutex<[StoreNote]>([])
        var options = StoreOptions()
        options.eventNamesMax = 10
        options.propertyKeysMax = 20
        options.onNote = { note in notes.withLock { $0.append(note) } }
        let disk = SimulatedFileSystem()
        let store = try openStore(disk, testIdentity, options)
        _ = try Self.put(store, Self.flood(0, 7), 1)
        #expect(notes.withLock { $0 }.isEmpty)
        for next in 7..<12 { _ = try Self.put(store, Self.flood(next, 1), UInt64(next)) }
        #expect(notes.withLock { $0 } == [.nearLimit(project: 1, .eventNames, count: 8, most: 10)])
        #expect(
            store.stats.mostEventNames == 10 && store.stats.mostPropertyKeys == 10 && store.stats.rejectedRows == [.tooManyEventNames: 2])
        _ = try openStore(disk.copy(), testIdentity, options)
        #expect(notes.withLock { $0 }.last == .nearLimit(project: 1, .eventNames, count: 10, most: 10))
    }

    // MARK: - Freeing names

    /// Names `a` to `e` in two projects and two months, suppressed users and repeats among them, sealed in part.
    private static func filled(_ disk: SimulatedFileSystem) throws -> SimulatedStore {
        let store = try openStore(disk)
        for batch in 0..<6 {
            var events: [Event] = []
            for i in 0..<60 {
                let time = (i % 2 == 0 ? 1_700_000_000_000_000 : 1_702_000_000_000_000) + Int64(batch * 100 + i)
                let name = ["a", "b", "c", "d", "e"][(i + batch) % 5]
                events.append(
                    Event(
                        user: ByteString("u\(i % 7)"), name: ByteString(name), time: time,
                        id: i % 3 == 0 ? "" : ByteString("\(batch / 2)-\(i)"),
                        properties: [.init(ByteString("of \(name)"), .integer(Int64(i))), .init("all", .string(ByteString("x\(i % 4)")))]))
            }
            for project: UInt32 in [1, 2] { _ = try store.put([request(events, sequence: UInt64(batch), project: project)]) }
            if batch == 1 { try store.suppress(project: 1, users: ["u3"]) }
            if batch % 2 == 1, batch < 5 { try store.seal() }
        }
        return store
    }

    private static func kept(_ store: SimulatedStore, _ project: UInt32 = 1) throws -> [History] {
        try store.view(project: project).histories(events: ["a", "c", "e"])
    }

    @Test func droppingNamesLeavesAllElseAndFreesThem() throws {
        let disk = SimulatedFileSystem()
        var store = try Self.filled(disk)
        try store.seal()
        let (one, two) = (try Self.kept(store), try store.view(project: 2).histories())
        let wanted: Set<ByteString> = ["b", "d", "nobody's"]
        let before = try store.view(project: 1).allEvents().count
        let found = try store.events(ofNames: wanted, project: 1)
        #expect(
            found.map(\.project) == [1] && found.first?.names == ["b", "d"]
                && found.first?.rows == before - one.reduce(0) { $0 + $1.events.count })
        #expect(try store.events(ofNames: wanted, project: nil).map(\.project) == [1, 2])
        #expect(try store.events(ofNames: ["nobody's"], project: nil).isEmpty)
        #expect(try store.view(project: 1).allEvents().count == before)
        #expect(try store.drop(eventNames: wanted, project: 1) == found)
        for round in 0..<3 {
            #expect(try Self.kept(store) == one && store.view(project: 1).histories() == one)
            #expect(try store.view(project: 2).histories() == two)
            #expect(try store.view(project: 1).eventNames() == ["a", "c", "e"])
            #expect(
                store.names(project: 1).events == ["a", "c", "e"] && store.names(project: 1).properties == ["all", "of a", "of c", "of e"])
            if round == 0 { try store.compact(everything: true) }
            if round == 1 {
                store.close()
                #expect(StoreVerifier.verify(directory: "data", files: disk) { _ in })
                store = try openStore(disk)
            }
        }
        #expect(try store.drop(eventNames: wanted, project: 1).isEmpty)
        // A repeat of what was dropped is one still; the name is free for others.
        #expect(try Self.put(store, [event("u", "b", 1_700_000_000_000_000)], 77).accepted == 1)
        #expect(try store.view(project: 1).eventNames() == ["a", "b", "c", "e"])
        // All names, so that whole segments go.
        _ = try store.drop(eventNames: ["a", "b", "c", "d", "e"], project: nil)
        #expect(store.stats.segments == 0 && store.stats.segmentRows == 0)
        store.close()
        #expect(try openStore(disk).view(project: 2).histories().isEmpty)
    }

    /// Whatever a crash leaves opens, has all of the other names, and the same command finishes the work.
    @Test(arguments: [UInt64(1), 2])
    func droppingNamesMayCrash(seed: UInt64) throws {
        let disk = SimulatedFileSystem()
        let store = try Self.filled(disk)
        let one = try Self.kept(store)
        let start = disk.trace.count
        _ = try store.drop(eventNames: ["b", "d"], project: 1)
        let trace = disk.trace
        for steps in stride(from: start, through: trace.count, by: 2) {
            let (crashed, _) = SimulatedFileSystem.crashed(trace[..<steps], .mixed(seed &* 1_000 &+ UInt64(steps)))
            let again = try openStore(crashed)
            #expect(try Self.kept(again) == one, "\(steps) steps")
            _ = try again.drop(eventNames: ["b", "d"], project: 1)
            #expect(try again.view(project: 1).histories() == one, "\(steps) steps")
            again.close()
            #expect(StoreVerifier.verify(directory: "data", files: crashed) { _ in }, "\(steps) steps")
        }
    }
}

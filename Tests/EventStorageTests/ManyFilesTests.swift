import EventStorage
import FunnelModel
import Synchronization
import Testing

/// Many months and projects: what is written is what was there, and few files are mapped.
struct ManyFilesTests {
    /// The first microsecond of a month after January 1971.
    private static func start(_ month: Int) -> Int64 {
        Timestamp.days(year: Int64(1_971 + month / 12), month: Int64(month % 12 + 1), day: 1) * 86_400_000_000
    }

    @Test func aSealDealsRowsToEveryMonth() throws {
        let months = 671
        var events: [Event] = []
        for i in 0..<8_000 {
            let month = i * 7_919 % months
            // The first and the last moment of a month are its own.
            let time = i % 3 == 0 ? Self.start(month) : i % 3 == 1 ? Self.start(month + 1) - 1 : Self.start(month) + Int64(i) * 1_000_000
            events.append(event("u\(i % 97)", i % 5 == 0 ? "a" : "b\(i % 11)", time, id: i % 4 == 0 ? "id\(i % 50)" : "", p: Int64(i % 13)))
        }
        let disk = SimulatedFileSystem()
        let store = try openStore(disk)
        for (sequence, start) in stride(from: 0, to: events.count, by: 37).enumerated() {
            _ = try store.append([request(Array(events[start..<min(events.count, start + 37)]), sequence: UInt64(sequence))])
        }
        let before = try store.view(project: 1).histories()
        try store.seal()
        #expect(store.stats.segments == months && store.stats.memtableRows == 0 && store.stats.memtableBytes == 0)
        #expect(try store.view(project: 1).histories() == before)
        store.close()
        #expect(StoreVerifier.verify(directory: "data", files: disk) { _ in })
        #expect(try openStore(disk).view(project: 1).histories() == before)
    }

    @Test func fewFilesAreMappedHoweverManyThereAre() throws {
        let directory = try TemporaryDirectory()
        var options = StoreOptions()
        options.mappingsMax = 8
        let store = try ShardStore.open(
            directory: directory.path + "/shard", files: POSIXFileSystem(), identity: testIdentity, options: options)
        for project in 1...20 {
            let events = (0..<30).map { event("u", "e", Self.start($0) + Int64(project), id: "i") }
            _ = try store.append([request(events, sequence: UInt64(project), project: UInt32(project))])
        }
        try store.seal()
        #expect(store.stats.segments == 600 && store.stats.mappings == 0)
        for project in 1...20 {
            #expect(try store.view(project: UInt32(project)).allEvents().count == 30)
            #expect(store.stats.mappings <= 8)
        }
    }

    /// A view reads files that a merge has replaced; they go with it.
    @Test func aSnapshotKeepsItsFiles() throws {
        let directory = try TemporaryDirectory()
        var options = StoreOptions()
        options.mappingsMax = 1
        let store = try ShardStore.open(
            directory: directory.path + "/shard", files: POSIXFileSystem(), identity: testIdentity, options: options)
        for number in 0..<3 {
            _ = try store.append([request([event("u", "e", Self.start(0) + Int64(number))], sequence: UInt64(number))])
            try store.seal()
        }
        func segments() throws -> Int { try POSIXFileSystem().list(directory.path + "/shard").count { $0.hasPrefix("seg-") } }
        var view: StoreView? = try store.view(project: 1)
        try store.compact(everything: true)
        #expect(store.stats.segments == 1)
        #expect(try segments() == 4)
        #expect(try view?.allEvents().count == 3)
        view = nil
        #expect(try segments() == 1)
        #expect(try store.view(project: 1).allEvents().count == 3)
    }

    @Test(arguments: [false, true])
    func noMergeExceedsItsLimit(everything: Bool) throws {
        var options = StoreOptions()
        options.sealRows = 4
        options.segmentRowsMax = 11
        let disk = SimulatedFileSystem()
        let store = try openStore(disk, testIdentity, options)
        for number in 0..<30 {
            let events = (0..<4).map { event("u\($0)", "e", Self.start(0) + Int64(number), id: "\(number)-\($0)") }
            _ = try store.append([request(events, sequence: UInt64(number))])
            try store.seal()
            while store.mergeIfDue(isIdle: true) {}
        }
        if everything { try store.compact(everything: true) }
        #expect(store.stats.segmentRows == 120)
        // Two of four rows fit into one, and three don't.
        #expect(store.stats.segments >= 15 && (!everything || store.stats.segments <= 20))
        #expect(try store.view(project: 1).allEvents().count == 120)
    }

    /// What appends and queries wait for is not left to a thread that may get no time.
    @Test func theTurnsOfSealsAndMergesAreUrgent() throws {
        let calls = Mutex(0)
        var options = StoreOptions()
        options.urgently = { body in
            calls.withLock { $0 += 1 }
            body()
        }
        let store = try openStore(SimulatedFileSystem(), testIdentity, options)
        _ = try store.append([request([event("u", "e", 1)], sequence: 1)])
        try store.seal()
        #expect(calls.withLock { $0 } == 2)
        _ = try store.append([request([event("v", "e", 1)], sequence: 2)])
        try store.seal()
        try store.compact(everything: true)
        #expect(store.stats.segments == 1 && store.stats.userFiles == 1)
        #expect(calls.withLock { $0 } == 6)
    }
}

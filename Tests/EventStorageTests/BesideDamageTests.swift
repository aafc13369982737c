import EventStorage
import FunnelModel
import Glibc
import Synchronization
import Testing

/// A damaged file stops what it is a part of, is told once, and ends nothing.
struct BesideDamageTests {
    private final class Notes: Sendable {
        let all = Mutex<[StoreNote]>([])
        var damaged: [String] { all.withLock { $0.compactMap { if case .damaged(let file) = $0 { file.name } else { nil } } } }
        var failed: [StoreNote.Work] { all.withLock { $0.compactMap { if case .failed(let work, _) = $0 { work } else { nil } } } }
    }

    private static let january: Int64 = 1_767_225_600_000_000
    private static let march: Int64 = january + 60 * 86_400_000_000

    private static func options(_ notes: Notes) -> StoreOptions {
        var options = StoreOptions()
        options.sealRows = 4
        options.onNote = { note in notes.all.withLock { $0.append(note) } }
        return options
    }

    /// Seals four rows of each month.
    private static func seal(_ store: SimulatedStore, _ number: Int) throws {
        for (i, month) in [january, march].enumerated() {
            let events = (0..<4).map { event("u\($0)", "e", month + Int64(number), id: "\(i)-\(number)-\($0)") }
            _ = try store.append([request(events, sequence: UInt64(2 * number + i))])
        }
        try store.seal()
    }

    @Test func mergesGoOnBesideADamagedSegment() throws {
        let notes = Notes()
        let disk = SimulatedFileSystem()
        let store = try openStore(disk, testIdentity, Self.options(notes))
        for number in 0..<3 { try Self.seal(store, number) }
        // The second segment of January.
        let name = try #require(disk.files.keys.filter { $0.hasPrefix("seg-") }.sorted().dropFirst(2).first)
        disk.change(name) { $0[60] ^= 1 }
        for number in 3..<8 { try Self.seal(store, number) }
        while store.mergeIfDue(isIdle: true) {}
        #expect(notes.damaged == [name])
        #expect(store.stats.damagedFiles == 1 && store.damagedFiles.first?.month == 12 * 2026 && store.damagedFiles.first?.project == 1)
        #expect(store.damagedFiles.first?.reason.contains("\(name) at offset") == true)
        // March is one; of January those before and those behind the damage.
        #expect(store.stats.segments == 4 && store.stats.segmentRows == 64, "\(store.stats)")
        let failures = store.stats.failedMerges
        #expect(failures == 1 && notes.failed.isEmpty)
        // A query of the file fails, and is told to nobody twice; one of other months' data would too, as they are one project.
        let error = #expect(throws: StoreError.self) { try store.view(project: 1).allEvents() }
        #expect(error?.code == .corrupt)
        for number in 8..<20 { try Self.seal(store, number) }
        while store.mergeIfDue(isIdle: true) {}
        #expect(store.stats.segments == 4 && store.stats.failedMerges == failures && notes.damaged == [name])
        // Mended, as by a copy from elsewhere, all is there, in order.
        disk.change(name) { $0[60] ^= 1 }
        store.close()
        let again = try openStore(disk, testIdentity, Self.options(notes))
        #expect(try again.view(project: 1).allEvents().count == 160)
        try again.compact(everything: true)
        #expect(again.stats.segments == 2 && again.stats.damagedFiles == 0)
    }

    @Test func aQueryThatMeetsDamageTellsIt() throws {
        let notes = Notes()
        let disk = SimulatedFileSystem()
        let store = try openStore(disk, testIdentity, Self.options(notes))
        try Self.seal(store, 0)
        let name = try #require(disk.files.keys.filter { $0.hasPrefix("seg-") }.sorted().first)
        disk.change(name) { $0.removeLast(100) }
        for _ in 0..<2 { #expect(throws: StoreError.self) { try store.view(project: 1).allEvents() } }
        #expect(notes.damaged == [name] && store.stats.damagedFiles == 1)
        disk.change(name) { $0 = [] }
        #expect(throws: StoreError.self) { try store.view(project: 1).allEvents() }
        try disk.remove(name)
        let error = #expect(throws: StoreError.self) { try store.view(project: 1).allEvents() }
        #expect(error?.code == .corrupt && !store.stats.poisoned)
    }

    @Test func workThatFailsIsToldOnceForItsReason() throws {
        let notes = Notes()
        let disk = SimulatedFileSystem()
        var options = Self.options(notes)
        options.reserveBytes = 1_000
        let store = try openStore(disk, testIdentity, options)
        for number in 0..<4 { try Self.seal(store, number) }
        disk.setFree(999)
        for number in 0..<5 {
            #expect(throws: StoreError.self) {
                try store.append([request([event("u", "e", Self.january)], sequence: UInt64(100 + number))])
            }
            disk.setFree(UInt64(900 + number))
            _ = store.mergeIfDue()
        }
        #expect(notes.failed == [.append, .merge])
        #expect(store.stats.appendsRefusedForSpace == 5 && store.freeBytes == 904)
    }

    @Test func theAgeOfWhatIsNotSealedIsKnown() throws {
        let store = try openStore(SimulatedFileSystem())
        #expect(store.stats.unsealedSince == nil)
        let before = ContinuousClock.now
        _ = try store.append([request([event("u", "e", 1)], sequence: 1)])
        let first = try #require(store.stats.unsealedSince)
        #expect(first >= before && first <= .now)
        _ = try store.append([request([event("u", "e", 1)], sequence: 2)])
        #expect(store.stats.unsealedSince == first)
        try store.seal()
        #expect(store.stats.unsealedSince == nil && store.stats.lastSeal > .zero)
    }

    /// A segment that does not open costs its project its reports, and nothing else; put back, all is there.
    @Test(arguments: ["gone", "cut", "footer"])
    func aSegmentThatDoesNotOpenCostsItsProjectAlone(how: String) throws {
        let disk = SimulatedFileSystem()
        var store = try openStore(disk, testIdentity, Self.options(Notes()))
        for number in 0..<3 { try Self.seal(store, number) }
        _ = try store.append([request([event("u", "other", Self.january)], sequence: 1, project: 2)])
        try store.seal()
        store.close()
        // Of three in January the second; a merge of its neighbours would change the order of rows.
        let name = try #require(disk.files.keys.filter { $0.hasPrefix("seg-") }.sorted().dropFirst(2).first)
        let whole = try #require(disk.files[name])
        var files = disk.files
        switch how {
        case "gone": files[name] = nil
        case "cut": files[name] = Array(whole.dropLast())
        default: files[name]?[whole.count - 40] ^= 1
        }
        let (damaged, notes) = (SimulatedFileSystem(files: files), Notes())
        store = try openStore(damaged, testIdentity, Self.options(notes))
        #expect(notes.damaged == [name] && store.stats.damagedFiles == 1)
        #expect(store.names(project: 1).damaged.first?.string.contains(name) == true)
        let error = #expect(throws: StoreError.self) { try store.view(project: 1) }
        #expect(error?.code == .corrupt && error?.message.contains(name) == true)
        #expect(try store.view(project: 2).allEvents().count == 1)
        for number in 3..<9 { try Self.seal(store, number) }
        while store.mergeIfDue(isIdle: true) {}
        #expect(throws: StoreError.self) { try store.drop(eventNames: ["e"], project: 1) }
        store.close()
        var mended = damaged.files
        mended[name] = whole
        store = try openStore(SimulatedFileSystem(files: mended), testIdentity, Self.options(Notes()))
        let events = try store.view(project: 1).allEvents()
        #expect(events.count == 72 && store.stats.damagedFiles == 0)
        while store.mergeIfDue(isIdle: true) {}
        #expect(try store.view(project: 1).allEvents() == events && store.stats.segments == 3)
    }

    // MARK: - Real files

    private static func events(_ count: Int) -> [Event] {
        (0..<count).map {
            event("user-\($0)-\(String(repeating: "x", count: $0 % 7))", "e", january + Int64($0) * 1_000_003, id: "i\($0)", p: Int64($0))
        }
    }

    /// - Parameter bytes: what is left; less than 0 is what is cut off.
    private func cut(_ directory: TemporaryDirectory, _ prefix: String, _ bytes: Int) throws {
        let name = try #require(try POSIXFileSystem().list(directory.path + "/shard").filter { $0.hasPrefix(prefix) }.sorted().first)
        let path = "\(directory.path)/shard/\(name)"
        let size = try #require(POSIXFileSystem().size(path))
        #expect(truncate(path, bytes < 0 ? size + bytes : bytes) == 0)
    }

    private func open(_ directory: TemporaryDirectory, _ notes: Notes) throws -> ShardStore<POSIXFileSystem> {
        try ShardStore.open(
            directory: directory.path + "/shard", files: POSIXFileSystem(), identity: testIdentity, options: Self.options(notes))
    }

    /// On the bound of a page, within one, and a byte.
    @Test(arguments: [0, 4_096, 5_000, -1])
    func aSegmentCutUnderARunningStoreIsAnError(bytes: Int) throws {
        let (directory, notes) = (try TemporaryDirectory(), Notes())
        let store = try open(directory, notes)
        _ = try store.append([request(Self.events(20_000), sequence: 1)])
        try store.seal()
        let view = try store.view(project: 1)
        // Read once, so that the checksums of its pages are believed for a while.
        #expect(try view.allEvents().count == 20_000)
        try cut(directory, "seg-", bytes)
        for _ in 0..<2 {
            let error = #expect(throws: StoreError.self) { try view.allEvents() }
            #expect(error?.code == .corrupt)
        }
        #expect(notes.damaged == ["seg-00000002"] && !store.stats.poisoned)
        // The store goes on.
        _ = try store.append([request(Self.events(10), sequence: 2, project: 2)])
        #expect(try store.view(project: 2).allEvents().count == 10)
    }

    @Test(arguments: [0, 4_096, 5_000, -1])
    func aUserFileCutUnderARunningStoreMakesNoNewUsers(bytes: Int) throws {
        let (directory, notes) = (try TemporaryDirectory(), Notes())
        let store = try open(directory, notes)
        let events = Self.events(20_000)
        _ = try store.append([request(events, sequence: 1)])
        try store.seal()
        #expect(store.stats.userFileBytes > 1 << 16)
        try cut(directory, "usr-", bytes)
        let results = try store.append([request(events, sequence: 2)])
        #expect(results.map(\.errorCode) == [.corrupt])
        #expect(notes.damaged == ["usr-00000001"])
        #expect(throws: StoreError.self) { try store.checkSound(store.view(project: 1), project: 1) }
    }
}

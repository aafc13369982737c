import EventStorage
import Foundation
import FunnelModel
import Testing

/// What release 0.1.0 wrote, in storage format 3.
struct FormatTests {
    private static func released() throws -> [String: [UInt8]] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Released/format-3")
        var files: [String: [UInt8]] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) where name != "README.md" {
            files[name] = [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
        }
        return files
    }

    private static func identity(_ files: SimulatedFileSystem) throws -> StoreIdentity {
        try #require(try SimulatedStore.identity(directory: "data", files: files))
    }

    private static func version(_ bytes: [UInt8]?) -> UInt16? { bytes.map { UInt16($0[8]) | UInt16($0[9]) << 8 } }

    /// Every event there is, each once.
    private func check(_ store: SimulatedStore, _ what: String = "") throws {
        let events = try store.view(project: 1).allEvents()
        #expect(events.count == 405, "\(what)")
        let numbers = events.compactMap { event in event.properties.first { $0.key == "n" }?.value }
        #expect(Set(numbers) == Set((0..<400).map { PropertyValue.integer(Int64($0)) }), "\(what)")
        for event in events where event.id.string.hasPrefix("e-") {
            let i = try #require(Int(event.id.string.dropFirst(2)))
            #expect(event.user == ByteString("user-\(i % 40)") && event.properties.contains(.init("x", .double(Double(i) / 4))), "\(what)")
        }
    }

    @Test func aDirectoryOfFormat3IsUsableAtOnce() throws {
        let disk = SimulatedFileSystem(files: try Self.released())
        let identity = try Self.identity(disk)
        #expect(StoreVerifier.verify(directory: "data", files: disk) { _ in })
        #expect(disk.files.filter { $0.key != "LOCK" } == (try Self.released()))
        let store = try openStore(disk, identity)
        try check(store)
        // 0.1.0 looks at IDENTITY first, and refuses what it does not know.
        #expect(Self.version(disk.files["IDENTITY"]) == 4)
        #expect(Self.version(disk.files["log-00000003"]) == 4 && store.stats.logFiles == 2)
        _ = try store.append([request([event("user-1", "Visit", 1_767_225_600_000_000)], sequence: 1)])
        try store.seal()
        try store.compact(everything: true)
        store.close()
        #expect(StoreVerifier.verify(directory: "data", files: disk) { _ in })
        for (name, bytes) in disk.files where name != "LOCK" && !name.hasPrefix("usr-00000001") {
            #expect(Self.version(bytes) == 4 || name == "seg-00000003" || name == "seg-00000004", "\(name)")
        }
        #expect(try openStore(disk, identity).view(project: 1).allEvents().count == 406)
    }

    @Test func everyCrashOfTheFirstOpeningLosesNothing() throws {
        let disk = SimulatedFileSystem(files: try Self.released())
        let start = disk.trace.count
        let identity = try Self.identity(disk)
        let store = try openStore(disk, identity)
        _ = try store.append([request([event("user-1", "Visit", 1_767_225_600_000_000)], sequence: 1)])
        disk.mark(1)
        try store.seal()
        for steps in start...disk.trace.count {
            for mode in [CrashMode.allLost, .allKept, .killed, .mixed(UInt64(steps)), .mixed(UInt64(steps) &+ 50)] {
                let (crashed, promised) = SimulatedFileSystem.crashed(disk.trace[..<steps], mode)
                let files = crashed.files
                let isNew = files.contains {
                    !$0.key.hasPrefix("IDENTITY") && $0.key != "LOCK" && (Self.version($0.value.count > 9 ? $0.value : nil) ?? 3) > 3
                }
                if isNew { #expect(Self.version(files["IDENTITY"]) == 4, "\(steps) steps, \(mode)") }
                let again = try openStore(crashed, identity)
                let count = try again.view(project: 1).allEvents().count
                #expect((405 + promised...406).contains(count), "\(steps) steps, \(mode): \(count)")
            }
        }
    }

    /// The records of the old log are cut and refused as those of a new one.
    @Test func theOldLogMayBeTornAndNoMore() throws {
        let files = try Self.released()
        let log = try #require(files["log-00000002"])
        let identity = try Self.identity(SimulatedFileSystem(files: files))
        var counts: Set<Int> = []
        for size in stride(from: 0, through: log.count, by: 7) {
            var cut = files
            cut["log-00000002"] = Array(log[..<size])
            let disk = SimulatedFileSystem(files: cut)
            let store = try openStore(disk, identity)
            counts.insert(try store.view(project: 1).allEvents().count)
            _ = try store.append([request([event("user-1", "Visit", 1_767_225_600_000_000)], sequence: 1)])
            let count = try store.view(project: 1).allEvents().count
            #expect(try openStore(disk.copy(), identity).view(project: 1).allEvents().count == count, "cut at \(size)")
        }
        #expect(counts.isSuperset(of: [300, 400]))
        var flipped = files
        flipped["log-00000002"]?[100] ^= 1
        let error = #expect(throws: StoreError.self) { try openStore(SimulatedFileSystem(files: flipped), identity) }
        #expect(error?.code == .corrupt)
    }

    @Test func itMayGoOverToAnotherCluster() throws {
        let disk = SimulatedFileSystem(files: try Self.released())
        var identity = try Self.identity(disk)
        try SimulatedStore.fork(directory: "data", files: disk, to: 77)
        identity.clusterID = 77
        let store = try openStore(disk, identity)
        try check(store, "forked")
        try store.seal()
        try store.compact(everything: true)
        try check(store, "merged")
    }
}

import EventStorage
import FunnelModel
import Testing

/// A directory that goes over to another cluster keeps all it has.
struct ForkTests {
    private static var other: StoreIdentity { StoreIdentity(clusterID: 0xBEEF, shard: 1, shardCount: 4, epoch: 1) }

    private static func batch(_ number: Int) -> [AppendRequest] {
        [request((0..<3).map { event("u\($0)", "e", Int64(number), id: "\(number)-\($0)") }, sequence: UInt64(number))]
    }

    /// A segment, a user file, suppressed users, and a log that no stop has ended.
    private static func original() throws -> [String: [UInt8]] {
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        _ = try store.append(batch(0))
        try store.suppress(project: 1, users: ["u2"])
        try store.seal()
        _ = try store.append(batch(1))
        return files.files
    }

    private static func fork(_ files: SimulatedFileSystem, _ cluster: UInt64 = other.clusterID) throws(StoreError) {
        try SimulatedStore.fork(directory: "data", files: files, to: cluster)
    }

    private func check(_ disk: SimulatedFileSystem, _ identity: StoreIdentity = other, _ what: String = "") throws {
        let store = try openStore(disk, identity)
        #expect(try store.view(project: 1).allEvents().count == 4, "\(what)")
        // The memory of deliveries goes along.
        #expect(try store.append(Self.batch(1)).map { try $0.get().repeated } == [true], "\(what)")
        _ = try store.append(Self.batch(2))
        try store.seal()
        try store.compact(everything: true)
        #expect(try store.view(project: 1).allEvents().count == 6, "\(what)")
        store.close()
        #expect(StoreVerifier.verify(directory: "data", files: disk) { _ in }, "\(what)")
        #expect(try openStore(disk, identity).view(project: 1).allEvents().count == 6, "\(what)")
    }

    @Test func nothingButIdentityAndManifestChanges() throws {
        let before = try Self.original()
        let disk = SimulatedFileSystem(files: before)
        try Self.fork(disk)
        let changed = Set(disk.files.filter { before[$0.key] != $0.value }.keys).subtracting(["LOCK"])
        #expect(changed == ["IDENTITY", "MANIFEST"])
        #expect(throws: StoreError.self) { try openStore(disk) }
        try check(disk.copy())
        // Again is nothing, and back and forth is possible.
        let once = disk.files
        try Self.fork(disk)
        #expect(disk.files == once)
        try Self.fork(disk, 7)
        try Self.fork(disk, testIdentity.clusterID)
        try check(disk, testIdentity)
    }

    @Test func everyCrashIsFinishedByTheSameCall() throws {
        let before = try Self.original()
        let disk = SimulatedFileSystem(files: before)
        let start = disk.trace.count
        try Self.fork(disk)
        for steps in start...disk.trace.count {
            for mode in [CrashMode.allLost, .allKept, .killed, .mixed(UInt64(steps)), .mixed(UInt64(steps) &+ 99)] {
                let (crashed, _) = SimulatedFileSystem.crashed(disk.trace[..<steps], mode)
                do throws(StoreError) {
                    // Refused, or the original as it was.
                    let store = try openStore(crashed.copy())
                    #expect(store.stats.rows == 5)
                } catch { #expect(error.code == .corrupt || error.code == .foreignCluster, "\(steps) steps, \(mode): \(error)") }
                try Self.fork(crashed)
                try check(crashed, Self.other, "\(steps) steps, \(mode)")
            }
        }
    }

    @Test func anOpenDirectoryIsRefused() throws {
        let disk = SimulatedFileSystem(files: try Self.original())
        let store = try openStore(disk)
        let error = #expect(throws: StoreError.self) { try Self.fork(disk) }
        #expect(error?.code == .locked)
        store.close()
        try Self.fork(disk)
    }

    @Test func filesOfAThirdClusterStayForeign() throws {
        let third = StoreIdentity(clusterID: 5, shard: 1, shardCount: 4, epoch: 7)
        let foreign = SimulatedFileSystem()
        let store = try openStore(foreign, third)
        _ = try store.append(Self.batch(0))
        try store.suppress(project: 1, users: ["u2"])
        try store.seal()
        store.close()
        let disk = SimulatedFileSystem(files: try Self.original())
        try Self.fork(disk)
        for name in ["MANIFEST", "log-00000002", "usr-00000001", "seg-00000002"] {
            var mixed = disk.files
            mixed[name] = foreign.files[name]
            let error = #expect(throws: StoreError.self, "\(name)") {
                try openStore(SimulatedFileSystem(files: mixed), Self.other).view(project: 1)
            }
            #expect(error?.code == .corrupt, "\(name)")
        }
    }
}

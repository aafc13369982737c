import EventStorage
import FunnelModel
import Glibc
import Testing

/// No file descriptors left: as with a full disk, it passes.
struct DescriptorTests {
    private static func batch(_ number: Int) -> AppendRequest {
        request((0..<4).map { event("u\($0)", "e", Int64(number), id: "\(number)-\($0)") }, sequence: UInt64(number))
    }

    /// One call of a seal fails, the rest go through. Only where it is not known which manifest is in force may the
    /// store be lost.
    @Test func aSealThatOnceGetsNoDescriptorLosesNothing() throws {
        let clean = SimulatedFileSystem()
        let model = try openStore(clean)
        _ = try model.append([Self.batch(1)])
        let before = clean.opens
        try model.seal()
        let opens = clean.opens - before
        #expect(opens >= 5)
        for open in 1...opens {
            let files = SimulatedFileSystem()
            let store = try openStore(files)
            _ = try store.put([Self.batch(1)])
            files.inject(.noDescriptorsAtOpen(files.opens + open))
            let error = #expect(throws: StoreError.self, "open \(open)") { try store.seal() }
            #expect(store.stats.failedSeals == 1 && store.stats.seals == 0, "open \(open)")
            files.heal()
            if open == opens {
                #expect(error?.code == .poisoned && store.stats.poisoned)
            } else {
                #expect(error?.code == .noSpace && !store.stats.poisoned, "open \(open): \(String(describing: error))")
                _ = try store.put([Self.batch(2)])
                try store.seal()
                #expect(store.stats.seals == 1 && store.stats.logFiles == 1, "open \(open)")
            }
            let reopened = try openStore(files.copy())
            #expect(try reopened.view(project: 1).allEvents().count == (open == opens ? 4 : 8), "open \(open)")
        }
    }

    @Test func aSealWithoutDescriptorsFailsAndIsTriedAgainLater() throws {
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        _ = try store.put([Self.batch(1)])
        files.inject(.noDescriptors)
        let error = #expect(throws: StoreError.self) { try store.seal() }
        #expect(error?.code == .noSpace)
        #expect(store.stats.failedSeals == 1 && !store.stats.poisoned)
        // The log is open already.
        _ = try store.put([Self.batch(2)])
        files.heal()
        try store.seal()
        #expect(store.stats.seals == 1)
        #expect(try openStore(files.copy()).view(project: 1).allEvents().count == 8)
    }

    // In processes of their own, for the limit is the process's.

    private static func withoutDescriptors<T>(_ body: () -> T) -> T {
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var old = rlimit()
        precondition(getrlimit(resource, &old) == 0)
        var none = rlimit(rlim_cur: 0, rlim_max: old.rlim_max)
        precondition(setrlimit(resource, &none) == 0)
        defer { setrlimit(resource, &old) }
        return body()
    }

    @Test func theSystemsErrorForNoDescriptorsIsOneThatPasses() async throws {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            let error: FileError? = DescriptorTests.withoutDescriptors {
                do throws(FileError) {
                    _ = try POSIXFileSystem().open(directory.path + "/a", .append)
                    return nil
                } catch { return error }
            }
            #expect(error?.code == EMFILE && error?.isNoSpace == true)
        }
    }

    @Test func aSealOfRealFilesWithoutDescriptorsFailsAndIsTriedAgainLater() async throws {
        await #expect(processExitsWith: .success) {
            let directory = try TemporaryDirectory()
            let store = try ShardStore.open(
                directory: directory.path + "/shard", files: POSIXFileSystem(), identity: testIdentity, options: StoreOptions())
            _ = try store.put([DescriptorTests.batch(1)])
            let error: StoreError? = DescriptorTests.withoutDescriptors {
                do throws(StoreError) {
                    try store.seal()
                    return nil
                } catch { return error }
            }
            #expect(error?.code == .noSpace, "\(String(describing: error))")
            #expect(store.stats.failedSeals == 1 && !store.stats.poisoned)
            if store.stats.poisoned { return }
            _ = try store.put([DescriptorTests.batch(2)])
            try store.seal()
            #expect(try store.view(project: 1).allEvents().count == 8)
        }
    }
}

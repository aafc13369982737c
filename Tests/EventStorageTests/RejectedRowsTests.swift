import EventStorage
import FunnelModel
import Testing

/// Rows that are rejected leave their traces in the log and the memory of deliveries; these have bounds too.
struct RejectedRowsTests {
    private static func options(sealBytes: Int = StoreOptions().sealBytes) -> StoreOptions {
        var options = StoreOptions()
        options.eventNamesMax = 0
        options.sealBytes = sealBytes
        return options
    }

    private static func batch(_ rows: Int) -> EventBatch {
        EventBatchBuilder((0..<rows).map { _ in event("u", "a", 1, p: 1) }).finish()
    }

    private func append(_ store: SimulatedStore, _ batch: EventBatch, producer: UInt64, sequence: UInt64 = 1) throws -> Bool {
        let request = AppendRequest(project: 1, producer: producer, sequence: sequence, part: 0, fingerprint: 3, batch: batch)
        let result = try #require(try store.put([request]).first).get()
        #expect(result.accepted == 0 && result.rejected.count == batch.count)
        return result.repeated
    }

    private func manifest(_ files: SimulatedFileSystem) throws -> [UInt8] { try #require(files.files["MANIFEST"]) }

    /// Six full batches of rejected rows fill what is remembered of a project; more are refused, and nothing is forgotten.
    @Test func manyRejectedRowsKeepTheManifestSmall() throws {
        let batch = Self.batch(200_000)
        let files = SimulatedFileSystem()
        let store = try openStore(files, testIdentity, Self.options())
        for producer: UInt64 in 1...6 { #expect(try !append(store, batch, producer: producer)) }
        func refused(_ store: SimulatedStore) throws -> StoreError.Code? {
            try store.append([AppendRequest(project: 1, producer: 7, sequence: 1, part: 0, fingerprint: 3, batch: batch)])[0].errorCode
        }
        #expect(try refused(store) == .overloaded)
        let replayed = files.copy()
        try store.seal()
        #expect(try manifest(files).count < 6 << 20)
        // Replay has made the same memory, and so has reading it from a manifest.
        for disk in [replayed, files.copy()] {
            let again = try openStore(disk, testIdentity, Self.options())
            for producer: UInt64 in 1...6 { #expect(try append(again, batch, producer: producer), "producer \(producer)") }
            #expect(try refused(again) == .overloaded)
        }
    }

    @Test func aLogOfRejectedRowsAloneIsSealed() throws {
        let files = SimulatedFileSystem()
        let options = Self.options(sealBytes: 2_048)
        let store = try openStore(files, testIdentity, options)
        let batch = Self.batch(300)
        var largest = 0
        for sequence: UInt64 in 0..<60 {
            #expect(try !append(store, batch, producer: 9, sequence: sequence))
            largest = max(largest, store.stats.logBytes)
        }
        #expect(store.stats.seals >= 3 && store.stats.failedSeals == 0)
        #expect(largest < 4 * 2_048 + 2_048)
        #expect(store.stats.logFiles == 1 && store.stats.segments == 0 && store.stats.memtableRows == 0)
        #expect(files.files["log-00000001"] == nil)
        #expect(files.files.keys.filter { $0.hasPrefix("log-") }.count == 1)
        store.close()
        #expect(StoreVerifier.verify(directory: "data", files: files) { _ in })
        let reopened = try openStore(files, testIdentity, options)
        for sequence: UInt64 in 0..<60 { #expect(try append(reopened, batch, producer: 9, sequence: sequence)) }
    }

    /// The log that is too long may be one that replay has found.
    @Test func aLongLogOfRejectedRowsFoundAtOpeningIsSealed() throws {
        let files = SimulatedFileSystem()
        let first = try openStore(files, testIdentity, Self.options())
        let batch = Self.batch(300)
        for sequence: UInt64 in 0..<20 { #expect(try !append(first, batch, producer: 9, sequence: sequence)) }
        #expect(first.stats.seals == 0)
        first.close()
        let store = try openStore(files, testIdentity, Self.options(sealBytes: 2_048))
        #expect(try !append(store, batch, producer: 9, sequence: 20))
        #expect(store.stats.seals == 1 && files.files["log-00000001"] == nil)
    }

    @Test func aSealOfALongLogThatFailsIsTriedAgainLater() throws {
        let files = SimulatedFileSystem()
        let store = try openStore(files, testIdentity, Self.options(sealBytes: 2_048))
        let batch = Self.batch(300)
        var sequence: UInt64 = 0
        func more() throws {
            #expect(try !append(store, batch, producer: 9, sequence: sequence))
            sequence += 1
        }
        while store.stats.logBytes < 4 * 2_048 - 1_000 { try more() }
        // Records go through, new files do not.
        files.inject(.noDescriptorsAtOpen(files.opens + 1))
        while store.stats.failedSeals == 0 && sequence < 100 { try more() }
        #expect(store.stats.failedSeals == 1 && store.stats.seals == 0 && !store.stats.poisoned)
        files.heal()
        try more()
        #expect(store.stats.seals == 0)
        while store.stats.seals == 0 && sequence < 100 { try more() }
        #expect(store.stats.seals == 1 && store.stats.logFiles == 1 && files.files["log-00000001"] == nil)
    }
}

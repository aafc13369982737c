import EventStorage
import FunnelModel
import Testing

/// Full disks, failed writes and failed syncs.
struct FaultTests {
    private func batch(_ number: Int) -> AppendRequest {
        request((0..<4).map { event("u\($0)", "e", Int64(number), id: "\(number)-\($0)") }, sequence: UInt64(number))
    }

    private func ids(_ files: SimulatedFileSystem) throws -> Set<String> {
        let store = try openStore(files.copy())
        return Set(try store.view(project: 1).allEvents().map { $0.id.string })
    }

    /// Appends ten batches, sealing now and then, and tells which were acknowledged and which were only tried.
    /// - Parameter closes: with false, counts no call of the closing, whose faults are none.
    private func run(_ files: SimulatedFileSystem, closes: Bool = true) -> (acknowledged: [Int], errors: [StoreError]) {
        var acknowledged: [Int] = []
        var errors: [StoreError] = []
        do throws(StoreError) {
            let store = try openStore(files)
            defer { if closes { store.close() } }
            for number in 0..<10 {
                do throws(StoreError) {
                    if case .success? = try store.put([batch(number)]).first { acknowledged.append(number) }
                } catch { errors.append(error) }
                if number % 3 == 2 {
                    do throws(StoreError) { try store.seal() } catch { errors.append(error) }
                }
            }
        } catch { errors.append(error) }
        return (acknowledged, errors)
    }

    private func check(_ files: SimulatedFileSystem, _ acknowledged: [Int], exactly: Bool, _ what: String) throws {
        let found = try ids(files)
        let wanted = Set(acknowledged.flatMap { number in (0..<4).map { "\(number)-\($0)" } })
        #expect(exactly ? found == wanted : found.isSuperset(of: wanted), "\(what)")
        #expect(found.count % 4 == 0, "\(what)")
    }

    @Test(arguments: [0, 1, 30, 100])
    func aFullDiskLosesNothingAcknowledged(partial: Int) throws {
        let clean = SimulatedFileSystem()
        #expect(run(clean, closes: false).acknowledged.count == 10)
        for write in 1...clean.writes {
            for fault in [
                SimulatedFileSystem.Fault.fullFromWrite(write, partial: partial), .fullAtWrite(write, partial: partial),
            ] {
                let files = SimulatedFileSystem()
                files.inject(fault)
                let (acknowledged, errors) = run(files)
                #expect(!errors.isEmpty)
                #expect(errors.allSatisfy { $0.code == .noSpace && $0.retryable }, "\(fault): \(errors)")
                files.heal()
                if files.files["MANIFEST"] == nil { #expect(acknowledged.isEmpty) }
                try check(files, acknowledged, exactly: true, "\(fault)")
                // Space again: the rest goes through, and nothing is twice.
                let (after, late) = run(files)
                #expect(after.count == 10 && late.isEmpty, "\(fault): \(late)")
                try check(files, Array(0..<10), exactly: true, "\(fault)")
            }
        }
    }

    @Test func aFailedSyncPoisons() throws {
        let clean = SimulatedFileSystem()
        _ = run(clean, closes: false)
        for sync in 1...clean.syncs {
            let files = SimulatedFileSystem()
            files.inject(.failedSync(sync))
            let (acknowledged, errors) = run(files)
            #expect(errors.first?.code == .io, "sync \(sync): \(errors)")
            #expect(errors.dropFirst().allSatisfy { $0.code == .poisoned }, "sync \(sync): \(errors)")
            files.heal()
            try check(files, acknowledged, exactly: false, "sync \(sync)")
        }
    }

    @Test func aFailedWritePoisons() throws {
        let clean = SimulatedFileSystem()
        _ = run(clean, closes: false)
        for write in 1...clean.writes {
            let files = SimulatedFileSystem()
            files.inject(.failedWrite(write))
            let (acknowledged, errors) = run(files)
            #expect(errors.first?.code == .io, "write \(write): \(errors)")
            #expect(errors.dropFirst().allSatisfy { $0.code == .poisoned }, "write \(write): \(errors)")
            files.heal()
            try check(files, acknowledged, exactly: true, "write \(write)")
        }
    }

    @Test func aFragmentThatCannotBeCutPoisons() throws {
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        _ = try store.put([batch(1)])
        files.inject(.fullFromWrite(0, partial: 20))
        files.inject(.failedTruncate)
        #expect(throws: StoreError.self) { try store.put([batch(2)]) }
        files.heal()
        let error = #expect(throws: StoreError.self) { try store.put([batch(2)]) }
        #expect(error?.code == .poisoned)
        #expect(store.stats.poisoned)
        // Queries go on.
        #expect(try store.view(project: 1).allEvents().count == 4)
        #expect(try ids(files).count == 4)
    }

    @Test func aCrashAfterAFullDiskLosesNothing() throws {
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        _ = try store.put([batch(1)])
        files.inject(.fullFromWrite(0, partial: 50))
        #expect(throws: StoreError.self) { try store.put([batch(2)]) }
        files.heal()
        try store.seal()
        _ = try store.put([batch(3)])
        for seed in 0..<50 {
            let (disk, _) = SimulatedFileSystem.crashed(files.trace, .mixed(UInt64(seed)))
            #expect(try ids(disk).count == 8)
        }
    }

    /// Two logs are alive then: the new one must not be lost, and the fragment must not come back into the old one.
    @Test func aCrashAfterAFailedSealLosesNothing() throws {
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        _ = try store.put([batch(1)])
        files.inject(.fullFromWrite(0, partial: 50))
        #expect(throws: StoreError.self) { try store.put([batch(2)]) }
        files.heal()
        // The header of the log goes through, that of the segment does not.
        files.inject(.fullAtWrite(files.writes + 2, partial: 10))
        #expect(throws: StoreError.self) { try store.seal() }
        _ = try store.put([batch(3)])
        #expect(try ids(SimulatedFileSystem.crashed(files.trace, .allLost).files).count == 8)
        for seed in 0..<50 {
            let (disk, _) = SimulatedFileSystem.crashed(files.trace, .mixed(UInt64(seed)))
            #expect(try ids(disk).count == 8)
        }
        try store.seal()
        #expect(store.stats.logFiles == 1 && store.stats.segments == 1)
        #expect(try ids(files).count == 8)
    }

    @Test func theReserveIsKeptFree() throws {
        let files = SimulatedFileSystem()
        var options = StoreOptions()
        options.reserveBytes = 1_000
        let store = try openStore(files, testIdentity, options)
        _ = try store.put([batch(1)])
        files.setFree(999)
        let error = #expect(throws: StoreError.self) { try store.put([batch(2)]) }
        #expect(error?.code == .noSpace)
        // What is known already needs no space, and hiding users goes on.
        #expect(try store.put([batch(1)]).first?.get().repeated == true)
        try store.suppress(project: 1, users: ["u0"])
        files.setFree(1_000)
        _ = try store.put([batch(2)])
        #expect(try store.view(project: 1).allEvents().count == 6)
    }

    @Test func aFailedSealIsTriedAgainLater() throws {
        let files = SimulatedFileSystem()
        var options = StoreOptions()
        options.sealRows = 8
        let store = try openStore(files, testIdentity, options)
        _ = try store.put([batch(1)])
        // The next append's record goes through, the new log of the seal does not.
        files.inject(.fullAtWrite(files.writes + 2, partial: 10))
        _ = try store.put([batch(2)])
        #expect(store.stats.failedSeals == 1)
        _ = try store.put([batch(3)])
        #expect(store.stats.seals == 1)
        #expect(try ids(files).count == 12)
    }
}

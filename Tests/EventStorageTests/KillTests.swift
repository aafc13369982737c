import EventStorage
import FunnelModel
import Testing

/// What a process that was killed had written but not synced is there to be read. Whatever is acknowledged on the
/// strength of it has to survive a power cut too.
struct KillTests {
    private static let groups = 8

    private static func group(_ number: Int) -> [AppendRequest] {
        (0..<2).map { part in
            request(
                (0..<3).map { event("user\($0)", "e", Int64(number), id: "g\(number)-\(part)-\($0)") },
                sequence: UInt64(number), part: UInt32(part), fingerprint: UInt32(number + 1))
        }
    }

    private static func script(_ files: SimulatedFileSystem) throws {
        var store = try openStore(files)
        for number in 0..<groups {
            _ = try store.put(group(number))
            files.mark(number + 1)
            if number == 2 || number == 5 { try store.seal() }
            if number == 3 {
                store.close()
                store = try openStore(files)
            }
        }
        store.close()
    }

    private func ids(_ store: SimulatedStore) throws -> [String] {
        try store.view(project: 1).allEvents().map(\.id.string).sorted()
    }

    private static let powerCuts: [CrashMode] = [.allLost, .allKept] + (0..<6).map { .mixed(UInt64($0) &+ 31) }

    /// The disks that a power cut may leave all hold these events, each once.
    private func expect(_ wanted: [String], afterPowerCut trace: [SimulatedFileSystem.Step], _ what: String) {
        for mode in Self.powerCuts {
            do {
                let store = try openStore(SimulatedFileSystem.crashed(trace, mode).files)
                let found = try ids(store)
                #expect(found == wanted, "\(what), \(mode)")
            } catch { Issue.record("\(what), \(mode): \(error)") }
        }
    }

    @Test func aRepeatAcknowledgedAfterAKillSurvivesAPowerCut() throws {
        let files = SimulatedFileSystem()
        let first = try openStore(files)
        _ = try first.append(Self.group(0))
        _ = try first.append(Self.group(1))
        let trace = files.trace
        guard case .sync = try #require(trace.last) else {
            Issue.record("an append does not end with a sync")
            return
        }
        let (killed, _) = SimulatedFileSystem.crashed(trace.dropLast(), .killed)
        let store = try openStore(killed)
        let wanted = try ids(store)
        #expect(wanted.count == 12)
        #expect(try store.put(Self.group(1)).map { try $0.get().repeated } == [true, true])
        expect(wanted, afterPowerCut: killed.trace, "repeated after the kill")
        // Without a reopening between, the power cut does lose what was never acknowledged.
        let (lost, _) = SimulatedFileSystem.crashed(trace.dropLast(), .allLost)
        #expect(try ids(openStore(lost)).count == 6)
    }

    /// A new log and a new manifest are names too.
    @Test func namesLeftUnsyncedByAKillInASealAreMadeDurableBeforeUse() throws {
        let files = SimulatedFileSystem()
        let first = try openStore(files)
        _ = try first.append(Self.group(0))
        let before = files.trace.count
        try first.seal()
        let trace = files.trace
        let kills = trace.indices.filter {
            if $0 >= before, case .syncDirectory = trace[$0] { return true }
            return false
        }
        #expect(kills.count >= 3)
        for kill in kills {
            let (killed, _) = SimulatedFileSystem.crashed(trace[..<kill], .killed)
            let store = try openStore(killed)
            #expect(try store.put(Self.group(0)).map { try $0.get().repeated } == [true, true])
            expect(try ids(store), afterPowerCut: killed.trace, "killed before step \(kill)")
            _ = try store.put(Self.group(1))
            let wanted = try ids(store)
            #expect(wanted.count == 12)
            expect(wanted, afterPowerCut: killed.trace, "killed before step \(kill), gone on")
        }
    }

    @Test func everyKillThenAPowerCutLosesNothingAcknowledged() throws {
        let files = SimulatedFileSystem()
        try Self.script(files)
        let trace = files.trace
        for steps in 0...trace.count {
            let (killed, promised) = SimulatedFileSystem.crashed(trace[..<steps], .killed)
            let store = try openStore(killed)
            let present = try ids(store)
            let whole = present.count / 6
            #expect(present.count == whole * 6 && (promised...promised + 1).contains(whole), "\(steps) steps")
            for number in 0..<whole {
                #expect(try store.put(Self.group(number)).map { try $0.get().repeated } == [true, true], "\(steps) steps")
            }
            expect(present, afterPowerCut: killed.trace, "\(steps) steps")
            for number in whole..<Self.groups { _ = try store.put(Self.group(number)) }
            expect(try ids(store), afterPowerCut: killed.trace, "\(steps) steps, gone on")
        }
    }

    @Test func aKillWhileOpeningAfterAKillLosesNothingEither() throws {
        let files = SimulatedFileSystem()
        try Self.script(files)
        let trace = files.trace
        for steps in stride(from: 0, through: trace.count, by: 3) {
            let (first, promised) = SimulatedFileSystem.crashed(trace[..<steps], .killed)
            try openStore(first).close()
            let second = first.trace
            for more in steps...second.count {
                let (killed, _) = SimulatedFileSystem.crashed(second[..<more], .killed)
                let store = try openStore(killed)
                let present = try ids(store)
                #expect(present.count >= promised * 6, "\(steps) steps, then \(more)")
                expect(present, afterPowerCut: killed.trace, "\(steps) steps, then \(more)")
            }
        }
    }

    /// After a sync that failed the system takes its pages for clean, and a second sync writes nothing.
    @Test func aRecordWhoseSyncFailedIsWrittenAnewBeforeItCounts() throws {
        let files = SimulatedFileSystem()
        let first = try openStore(files)
        _ = try first.append(Self.group(0))
        files.inject(.forgettingSync(files.syncs + 1))
        #expect(throws: StoreError.self) { try first.append(Self.group(1)) }
        var (disk, _) = SimulatedFileSystem.crashed(files.trace, .killed)
        // Each process is killed in turn: the record is carried once.
        for round in 0..<4 {
            let store = try openStore(disk)
            #expect(try store.put(Self.group(1)).map { try $0.get().repeated } == [true, true])
            let wanted = try ids(store)
            #expect(wanted.count == 12)
            expect(wanted, afterPowerCut: disk.trace, "round \(round)")
            #expect(store.stats.logFiles == 2)
            (disk, _) = SimulatedFileSystem.crashed(disk.trace, .killed)
        }
        let store = try openStore(disk)
        _ = try store.put(Self.group(2))
        try store.seal()
        #expect(store.stats.logFiles == 1)
        #expect(try ids(openStore(SimulatedFileSystem.crashed(disk.trace, .allLost).files)).count == 18)
    }

    @Test func aFullDiskDoesNotKeepAStoreFromOpening() throws {
        let files = SimulatedFileSystem()
        _ = try openStore(files).append(Self.group(0))
        let (disk, _) = SimulatedFileSystem.crashed(files.trace, .killed)
        disk.inject(.fullFromWrite(0, partial: 3))
        let store = try openStore(disk)
        #expect(try ids(store).count == 6)
        disk.heal()
        _ = try store.put(Self.group(1))
        #expect(try ids(openStore(disk.copy())).count == 12)
    }
}

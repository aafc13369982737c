import EventStorage
import Foundation
import FunnelModel
import Synchronization
import Testing

/// Set once, on any thread.
private final class Flag: Sendable {
    private let value = Mutex(false)
    var isSet: Bool { value.withLock { $0 } }
    func set() { value.withLock { $0 = true } }
}

/// Merges under faults, crashes and beside everything else.
struct MergeTests {
    private static let batches = 8

    private static func batch(_ number: Int) -> AppendRequest {
        // Users of its own, so that every seal writes a user file, and one of all; two months; one repeat.
        var events = [event("user\(number)", "a", 1_700_000_000_000_000 + Int64(number), id: "\(number)-0")]
        events.append(event("all", "b", 1_702_000_000_000_000 + Int64(number), id: "\(number)-1"))
        events.append(event("all", "b", 1_702_000_000_000_000, id: "again", p: Int64(number)))
        return request(events, sequence: UInt64(number))
    }

    private static func model(_ numbers: some Sequence<Int>) -> StoreModel { StoreModel(rows: numbers.flatMap { batch($0).batch.events }) }

    private struct Run {
        var acknowledged: [Int] = []
        var errors: [StoreError] = []
        var failedMerges = 0
    }

    /// Each batch is sealed for itself; merges come in the middle and at the end.
    /// - Parameter closes: with false, counts no call of the closing, whose faults are none.
    private static func run(_ files: SimulatedFileSystem, closes: Bool = true) -> Run {
        var run = Run()
        do throws(StoreError) {
            var options = StoreOptions()
            options.sealRows = 8
            let store = try openStore(files, testIdentity, options)
            defer { if closes { store.close() } }
            func attempt(_ body: () throws(StoreError) -> Void) { do throws(StoreError) { try body() } catch { run.errors.append(error) } }
            for number in 0..<batches {
                attempt { () throws(StoreError) in
                    if case .success? = try store.append([batch(number)]).first {
                        run.acknowledged.append(number)
                        files.mark(number + 1)
                    }
                }
                attempt { () throws(StoreError) in try store.seal() }
                if number == 4 { while store.maintain() {} }
                if number == 6 { attempt { () throws(StoreError) in try store.suppress(project: 1, users: ["user2"]) } }
            }
            attempt { () throws(StoreError) in try store.compact(everything: true) }
            run.failedMerges = store.stats.failedMerges
        } catch { run.errors.append(error) }
        return run
    }

    /// - Parameter first: the batches that became durable before all others, in order.
    private func check(_ files: SimulatedFileSystem, _ run: Run, first: [Int] = [], _ what: String) throws {
        let store = try openStore(files.copy())
        let rows = try store.view(project: 1).histories()
        // What was not acknowledged may be there too, but never by half, and the suppression as well.
        let numbers = Set(rows.flatMap(\.events).filter { $0.name == "b" && $0.id != "again" }.map { Int($0.time - 1_702_000_000_000_000) })
        #expect(numbers.isSuperset(of: run.acknowledged), "\(what)")
        var model = Self.model(first + numbers.subtracting(first).sorted())
        if !rows.contains(where: { $0.user == "user2" }) { model.suppressed = ["user2"] }
        #expect(rows == model.histories(), "\(what)")
        store.close()
    }

    @Test func theScriptMergesRowsAndUsers() throws {
        let files = SimulatedFileSystem()
        #expect(Self.run(files).errors.isEmpty)
        #expect(files.files.keys.filter { $0.hasPrefix("seg-") }.count == 2)
        #expect(files.files.keys.filter { $0.hasPrefix("usr-") }.count == 1)
        var model = Self.model(0..<Self.batches)
        model.suppressed = ["user2"]
        #expect(try openStore(files).view(project: 1).histories() == model.histories())
    }

    @Test(arguments: ["full", "full once", "write", "sync", "descriptor"])
    func aFailureAtAnyCallLosesNothing(kind: String) throws {
        let clean = SimulatedFileSystem()
        _ = Self.run(clean, closes: false)
        let calls =
            switch kind {
            case "sync": clean.syncs
            case "descriptor": clean.opens
            default: clean.writes
            }
        for call in 1...calls {
            let files = SimulatedFileSystem()
            switch kind {
            case "full": files.inject(.fullFromWrite(call, partial: 20))
            case "full once": files.inject(.fullAtWrite(call, partial: 20))
            case "write": files.inject(.failedWrite(call))
            case "sync": files.inject(.failedSync(call))
            default: files.inject(.noDescriptorsAtOpen(call))
            }
            let run = Self.run(files)
            #expect(!run.errors.isEmpty || run.failedMerges > 0, "\(kind) \(call)")
            files.heal()
            try check(files, run, "\(kind) \(call)")
            // And on: nothing is twice, and merges end where they would have.
            let again = Self.run(files)
            #expect(again.errors.isEmpty && again.acknowledged.count == Self.batches, "\(kind) \(call): \(again.errors)")
            try check(files, again, first: run.acknowledged, "\(kind) \(call), again")
            #expect(
                files.files.keys.filter { $0.hasPrefix("seg-") || $0.hasPrefix("usr-") || $0.hasSuffix(".tmp") }.count == 3,
                "\(kind) \(call)")
        }
    }

    @Test(arguments: ["lost", "kept", "mixed 1", "mixed 2"])
    func aCrashAtAnyStepLosesNothing(mode: String) throws {
        let files = SimulatedFileSystem()
        _ = Self.run(files)
        let trace = files.trace
        for steps in 0...trace.count {
            let crash: CrashMode =
                mode == "lost" ? .allLost : mode == "kept" ? .allKept : .mixed(UInt64(steps) + (mode == "mixed 1" ? 0 : 5_000))
            let (disk, promised) = SimulatedFileSystem.crashed(trace[..<steps], crash)
            do {
                try check(disk, Run(acknowledged: Array(0..<promised)), "\(mode), \(steps) steps")
                if steps % 4 != 0 { continue }
                let again = Self.run(disk)
                #expect(again.errors.isEmpty && again.acknowledged.count == Self.batches, "\(mode), \(steps) steps: \(again.errors)")
                try check(disk, again, "\(mode), \(steps) steps, again")
            } catch { Issue.record("\(mode), \(steps) steps: \(error)") }
        }
    }

    /// Whoever closes a store may open the directory anew at once.
    /// Few rows are sealed in idle times only, very few not even then.
    @Test func idleTimesSealASmallPart() throws {
        var options = StoreOptions()
        options.sealRows = 100
        let store = try openStore(SimulatedFileSystem(), testIdentity, options)
        func append(_ rows: Range<Int>) throws {
            _ = try store.append([request(rows.map { event("u\($0)", "a", Int64($0)) }, sequence: UInt64(rows.upperBound))])
        }
        try append(0..<3)
        #expect(!store.sealIfDue() && !store.sealIfDue(isIdle: true))
        try append(3..<4)
        #expect(!store.sealIfDue() && store.sealIfDue(isIdle: true) && !store.sealIfDue(isIdle: true))
        #expect(store.stats.memtableRows == 0 && store.stats.segmentRows == 4)
        #expect(store.totals(project: 1).taken == 4 && store.totals(project: 1).users == 4 && store.totals(project: 2).rows == 0)
    }

    @Test func aClosedOrFailedStoreMergesNoMore() throws {
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        for number in 0..<5 {
            _ = try store.append([Self.batch(number)])
            try store.seal()
        }
        let closed = store
        store.close()
        let next = try openStore(files)
        let before = files.files["MANIFEST"]
        #expect(!closed.maintain())
        #expect(throws: StoreError.self) { try closed.compact(everything: true) }
        #expect(files.files["MANIFEST"] == before && closed.stats.failedMerges == 0)
        files.inject(.failedSync(files.syncs + 1))
        #expect(throws: StoreError.self) { try next.append([Self.batch(6)]) }
        files.heal()
        #expect(!next.maintain())
        #expect(throws: StoreError.self) { try next.compact(everything: true) }
        #expect(files.files["MANIFEST"] == before)
    }

    @Test func closingWaitsForTheMergeUnderWay() throws {
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        for number in 0..<5 {
            _ = try store.append([Self.batch(number)])
            try store.seal()
        }
        let (begun, ended) = (Flag(), Flag())
        Thread.detachNewThread {
            _ = store.mergeIfDue { _ in
                // Long enough for the closing to come in between.
                if begun.isSet { return }
                begun.set()
                usleep(100_000)
            }
            ended.set()
        }
        while !begun.isSet { usleep(1_000) }
        store.close()
        let next = try openStore(files)
        let now = files.files
        while !ended.isSet { usleep(1_000) }
        #expect(files.files == now)
        #expect(try next.view(project: 1).histories() == Self.model(0..<5).histories())
    }

    /// Appends, seals, merges and readers on threads of their own.
    @Test func countsNeverGoBackBesideSealsAndMerges() async throws {
        let files = SimulatedFileSystem()
        var options = StoreOptions()
        options.sealRows = 30
        options.segmentsPerMonthMax = 2
        let store = try openStore(files, testIdentity, options)
        let groups = 150
        let done = Flag()
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                for sequence in 0..<groups {
                    let events = (0..<4).map {
                        event("user\((sequence + $0 * 31) % 97)", "e\($0 % 2)", Int64(sequence) * 40_000_000_000, id: "\(sequence)")
                    }
                    _ = try store.append([request(events, sequence: UInt64(sequence))])
                    if sequence % 8 == 0 { await Task.yield() }
                }
                done.set()
            }
            tasks.addTask {
                while !done.isSet {
                    while store.maintain() {}
                    await Task.yield()
                }
            }
            for reader in 0..<2 {
                tasks.addTask {
                    var before = 0
                    while before < groups * 4 {
                        let view = try store.view(project: 1)
                        let histories = try view.histories(events: reader == 0 ? nil : ["e0"])
                        let count = histories.reduce(0) { $0 + $1.events.count } * (reader == 0 ? 1 : 2)
                        #expect(count % 4 == 0 && count >= before, "\(count) after \(before)")
                        #expect(histories.allSatisfy { !$0.user.isEmpty && view.place(of: $0.user) != nil })
                        #expect(Set(histories.map(\.user)).count == histories.count)
                        #expect(try view.histories(events: reader == 0 ? nil : ["e0"]) == histories)
                        before = count
                        await Task.yield()
                    }
                }
            }
            try await tasks.waitForAll()
        }
        while store.maintain() {}
        #expect(store.stats.seals > 0 && store.stats.merges > 0 && store.stats.failedSeals + store.stats.failedMerges == 0)
        store.close()
        #expect(try openStore(files, testIdentity, options).view(project: 1).allEvents().count == groups * 4)
        #expect(StoreVerifier.verify(directory: "data", files: files.copy()) { _ in })
    }

    /// Random operations with tiny seals over several months, against the model.
    @Test(arguments: 0..<16)
    func randomOperationsAgreeWithTheModel(seed: Int) throws {
        var random = SeededGenerator(900 + UInt64(seed))
        let files = SimulatedFileSystem()
        var options = StoreOptions()
        options.sealRows = [1, 10, 60][seed % 3]
        options.segmentsPerMonthMax = [1, 2, 8][seed % 3]
        var store = try openStore(files, testIdentity, options)
        var model = StoreModel()
        for sequence in 0..<50 {
            switch Int.random(in: 0..<14, using: &random) {
            case 0: try store.seal()
            case 1: try store.compact(everything: true)
            case 2: try store.compact()
            case 3:
                store.close()
                store = try openStore(files, testIdentity, options)
            case 4:
                // A disk that is full for one call, whose append or seal is tried again.
                files.inject(
                    .fullAtWrite(files.writes + Int.random(in: 1...4, using: &random), partial: .random(in: 0...60, using: &random)))
                try? store.seal()
                try? store.compact(everything: true)
                files.heal()
            case 5 where sequence % 3 == 0:
                let user = ByteString("longish-user-\(Int.random(in: 0..<12, using: &random))")
                try store.suppress(project: 1, users: [user])
                model.suppressed.insert(user)
            default:
                var events = randomEvents(Int.random(in: 0..<20, using: &random), &random)
                // Each name has a unit of its own, and some rows stand at a month's very end or beginning.
                for i in events.indices {
                    let unit: Int64 = ["name0": 1_000_000, "name1": 1_000][events[i].name] ?? 1
                    let month: Int64 = [1_704_067_200_000_000, 1_706_745_600_000_000][Int.random(in: 0...1, using: &random)]
                    events[i].time = month + unit * Int64.random(in: -2...2, using: &random)
                }
                _ = try store.put([request(events, sequence: UInt64(sequence))]).map { try $0.get() }
                model.rows += EventBatchBuilder(events).finish().events
            }
            if sequence % 5 == 4 {
                let view = try store.view(project: 1)
                #expect(try view.histories() == model.histories(), "seed \(seed), step \(sequence)")
                let name = ByteString("name\(Int.random(in: 0..<5, using: &random))")
                #expect(try view.histories(events: [name]) == model.histories(events: [name]), "seed \(seed), step \(sequence), \(name)")
            }
        }
        try store.seal()
        try store.compact(everything: true)
        #expect(try store.view(project: 1).histories() == model.histories(), "seed \(seed)")
        #expect(store.stats.segments <= 4 && store.stats.userFiles <= 1)
        store.close()
        #expect(StoreVerifier.verify(directory: "data", files: files) { _ in }, "seed \(seed)")
        #expect(try openStore(files, testIdentity, options).view(project: 1).histories() == model.histories(), "seed \(seed)")
    }
}

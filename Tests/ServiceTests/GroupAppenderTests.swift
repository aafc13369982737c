import EventStorage
import Foundation
import FunnelModel
import FunnelProtocol
import NIOPosix
import ShardService
import Testing

/// Group commit over a real store in a temporary directory.
@Suite(.timeLimit(.minutes(2)))
struct GroupAppenderTests {
    private final class Shard: Sendable {
        let store: ShardStore<POSIXFileSystem>
        let appender: GroupAppender
        /// Where each sync of the log passes.
        let syncs: Latch
        let time = ManualTime()
        let failures = Shared([StoreError.Code]())
        private let thread = NIOThreadPool(numberOfThreads: 1)
        private let folder: URL

        init(_ pressure: GroupAppender.Pressure, _ change: (inout StoreOptions) -> Void) throws {
            folder = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-appender-\(UUID().uuidString)")
            var options = StoreOptions()
            let syncs = Latch()
            options.onSync = { _ in syncs.pass() }
            change(&options)
            store = try ShardStore.open(
                directory: folder.path, files: POSIXFileSystem(),
                identity: StoreIdentity(clusterID: 1, shard: 0, shardCount: 1, epoch: 1), options: options)
            thread.start()
            appender = GroupAppender(
                store, thread: thread, pressure: pressure, now: { [time] in time.now }, sleep: { [time] in await time.sleep(until: $0) }
            ) { [failures] error in failures.change { $0.append(error.code) } }
            self.syncs = syncs
        }

        func close() async {
            syncs.open()
            try? await thread.shutdownGracefully()
            store.close()
            try? FileManager.default.removeItem(at: folder)
        }

        /// Starts an append of some events.
        func append(
            project: UInt32 = 1, sequence: UInt64, rows: Int = 1, fingerprint: UInt32 = 0, numbers: [Int]? = nil, bytes: Int = 100
        ) -> Task<AppendResult, any Error> {
            let events = (0..<rows).map { Event(user: ByteString("user \(sequence) \($0)"), name: "e", time: 1_700_000_000_000_000) }
            let request = AppendRequest(
                project: project, producer: 1, sequence: sequence, part: 0, fingerprint: fingerprint,
                numbers: numbers.map { RowNumbers($0) }, batch: EventBatchBuilder(events).finish())
            return Task { try await appender.append(request, bytes: bytes) }
        }

        func waits(rows: Int, sourceLocation: SourceLocation = #_sourceLocation) async throws {
            try await eventually("\(appender.queued.rows) rows wait, not \(rows)", sourceLocation: sourceLocation) {
                appender.queued.rows == rows
            }
        }
    }

    private func with(
        _ pressure: GroupAppender.Pressure = .init(), options change: (inout StoreOptions) -> Void = { _ in },
        _ body: (Shard) async throws -> Void
    ) async throws {
        let shard = try Shard(pressure, change)
        do { try await body(shard) } catch {
            await shard.close()
            throw error
        }
        await shard.close()
    }

    private static func code(_ task: Task<AppendResult, any Error>) async -> ProtocolError.Code? {
        guard case .failure(let error) = await task.result else { return nil }
        return (error as? ProtocolError)?.code
    }

    // MARK: Groups

    @Test func appendsThatComeDuringASyncBecomeOneRecord() async throws {
        try await with { shard in
            shard.syncs.shut()
            let first = shard.append(sequence: 1)
            try await eventually { shard.syncs.arrived == 1 }
            let others = (2...40).map { shard.append(project: UInt32($0 % 3 + 1), sequence: UInt64($0), rows: $0 % 4 + 1) }
            let rows = (2...40).reduce(0) { $0 + $1 % 4 + 1 }
            try await shard.waits(rows: rows)
            #expect(shard.appender.queued.bytes == 3_900)
            shard.syncs.open()
            #expect(try await first.value == AppendResult(accepted: 1))
            for (i, task) in others.enumerated() {
                #expect(try await task.value == AppendResult(accepted: (i + 2) % 4 + 1), "append \(i + 2)")
            }
            #expect(shard.store.stats.syncs == 2 && shard.store.stats.appends == 40)
            #expect(shard.store.stats.rows == rows + 1)
            #expect(shard.appender.queued == (0, 0) && shard.failures.value.isEmpty)
        }
    }

    @Test func appendsOneAfterTheOtherAreARecordEach() async throws {
        try await with { shard in
            for sequence in 1...5 as ClosedRange<UInt64> { _ = try await shard.append(sequence: sequence).value }
            #expect(shard.store.stats.syncs == 5 && shard.store.stats.rows == 5)
        }
    }

    /// A project that sends much at once does not put off the others' appends to later groups.
    @Test func aGroupHasAnAppendOfEachProject() async throws {
        try await with { shard in
            shard.syncs.shut()
            let first = shard.append(sequence: 1)
            try await eventually { shard.syncs.arrived == 1 }
            // Each is half of a group.
            let large = (2...5).map { shard.append(project: 1, sequence: UInt64($0), bytes: 4 << 20) }
            try await shard.waits(rows: 4)
            let small = shard.append(project: 2, sequence: 6)
            try await shard.waits(rows: 5)
            shard.syncs.open()
            #expect(try await small.value.accepted == 1)
            #expect(try await first.value.accepted == 1)
            for task in large { #expect(try await task.value.accepted == 1) }
            // One large and the small one; then two large ones, and the last.
            #expect(shard.store.stats.syncs == 4)
        }
    }

    @Test func eachCallerGetsItsOwnOutcome() async throws {
        try await with { options in
            options.eventNamesMax = 1
        } _: { shard in
            _ = try await shard.append(sequence: 1, rows: 3, fingerprint: 7).value
            shard.syncs.shut()
            let first = shard.append(sequence: 2)
            try await eventually { shard.syncs.arrived == 1 }
            let good = shard.append(sequence: 3, rows: 4)
            let repeated = shard.append(sequence: 1, rows: 3, fingerprint: 7)
            let reused = shard.append(sequence: 1, rows: 2, fingerprint: 8)
            let invalid = shard.append(sequence: 4, rows: 2, numbers: [1, 2, 3])
            try await shard.waits(rows: 11)
            shard.syncs.open()
            #expect(try await first.value == AppendResult(accepted: 1))
            #expect(try await good.value == AppendResult(accepted: 4))
            #expect(try await repeated.value == AppendResult(accepted: 3, repeated: true))
            #expect(await Self.code(reused) == .sequenceReused)
            #expect(await Self.code(invalid) == .invalidMessage)
            #expect(shard.store.stats.syncs == 3 && shard.store.stats.rows == 8)
            #expect(shard.failures.value.isEmpty)
        }
    }

    // MARK: Errors of the store

    @Test func aFullDiskIsAnErrorOfTheWholeGroupAndOfNothingElse() async throws {
        try await with { options in
            options.reserveBytes = .max
        } _: { shard in
            let tasks = (1...12).map { shard.append(project: UInt32($0 % 2 + 1), sequence: UInt64($0)) }
            for task in tasks { #expect(await Self.code(task) == .storageFull) }
            #expect(shard.store.stats.rows == 0 && shard.store.stats.syncs == 0)
            #expect(shard.appender.queued == (0, 0))
            // The process goes on: space may come back.
            #expect(shard.failures.value.isEmpty)
        }
    }

    @Test func aStoreThatTakesNoWritesFailsTheGroupAndEndsTheProcess() async throws {
        try await with { shard in
            shard.syncs.shut()
            let first = shard.append(sequence: 1)
            try await eventually { shard.syncs.arrived == 1 }
            let others = (2...9).map { shard.append(sequence: UInt64($0), rows: 2) }
            try await shard.waits(rows: 16)
            // Waits for the append that is being written.
            let closing = Task.detached { shard.store.close() }
            shard.syncs.open()
            #expect(try await first.value.accepted == 1)
            var codes: [ProtocolError.Code?] = []
            for task in others { codes.append(await Self.code(task)) }
            await closing.value
            // All of the group have the same fate, whether it was written before the close or not.
            #expect(codes == Array(repeating: codes[0], count: 8))
            #expect(codes[0] == nil || codes[0] == .storageFailed)
            #expect(await Self.code(shard.append(sequence: 10)) == .storageFailed)
            // Reported after the answer.
            let failures = Array(repeating: StoreError.Code.poisoned, count: codes[0] == nil ? 1 : 2)
            try await eventually("\(shard.failures.value)") { shard.failures.value == failures }
            #expect(shard.appender.queued == (0, 0))
        }
    }

    @Test(arguments: [
        (StoreError.Code.noSpace, ProtocolError.Code.storageFull), (.sequenceExpired, .sequenceExpired), (.overloaded, .overloaded),
        (.sequenceReused, .sequenceReused), (.tooLarge, .tooLarge), (.invalid, .invalidMessage), (.cancelled, .cancelled),
        (.io, .storageFailed), (.poisoned, .storageFailed), (.corrupt, .storageFailed),
    ])
    func errorsOfTheStoreKeepTheirMeaning(code: StoreError.Code, expected: ProtocolError.Code) {
        let error = StoreError(code, "why it failed")
        let translated = GroupAppender.translate(error)
        #expect(translated.code == expected && translated.message.contains("why it failed"))
        #expect(!error.retryable || translated.retryable)
        // Whether the rows of a group are stored is not known after a failed write or sync.
        if code == .io || code == .poisoned { #expect(translated.outcome == .unknown) }
    }

    // MARK: Memory and the queue

    @Test func theQueueHasALimitAndAProjectHalfOfIt() async throws {
        try await with { shard in
            shard.syncs.shut()
            let first = shard.append(project: 3, sequence: 1)
            try await eventually { shard.syncs.arrived == 1 }
            let half = shard.append(project: 1, sequence: 2, bytes: 64 << 20)
            try await shard.waits(rows: 1)
            let over = await #expect(throws: ProtocolError.self) { try await shard.append(project: 1, sequence: 3, bytes: 1).value }
            #expect(over?.code == .overloaded && over?.message.contains("nothing was stored") == true)
            let other = shard.append(project: 2, sequence: 4, bytes: 64 << 20)
            try await shard.waits(rows: 2)
            #expect(await Self.code(shard.append(project: 3, sequence: 5, bytes: 1)) == .overloaded)
            #expect(shard.appender.queued == (128 << 20, 2))
            shard.syncs.open()
            for task in [first, half, other] { #expect(try await task.value.accepted == 1) }
            // There is room again.
            #expect(try await shard.append(project: 1, sequence: 3).value.accepted == 1)
            #expect(shard.store.stats.rows == 4)
        }
    }

    @Test func theRestGrowsWithTheMemoryInUse() {
        let pressure = GroupAppender.Pressure()
        #expect(pressure.rest(memtableBytes: 0) == .zero && pressure.rest(memtableBytes: pressure.slowBytes) == .zero)
        #expect(pressure.rest(memtableBytes: pressure.bytesMax) == pressure.restMax)
        #expect(pressure.rest(memtableBytes: 4 * pressure.bytesMax) == pressure.restMax)
        let rests = stride(from: pressure.slowBytes, through: pressure.bytesMax, by: 64 << 20).map { pressure.rest(memtableBytes: $0) }
        #expect(rests.count > 5 && zip(rests, rests.dropFirst()).allSatisfy { $0 < $1 }, "\(rests)")
    }

    @Test func aProjectThatHoldsMuchIsRefusedFirstAndThenAllAre() async throws {
        try await with { shard in
            _ = try await shard.append(project: 1, sequence: 1).value
            let pressure = GroupAppender.Pressure()
            shard.appender.note(memtableBytes: pressure.fullBytes)
            #expect(try await shard.append(project: 1, sequence: 2).value.accepted == 1)
            // A group that was written takes note of what is really in memory.
            shard.appender.note(memtableBytes: pressure.fullBytes + 1)
            #expect(await Self.code(shard.append(project: 1, sequence: 3)) == .overloaded)
            #expect(try await shard.append(project: 2, sequence: 4).value.accepted == 1)
            shard.appender.note(memtableBytes: pressure.bytesMax + 1)
            #expect(await Self.code(shard.append(project: 3, sequence: 5)) == .overloaded)
            #expect(shard.appender.queued == (0, 0))
            shard.appender.note(memtableBytes: 0)
            #expect(try await shard.append(project: 1, sequence: 3).value.accepted == 1)
            #expect(shard.store.stats.rows == 4)
        }
    }

    @Test func aProjectThatHoldsMuchRestsAndTheOthersGoOn() async throws {
        var pressure = GroupAppender.Pressure()
        (pressure.slowBytes, pressure.bytesMax) = (0, 1)
        try await with(pressure) { shard in
            _ = try await shard.append(project: 1, sequence: 1, rows: 50).value
            let resting = shard.append(project: 1, sequence: 2, rows: 5)
            try await shard.waits(rows: 5)
            try await shard.time.settle(1)
            // The other one holds little.
            #expect(try await shard.append(project: 2, sequence: 3).value.accepted == 1)
            #expect(try await shard.append(project: 2, sequence: 4).value.accepted == 1)
            #expect(shard.appender.queued.rows == 5)
            shard.time.pass(pressure.restMax - .milliseconds(1))
            #expect(shard.appender.queued.rows == 5)
            shard.time.pass(.milliseconds(1))
            #expect(try await resting.value == AppendResult(accepted: 5))
            #expect(shard.appender.queued == (0, 0))
            // Tasks that waited for the end of the same rest find nothing to do.
            try await shard.time.settle(0)
            #expect(shard.store.stats.rows == 57)
        }
    }
}

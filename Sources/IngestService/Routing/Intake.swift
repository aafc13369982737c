import FunnelModel
import FunnelProtocol
import Logging
import RPC
import ServiceHost
import ServiceRuntime

/// From a batch that was read to one that is durable: the last step before an acknowledgement, for every entrance.
struct Intake: Sendable {
    let router: ShardRouter
    let bodyBytesMax: Int
    let eventsMax: Int
    let parsing: WorkThreads
    private let figures: IngestMetrics
    private let requests = RequestNumbers()

    init(router: ShardRouter, bodyBytesMax: Int, eventsMax: Int, parsing: WorkThreads, metrics: Metrics) {
        self.router = router
        self.bodyBytesMax = bodyBytesMax
        self.eventsMax = eventsMax
        self.parsing = parsing
        figures = IngestMetrics(metrics)
    }

    /// - Parameter delivery: the sender's own numbering; nil: ingest's.
    /// - Returns: rows by their index in the request.
    func store(
        _ read: ReadBatch, delivery: ShardRouter.Delivery?, sender: Sender, logger: Logger
    ) async throws(ProtocolError) -> AppendOutcome {
        guard read.rejected.count > Self.rejectedAtOnceMax else { return try await storeAtOnce(read, delivery, sender, logger) }
        var good = read
        good.rejected = []
        let outcome = try await storeAtOnce(good, delivery, sender, logger)
        do {
            return try await parsing.run(sender.project) { adding(read.rejected, to: outcome, sender.project, logger) }
        } catch {
            throw ProtocolError(of: error)
        }
    }

    /// To add up more bad events than these takes long, and others wait for the threads that carry appends.
    static let rejectedAtOnceMax = 1_000

    private func storeAtOnce(
        _ read: ReadBatch, _ delivery: ShardRouter.Delivery?, _ sender: Sender, _ logger: Logger
    ) async throws(ProtocolError) -> AppendOutcome {
        if delivery == nil, let result = await gathered(read, sender: sender, logger: logger) { return try result.get() }
        var outcome = AppendOutcome(accepted: 0)
        if read.batch.count > 0 {
            let call = requests.next()
            // Ties the caller's request, which the logger carries, to the calls that shards log.
            logger.debug("append", metadata: ["call": "\(call)", "rows": "\(read.batch.count)", "project": "\(sender.project)"])
            do throws(ProtocolError) {
                outcome = try await router.append(read, delivery: delivery, sender: sender, request: call)
            } catch {
                figures.note(error, project: sender.project, logger: logger)
                throw error
            }
        }
        return finish(outcome, read, sender.project, logger)
    }

    /// Stores a few events together with those of other callers.
    /// - Parameter done: called on any thread, or before this returns.
    /// - Returns: false, with nothing done, where the events are too many for that.
    func gather(_ read: ReadBatch, sender: Sender, logger: Logger, done: @escaping @Sendable (Gatherer.Result) -> Void) -> Bool {
        if read.batch.count == 0 {
            done(.success(finish(AppendOutcome(accepted: 0), read, sender.project, logger)))
            return true
        }
        return router.gather(read, sender: sender) { result in
            if case .failure(let error) = result { figures.note(error, project: sender.project, logger: logger) }
            done(result.map { finish($0, read, sender.project, logger) })
        }
    }

    /// The same; nil, with nothing done, where the events are too many for that.
    private func gathered(_ read: ReadBatch, sender: Sender, logger: Logger) async -> Gatherer.Result? {
        await withCheckedContinuation { continuation in
            let isTaken = gather(read, sender: sender, logger: logger) { continuation.resume(returning: $0) }
            if !isTaken { continuation.resume(returning: nil) }
        }
    }

    /// Counts, and adds what was refused before anything was sent.
    private func finish(_ outcome: AppendOutcome, _ read: ReadBatch, _ project: UInt32, _ logger: Logger) -> AppendOutcome {
        figures.note(
            accepted: outcome.accepted, faults: [], refusedByShards: outcome.rejected.count, handedBack: outcome.retry.count,
            project: project,
            logger: logger)
        return adding(read.rejected, to: outcome, project, logger)
    }

    private func adding(
        _ rejected: [(index: Int, fault: EventFault)], to outcome: AppendOutcome, _ project: UInt32, _ logger: Logger
    ) -> AppendOutcome {
        guard !rejected.isEmpty else { return outcome }
        var outcome = outcome
        outcome.rejected += rejected.map { .init(row: $0.index, reason: $0.fault.reason) }
        outcome.rejected.sort { $0.row < $1.row }
        figures.note(accepted: 0, faults: rejected.map(\.fault), refusedByShards: 0, handedBack: 0, project: project, logger: logger)
        return outcome
    }

    /// Counts a single event that was refused before it became a batch.
    func noteRejected(_ fault: EventFault, project: UInt32, logger: Logger) {
        figures.note(accepted: 0, faults: [fault], refusedByShards: 0, handedBack: 0, project: project, logger: logger)
    }
}

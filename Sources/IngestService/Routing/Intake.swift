import FunnelModel
import FunnelProtocol
import FunnelRPC
import FunnelRuntime
import Logging

/// From a batch that was read to one that is durable: the last step before an acknowledgement, for every entrance.
struct Intake: Sendable {
    let router: ShardRouter
    let bodyBytesMax: Int
    let eventsMax: Int
    private let accepted: Counter
    private let rejected: Counter
    private let handedBack: Counter
    private let requests = RequestNumbers()

    init(router: ShardRouter, bodyBytesMax: Int, eventsMax: Int, metrics: Metrics) {
        self.router = router
        self.bodyBytesMax = bodyBytesMax
        self.eventsMax = eventsMax
        accepted = metrics.counter("sluice_ingest_events_accepted_total", "events durable on their shard, repeats included")
        rejected = metrics.counter("sluice_ingest_events_rejected_total", "events refused for what they hold")
        handedBack = metrics.counter("sluice_ingest_events_handed_back_total", "events whose shard failed; the client was told")
    }

    /// - Parameter delivery: the sender's own numbering; nil: ingest's.
    /// - Returns: rows by their index in the request.
    func store(
        _ read: ReadBatch, delivery: ShardRouter.Delivery?, project: UInt32, logger: Logger
    ) async throws(ProtocolError) -> AppendOutcome {
        if delivery == nil, let result = await gathered(read, project: project) { return try result.get() }
        var outcome = AppendOutcome(accepted: 0)
        if read.batch.count > 0 {
            let call = requests.next()
            // Ties the caller's request, which the logger carries, to the calls that shards log.
            logger.debug("append", metadata: ["call": "\(call)", "rows": "\(read.batch.count)", "project": "\(project)"])
            outcome = try await router.append(read, delivery: delivery, project: project, request: call)
        }
        return finish(outcome, read)
    }

    /// Stores a few events together with those of other callers.
    /// - Parameter done: called on any thread, or before this returns.
    /// - Returns: false, with nothing done, where the events are too many for that.
    func gather(_ read: ReadBatch, project: UInt32, done: @escaping @Sendable (Gatherer.Result) -> Void) -> Bool {
        if read.batch.count == 0 {
            done(.success(finish(AppendOutcome(accepted: 0), read)))
            return true
        }
        return router.gather(read, project: project) { result in done(result.map { finish($0, read) }) }
    }

    /// The same; nil, with nothing done, where the events are too many for that.
    private func gathered(_ read: ReadBatch, project: UInt32) async -> Gatherer.Result? {
        await withCheckedContinuation { continuation in
            let isTaken = gather(read, project: project) { continuation.resume(returning: $0) }
            if !isTaken { continuation.resume(returning: nil) }
        }
    }

    /// Adds what was refused before anything was sent, and counts.
    private func finish(_ outcome: AppendOutcome, _ read: ReadBatch) -> AppendOutcome {
        var outcome = outcome
        if !read.rejected.isEmpty {
            outcome.rejected += read.rejected.map { .init(row: $0.index, reason: $0.fault.reason) }
            outcome.rejected.sort { $0.row < $1.row }
        }
        accepted.add(outcome.accepted)
        rejected.add(outcome.rejected.count)
        handedBack.add(outcome.retry.count)
        return outcome
    }
}

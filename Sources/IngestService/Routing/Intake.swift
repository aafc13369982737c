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

    /// - Parameter delivery: the sender's own numbering; nil gives the batch a fresh one.
    /// - Returns: rows by their index in the request.
    func store(
        _ read: ReadBatch, delivery: ShardRouter.Delivery?, project: UInt32, logger: Logger
    ) async throws(ProtocolError) -> AppendOutcome {
        var outcome = AppendOutcome(accepted: 0)
        if read.batch.count > 0 {
            let call = requests.next()
            // Ties the caller's request, which the logger carries, to the calls that shards log.
            logger.debug("append", metadata: ["call": "\(call)", "rows": "\(read.batch.count)", "project": "\(project)"])
            outcome = try await router.append(
                read.batch, delivery: delivery ?? router.newDelivery(), project: project, request: call)
            outcome.retry = outcome.retry.map { read.index[$0] }
            outcome.rejected = outcome.rejected.map { .init(row: read.index[$0.row], reason: $0.reason) }
        }
        outcome.rejected += read.rejected.map { .init(row: $0.index, reason: $0.fault.reason) }
        outcome.rejected.sort { $0.row < $1.row }
        accepted.add(outcome.accepted)
        rejected.add(outcome.rejected.count)
        handedBack.add(outcome.retry.count)
        return outcome
    }
}

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
    private let figures: IngestMetrics
    private let requests = RequestNumbers()

    init(router: ShardRouter, bodyBytesMax: Int, eventsMax: Int, metrics: Metrics) {
        self.router = router
        self.bodyBytesMax = bodyBytesMax
        self.eventsMax = eventsMax
        figures = IngestMetrics(metrics)
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
            do throws(ProtocolError) {
                outcome = try await router.append(
                    read.batch, delivery: delivery ?? router.newDelivery(), project: project, request: call)
            } catch {
                figures.note(error, project: project, logger: logger)
                throw error
            }
            outcome.retry = outcome.retry.map { read.index[$0] }
            outcome.rejected = outcome.rejected.map { .init(row: read.index[$0.row], reason: $0.reason) }
        }
        outcome.rejected += read.rejected.map { .init(row: $0.index, reason: $0.fault.reason) }
        outcome.rejected.sort { $0.row < $1.row }
        figures.note(
            accepted: outcome.accepted, faults: read.rejected.map(\.fault),
            refusedByShards: outcome.rejected.count - read.rejected.count, handedBack: outcome.retry.count, project: project, logger: logger)
        return outcome
    }

    /// Counts a single event that was refused before it became a batch.
    func noteRejected(_ fault: EventFault, project: UInt32, logger: Logger) {
        figures.note(accepted: 0, faults: [fault], refusedByShards: 0, handedBack: 0, project: project, logger: logger)
    }
}

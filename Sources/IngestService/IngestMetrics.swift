import FunnelModel
import FunnelProtocol
import Logging
import RPC
import ServiceRuntime

/// Counts events and batches by project and outcome.
struct IngestMetrics: Sendable {
    /// Why single events are rejected: the field at fault, or `limit` if a limit of their project on names, keys or users is
    /// reached.
    private enum Reason: String, CaseIterable {
        case user = "user_id"
        case event, timestamp, properties, limit, body, other
        case id = "event_id"

        init(_ fault: EventFault) {
            self =
                switch fault.field.prefix(while: { $0 != "." }) {
                case "event_type": .event
                case "": .body
                case let field: Reason(rawValue: String(field)) ?? .other
                }
        }

        var place: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    }

    private let accepted: ProjectCounters
    private let rejected: ProjectCounters
    private let handedBack: Counter
    private let refused: ProjectCounters
    private let limit = LogLimit()

    init(_ metrics: Metrics) {
        accepted = metrics.counters(
            "sluice_ingest_events_accepted_total", "events stored durably by their shard, those of retries included")
        rejected = metrics.counters(
            "sluice_ingest_events_rejected_total", "events rejected, by the field at fault; limit = a limit of the project is reached",
            by: Reason.allCases.map { [("reason", $0.rawValue)] })
        handedBack = metrics.counter("sluice_ingest_events_handed_back_total", "events handed back for a retry, since their shard failed")
        refused = metrics.counters(
            "sluice_ingest_batches_refused_total", "batches refused as a whole, by error code; nothing or an unknown part was stored",
            by: ProtocolError.Code.allCases.map { [("code", $0.traits.name)] })
    }

    /// Counts the events of one request.
    /// - Parameters:
    ///   - faults: of events that ingest rejected.
    ///   - refusedByShards: events that shards rejected; they count as `limit`.
    func note(accepted count: Int, faults: [EventFault], refusedByShards: Int, handedBack retry: Int, project: UInt32, logger: Logger) {
        accepted.add(count, project: project)
        for fault in faults { rejected.add(1, Reason(fault).place, project: project) }
        rejected.add(refusedByShards, Reason.limit.place, project: project)
        handedBack.add(retry)
        guard refusedByShards > 0 else { return }
        limit.log(
            logger, .warning, "limit \(project)", "events refused: their project has reached a limit",
            ["project": "\(project)", "events": "\(refusedByShards)"])
    }

    /// Counts and logs a batch that was refused as a whole.
    func note(_ error: ProtocolError, project: UInt32, logger: Logger) {
        refused.add(1, ProtocolError.Code.allCases.firstIndex(of: error.code) ?? 0, project: project)
        limit.log(
            logger, .warning, "\(error.code) \(error.shards)", "batch refused",
            ["project": "\(project)", "code": "\(error.code.traits.name)", "reason": "\(error.message)"])
    }
}

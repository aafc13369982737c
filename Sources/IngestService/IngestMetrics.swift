import FunnelModel
import FunnelProtocol
import Logging
import RPC
import ServiceRuntime

/// Counts events and batches by project and outcome.
package struct IngestMetrics: Sendable {
    private let accepted: ProjectCounters
    private let rejected: ProjectCounters
    private let handedBack: Counter
    private let refused: ProjectCounters
    private let limited: [RequestLimit: Counter]
    private let ruled: ProjectCounters
    private let limit = LogLimit()

    package init(_ metrics: Metrics) {
        accepted = metrics.counters(
            "sluice_ingest_events_accepted_total", "events stored durably by their shard, those of retries included")
        rejected = metrics.counters(
            "sluice_ingest_events_rejected_total", "events rejected, by the field at fault; limit = a limit of the project is reached",
            by: RejectReason.allCases.map { [("reason", $0.rawValue)] })
        handedBack = metrics.counter("sluice_ingest_events_handed_back_total", "events handed back for a retry, since their shard failed")
        refused = metrics.counters(
            "sluice_ingest_batches_refused_total", "batches refused as a whole, by error code; nothing or an unknown part was stored",
            by: ProtocolError.Code.allCases.map { [("code", $0.traits.name)] })
        limited = Dictionary(
            uniqueKeysWithValues: RequestLimit.allCases.map { limit in
                let help = "requests that a limit refused as a whole, over HTTP and the wire, those of SDKs too"
                return (limit, metrics.counter("sluice_ingest_limited_total", help, labels: [("limit", limit.rawValue)]))
            })
        ruled = metrics.counters(
            "sluice_ingest_rules_events_total", "events that normalisation rules changed, dropped or rejected, those of retries included",
            by: RuleEffect.outcomes.map { [("outcome", $0)] })
    }

    /// Counts the events of one request as the shards answered, before those that ingest itself rejected are added.
    package func note(_ outcome: AppendOutcome, project: UInt32, logger: Logger) {
        accepted.add(outcome.accepted, project: project)
        handedBack.add(outcome.retry.count)
        var last: (text: String, reason: RejectReason)?
        var overLimit = 0
        for row in outcome.rejected {
            // Rows of one request mostly have one reason.
            let reason = last.flatMap { $0.text == row.reason ? $0.reason : nil } ?? RejectReason(ofShard: row.reason)
            last = (row.reason, reason)
            rejected.add(1, reason.place, project: project)
            if reason == .limit { overLimit += 1 }
        }
        guard overLimit > 0 else { return }
        limit.log(
            logger, .warning, "limit \(project)", "events refused: their project has reached a limit",
            ["project": "\(project)", "events": "\(overLimit)"])
    }

    /// Counts events that ingest rejected.
    package func note(_ faults: some Sequence<EventFault>, project: UInt32) {
        for fault in faults { rejected.add(1, RejectReason(fault).place, project: project) }
    }

    /// Counts and logs a request that a named limit refused as a whole.
    func note(_ refused: RequestLimit, logger: Logger) {
        limited[refused]?.add()
        limit.log(logger, .warning, refused.rawValue, "requests refused by a limit", ["limit": "\(refused.rawValue)"])
    }

    /// Counts what rules have made of the events of one request.
    func note(_ effect: RuleEffect, project: UInt32) {
        for (outcome, count) in effect.counts.enumerated() { ruled.add(count, outcome, project: project) }
    }

    /// Counts and logs a batch that was refused as a whole.
    func note(_ error: ProtocolError, project: UInt32, logger: Logger) {
        refused.add(1, ProtocolError.Code.allCases.firstIndex(of: error.code) ?? 0, project: project)
        limit.log(
            logger, .warning, "\(error.code) \(error.shards)", "batch refused",
            ["project": "\(project)", "code": "\(error.code.traits.name)", "reason": "\(error.message)"])
    }
}

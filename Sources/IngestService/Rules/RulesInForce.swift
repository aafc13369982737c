import EventRules
import FunnelModel
import FunnelProtocol
import Logging
import ServiceRuntime
import Synchronization

/// The normalisation rules of all projects as the coordinator sent them last, compiled.
package final class RulesInForce: Sendable {
    private struct Entry {
        var sent: ProjectRules
        var tables: RuleTables
    }

    private struct State {
        var entries: [UInt32: Entry] = [:]
        /// By project: the revision of rules that this release cannot read. Those before stay in force.
        var unreadable: [UInt32: UInt64] = [:]
    }

    private let state = Mutex(State())
    /// Whether any project has rules. Without, a request costs one load.
    private let isUsed = Atomic<Bool>(false)
    private let logger: Logger

    package init(logger: Logger) { self.logger = logger }

    /// The rules of a project; nil if it has none. A request takes them once, so that all its events meet one revision.
    package func tables(of project: UInt32) -> RuleTables? {
        guard isUsed.load(ordering: .relaxed) else { return nil }
        return state.withLock { $0.entries[project]?.tables }
    }

    /// The newest revision in force; 0: no project has rules.
    package var newest: UInt64 { state.withLock { $0.entries.values.map(\.sent.revision).max() ?? 0 } }

    /// Number of projects whose newest rules cannot be read.
    package var unreadable: Int { state.withLock { $0.unreadable.count } }

    /// Puts the rules of all projects in force.
    /// - Returns: those that are in force then: of a project whose rules cannot be read, the last ones.
    package func take(_ list: [ProjectRules]) -> [ProjectRules] {
        var next = State()
        let before = state.withLock { $0 }
        for sent in list {
            if let known = before.entries[sent.project], known.sent == sent {
                next.entries[sent.project] = known
                continue
            }
            do throws(InvalidDocument) {
                let rules = try RuleList.parse(sent.document.bytes)
                next.entries[sent.project] = Entry(sent: sent, tables: RuleTables(rules, revision: sent.revision))
            } catch {
                next.unreadable[sent.project] = sent.revision
                next.entries[sent.project] = before.entries[sent.project]
                if before.unreadable[sent.project] != sent.revision { warn(of: sent, error, before.entries[sent.project]?.sent.revision) }
            }
        }
        state.withLock { $0 = next }
        isUsed.store(!next.entries.isEmpty, ordering: .relaxed)
        return next.entries.values.map(\.sent).sorted { $0.project < $1.project }
    }

    private func warn(of sent: ProjectRules, _ fault: InvalidDocument, _ last: UInt64?) {
        logger.warning(
            "normalisation rules cannot be read by this release; the last ones stay in force: upgrade this service",
            metadata: [
                "project": "\(sent.project)", "revision": "\(sent.revision)", "in_force": "\(last ?? 0)",
                "fault": "\(fault.faults.first.map { "\($0.field): \($0.reason)" } ?? "")",
            ])
    }

    package func addMetrics(to metrics: Metrics) {
        metrics.gauge("sluice_ingest_rules_revision", "newest revision of normalisation rules in force; 0: no project has any") {
            Double(self.newest)
        }
        metrics.gauge(
            "sluice_ingest_rules_unreadable", "projects whose newest rules this release cannot read; earlier ones are in force"
        ) { Double(self.unreadable) }
    }
}

import FunnelModel
import Notifications

/// A saved cohort and what became of its runs.
package struct CohortEntry: Equatable, Sendable {
    package var project: UInt32
    package var cohort: SyncedCohort
    package var revision: UInt64
    package var state: CohortState
    /// Each change of the state or of a list needs it, so that of two changes at a time one is not made.
    var stateRevision: UInt64

    /// The cohort with all defaults, and its state.
    package var json: JSONValue { .object((cohort.json.asObject ?? []) + [.init("state", state.shown)]) }
}

extension SyncedCohort {
    /// Reads and checks a document together with the question that it asks. Throws all faults at once.
    package static func parseWithQuestion(_ document: JSONValue) throws(InvalidDocument) -> SyncedCohort {
        try parse(document) { query in
            do throws(InvalidDocument) {
                _ = try UsersRequest.parse(query, now: 20_000 * 86_400_000_000)
                return []
            } catch {
                return error.faults
            }
        }
    }
}

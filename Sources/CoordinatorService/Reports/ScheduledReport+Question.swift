import FunnelModel
import Notifications

extension ScheduledReport {
    /// Reads and checks a document together with the question that it asks. Throws all faults at once.
    package static func parseWithQuestion(_ document: JSONValue) throws(InvalidDocument) -> ScheduledReport {
        try parse(document) { query in
            do throws(InvalidDocument) {
                _ = try QueryRequest.parse(query, now: 20_000 * 86_400_000_000)
                return []
            } catch {
                return error.faults
            }
        }
    }
}

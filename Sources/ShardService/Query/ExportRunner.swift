import EventStorage
import FunnelModel
import FunnelProtocol

/// Answers one page of an export. It runs among the heavy scans, so that queries and appends go first.
struct ExportRunner: Sendable {
    let workers: QueryWorkers
    let project: UInt32
    let shard: Int
    /// The data id of the open store.
    let data: UInt64

    /// - Parameter view: its `isCancelled` was made by `QueryWorkers.polling`.
    func run(_ query: ExportQuery, _ view: StoreView) async throws -> (body: [UInt8], events: Int) {
        if let after = query.after, after.data != data {
            let reason = "shard \(shard) has other data than those that the cursor is of; begin the export anew"
            throw ProtocolError(.invalidQuery, "cursor: \(reason)", faults: [FieldFault("cursor", reason)])
        }
        let data = self.data
        return try await workers.admitting(project) {
            try await workers.run(QueryJob(project: project, isHeavy: true)) {
                let page = try matching { try view.exportPage(query.question, after: query.after?.position, eventsMax: query.limit) }
                let next = page.next.map { ExportPlace(data: data, position: $0) }
                return (ExportPageMessage(batch: page.batch, next: next).body, page.batch.count)
            }
        }
    }
}

import FunnelModel
import FunnelProtocol
import RPC
import ServiceRuntime

extension QueryEngine {
    /// The cursor at which an export begins, or that of the request.
    func exportCursor(_ request: ExportRequest, project: UInt32, now: Int64) throws(InvalidDocument) -> ExportCursor {
        let shards = fleet.links.count
        let subject = ExportCursor.subject(of: request.question, project: project, shards: shards)
        guard let text = request.cursor else {
            let bucket = request.question.user.map { ClusterMap.bucket(ofUser: $0) }
            let first = bucket.flatMap { bucket in fleet.links.firstIndex { $0.buckets.contains(bucket) } }
            return ExportCursor(asOf: now, subject: subject, shard: first ?? 0)
        }
        guard let cursor = ExportCursor(text.string), cursor.shard < shards else {
            throw InvalidDocument([FieldFault("cursor", "is not a cursor of this cluster; leave it out to begin the export anew")])
        }
        guard cursor.subject == subject else {
            let reason = "is of an export with another project, start, end, event or user; give the same ones, or no cursor"
            throw InvalidDocument([FieldFault("cursor", reason)])
        }
        return cursor
    }

    /// The next page of an export; it is empty only at the end. Each shard's part is a heavy query of its own, so that an export waits
    /// for its turn again and again.
    func exportPage(
        _ question: ExportQuestion, at cursor: ExportCursor, limit: Int, project: UInt32
    ) async throws -> (batch: EventBatch, next: ExportCursor?) {
        var cursor = cursor
        while true {
            let (batch, place) = try await part(question, cursor, limit, project)
            if let place {
                cursor.place = place
            } else {
                let isLast = question.user != nil || cursor.shard + 1 >= fleet.links.count
                cursor = ExportCursor(asOf: cursor.asOf, subject: cursor.subject, shard: cursor.shard + 1)
                if isLast { return (batch, nil) }
            }
            if batch.count > 0 { return (batch, cursor) }
        }
    }

    private func part(
        _ question: ExportQuestion, _ cursor: ExportCursor, _ limit: Int, _ project: UInt32
    ) async throws -> (batch: EventBatch, next: ExportPlace?) {
        let start = ContinuousClock.now
        let deadline = QueryRequest.defaultDeadline
        let query = ExportQuery(question: question, limit: limit, after: cursor.place)
        let others = Set(fleet.links.map(\.id)).subtracting([fleet.links[cursor.shard].id])
        let gathered = try await gate.run(project, isHeavy: true, until: start + deadline) {
            try await fanOut(deadline, start, without: others) { link, left, number in
                let frames = try await link.list(.partialExport, query.body, project: project, request: number, timeout: left)
                return try await self.aside.run(project, isLong: true) {
                    try decodingAnswer("export page", of: link.name) { () throws(ByteError) in
                        guard frames.count == 1 else { throw ByteError(offset: 0, reason: "\(frames.count) frames instead of one") }
                        let page = try ExportPageMessage(body: frames[0])
                        return (page.batch, page.next)
                    }
                }
            }
        }
        _ = try judge(gathered.missing, newest: nil, false)
        guard let page = gathered.answers.first else { throw ProtocolError(.unknownError, "a shard gave no page") }
        return page
    }
}

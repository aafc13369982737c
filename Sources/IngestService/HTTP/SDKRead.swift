import EventSDKs
import FunnelModel
import FunnelProtocol
import ServiceRuntime

/// A request of an SDK whose body was read: its records, and their events as rows.
struct SDKRead: Sendable {
    let endpoint: SDKEndpoint
    let request: SDKRequest
    let batch: SDKBatch
    /// Rows have the indexes of their records. A record that was rejected is not in it.
    let rows: ReadBatch

    /// Reads a body. Throws `SDKFault`.
    /// - Parameter keyInBody: whether the API key is needed, and not in the head.
    init(_ head: SDKRequest, _ body: [UInt8], keyInBody: Bool, eventsMax: Int) throws {
        var request = head
        request.body = body
        guard let endpoint = SDKEndpoint.owner(of: request) else { throw SDKFault.malformed("the body has no events of a known form") }
        let now = WallClock.now()
        var batch = try endpoint.read(request, now: now, limit: eventsMax, keyInBody: keyInBody)
        let reader = EventReader(now: now)
        var builder = EventBatchBuilder()
        var index: [Int] = []
        var claims = ClaimList()
        for i in batch.records.indices where batch.records[i].rejected == nil {
            let record = batch.records[i]
            for (place, document) in record.events.enumerated() {
                do throws(EventFault) {
                    var event = try reader.read(document, text: [], 0..<0)
                    event.serverTimed = record.isServerTimed && !event.id.isEmpty
                    builder.append(event)
                    index.append(i)
                } catch {
                    // The rows after the first are of a profile; the event counts without them.
                    if place == 0 { batch.records[i].rejected = error }
                    break
                }
            }
            if batch.records[i].rejected == nil { for claim in record.claims { claims.append(claim, index: i) } }
        }
        let faults = batch.records.indices.compactMap { i in batch.records[i].rejected.map { (index: i, fault: $0) } }
        self.endpoint = endpoint
        self.request = request
        self.batch = batch
        rows = ReadBatch(batch: builder.finish(), index: index, rejected: faults, claims: claims)
    }

    /// A record that was rejected: its native event or, if that is not known, the record itself.
    func content(_ index: Int) -> RejectedEvent.Content {
        let record = batch.records[index]
        guard let event = record.events.first else { return RejectedEvent.Content(record.source, product: "\(endpoint.product)") }
        return RejectedEvent.Content(event.encode())
    }

    /// What became of the records.
    func outcome(_ stored: AppendOutcome) -> SDKOutcome {
        var rejected: [Int: EventFault] = [:]
        for row in stored.rejected where batch.records[row.row].rejected == nil {
            rejected[row.row] = EventFault("event", row.reason)
        }
        return SDKOutcome(rejected: rejected, retry: Set(stored.retry).sorted())
    }
}

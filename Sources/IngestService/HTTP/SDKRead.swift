import EventRules
import EventSDKs
import FunnelModel
import FunnelProtocol
import ServiceRuntime

/// A request of an SDK whose body was read: its records, and their events as rows.
struct SDKRead: Sendable {
    let endpoint: SDKEndpoint
    let request: SDKRequest
    private(set) var batch: SDKBatch
    /// Rows have the indexes of their records. A record that was rejected is not in it.
    private(set) var rows: ReadBatch

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
        self.endpoint = endpoint
        self.request = request
        self.batch = batch
        rows = ReadBatch(batch: builder.finish(), index: index, rejected: [], claims: claims)
        rows.rejected = faults
    }

    private var faults: [(index: Int, fault: EventFault)] {
        batch.records.indices.compactMap { i in batch.records[i].rejected.map { (i, $0) } }
    }

    /// The same request after the rules of its project. A record whose first event the rules reject is rejected; a later one is a row of
    /// a profile, and is left out alone.
    func ruled(by tables: RuleTables) -> SDKRead {
        var read = self
        var effect = RuleEffect()
        if tables.missingTimestamp(at: endpoint.product.endpoint) == .reject {
            let fault = tables.timestampFault(at: endpoint.product.endpoint)
            for i in batch.records.indices where batch.records[i].isServerTimed && batch.records[i].rejected == nil {
                read.batch.records[i].rejected = fault
                effect.rejected.append(i)
            }
        }
        let index = rows.index
        let result = tables.apply(to: rows.batch)
        for (row, fault) in result.rejected where read.batch.records[index[row]].rejected == nil {
            guard row == 0 || index[row - 1] != index[row] else { continue }
            read.batch.records[index[row]].rejected = fault
            effect.rejected.append(index[row])
        }
        func isKept(_ record: Int) -> Bool { read.batch.records[record].rejected == nil }
        effect.changed = result.changed.count { isKept(index[$0]) }
        effect.dropped = result.dropped.map { index[$0.row] }.filter(isKept)
        let kept = result.rows.indices.filter { isKept(index[result.rows[$0]]) }
        var claims = rows.claims
        if !effect.rejected.isEmpty {
            // An entry of the list is for equal claims of several records.
            claims = ClaimList()
            for i in batch.records.indices where isKept(i) { for claim in batch.records[i].claims { claims.append(claim, index: i) } }
        }
        read.rows = ReadBatch(
            batch: kept.count < result.rows.count ? result.batch.gather(kept) : result.batch, index: kept.map { index[result.rows[$0]] },
            rejected: read.faults, claims: claims)
        read.rows.ruled = effect
        return read
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

extension SDKProduct {
    /// As rules name it.
    fileprivate var endpoint: EventEndpoint {
        switch self {
        case .segment: .segment
        case .posthog: .posthog
        case .mixpanel: .mixpanel
        case .amplitude: .amplitude
        case .snowplow: .snowplow
        case .cloudEvents: .cloudevents
        }
    }
}

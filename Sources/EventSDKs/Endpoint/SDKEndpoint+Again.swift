import FunnelModel

extension SDKEndpoint {
    /// Reads one record that was sent to an endpoint before, and rejected.
    ///
    /// - Parameters:
    ///   - record: JSON, as `SDKRecord.source` has it.
    ///   - product: as text, and the path that it was sent to, or `kafka` for a message.
    ///   - time: when it came, for a record without a time.
    /// - Throws: an `EventFault` if the endpoint is not known, or the record is rejected again.
    package static func readAgain(_ record: JSONValue, product: String, path: String, time: Int64) throws(EventFault) -> SDKRecord {
        guard
            var endpoint = all.first(where: { "\($0.product)" == product && ($0.path == path || path == "kafka") && $0.takesEvents })
        else {
            throw EventFault("endpoint", "\(product.prefix(60)) has no endpoint \(path.prefix(120))")
        }
        // Records of a GET are in its query; each such endpoint has one that takes the same records in a body.
        if endpoint.method != .post {
            endpoint = all.first { $0.product == endpoint.product && $0.method == .post && $0.takesEvents } ?? endpoint
        }
        var request = SDKRequest(endpoint.method, endpoint.path, headers: [("content-type", endpoint.contentTypeOfOne)])
        request.body = endpoint.body(of: record).encode()
        let batch: SDKBatch
        do throws(SDKFault) {
            batch = try endpoint.read(request, now: time, limit: 1)
        } catch {
            throw EventFault("record", "\(error)")
        }
        guard let read = batch.records.first else { throw EventFault("record", "has no event") }
        if let fault = read.rejected { throw fault }
        return read
    }

    private var contentTypeOfOne: String { product == .cloudEvents ? "application/cloudevents+json" : "application/json" }

    /// A body with one record.
    private func body(of record: JSONValue) -> JSONValue {
        switch call {
        case .segmentBatch: ["batch": [record]]
        case .amplitudeUpload: ["events": [record]]
        case .snowplowPayload: ["data": [record]]
        case .mixpanelTrack, .mixpanelImport, .mixpanelEngage, .mixpanelGroups: [record]
        default: record
        }
    }
}

import EventShapes
import FunnelModel

extension SDKEndpoint {
    /// The answer to a request whose records were read: success, even if some were rejected, with the product's own list of these
    /// where it has one. If records must be sent again, the SDK is made to send at least these; repeats are recognised by their ids.
    package func answer(_ batch: SDKBatch, _ outcome: SDKOutcome, to request: SDKRequest, now: Int64) -> SDKAnswer {
        let report = BatchReport(batch, outcome)
        if !outcome.retry.isEmpty, let answer = partAnswer(report, outcome, batch) { return answer.waiting(max(outcome.retryAfter, 1)) }
        switch call {
        case .segmentBatch, .segmentCall: return SDKAnswer(json: ["success": true])
        case .posthogCapture: return SDKAnswer(json: ["status": 1])
        case .posthogResults: return SDKAnswer(json: ["results": .object(report.resultsByID(batch, PostHog.mapping.shape))])
        case .mixpanelTrack, .mixpanelImport, .mixpanelEngage, .mixpanelGroups: return mixpanelAnswer(report, batch)
        case .amplitudeUpload:
            var members: [JSONValue.Member] = [
                .init("code", 200), .init("events_ingested", .count(report.stored)),
                .init("payload_size_bytes", .count(request.body.count)), .init("server_upload_time", .integer(now / 1_000)),
            ]
            for (name, isMissing) in [("events_with_missing_fields", true), ("events_with_invalid_fields", false)] as [(ByteString, Bool)] {
                let fields = report.fields(isMissing: isMissing, Amplitude.mapping.shape)
                if !fields.isEmpty { members.append(.init(name, .object(fields))) }
            }
            return SDKAnswer(json: .object(members))
        case .snowplowPayload: return SDKAnswer(text: "ok")
        case .snowplowPixel: return .pixel
        case .cloudEvents:
            return SDKAnswer(json: ["accepted": .count(report.stored), "rejected": .array(report.reasons(CloudEvents.mapping.shape))])
        case .segmentSettings, .posthogFlags, .posthogConfig, .posthogScript, .posthogRecording, .snowplowHealth:
            return fixedAnswer(to: request) ?? SDKAnswer(text: "ok")
        }
    }

    /// The answer if some records must be sent again; nil if the one of success names them.
    private func partAnswer(_ report: BatchReport, _ outcome: SDKOutcome, _ batch: SDKBatch) -> SDKAnswer? {
        switch call {
        case .posthogResults: return nil
        case .amplitudeUpload: return SDKAnswer.throttled(outcome.retry)
        case .cloudEvents:
            return SDKAnswer(
                503,
                json: [
                    "accepted": .count(report.stored), "retry": .array(outcome.retry.map { .count($0) }),
                    "rejected": .array(report.reasons(CloudEvents.mapping.shape)),
                    "detail": "some events are not stored: send those of \"retry\" again",
                ])
        default: return plainAnswer(.overloaded(retryAfter: outcome.retryAfter))
        }
    }

    private func mixpanelAnswer(_ report: BatchReport, _ batch: SDKBatch) -> SDKAnswer {
        switch batch.reply {
        case .usual: return SDKAnswer(json: ["status": 1, "error": nil])
        case .digit: return SDKAnswer(json: 1)
        case .image: return .pixel
        case .strictReport where !report.rejected.isEmpty:
            let failed: [JSONValue] = report.rejected.map { index, fault in
                [
                    "index": .count(index), "insert_id": .string(batch.records[index].messageID),
                    "field": .text(Mixpanel.field(fault.field)), "message": .text(fault.message),
                ]
            }
            return SDKAnswer(
                400,
                json: [
                    "code": 400, "error": "some data points in the request failed validation", "failed_records": .array(failed),
                    "num_records_imported": .count(report.stored), "status": "Bad Request",
                ])
        case .report, .strictReport:
            return SDKAnswer(json: ["code": 200, "num_records_imported": .count(report.stored), "status": "OK"])
        }
    }
}

/// What answers say about the records of a batch.
private struct BatchReport {
    /// In order of the request.
    let rejected: [(index: Int, fault: EventFault)]
    let retry: Set<Int>
    /// Number of records that are neither rejected nor to be sent again.
    let stored: Int

    init(_ batch: SDKBatch, _ outcome: SDKOutcome) {
        let rejected = batch.records.enumerated().compactMap { index, record in
            (record.rejected ?? outcome.rejected[index]).map { (index, $0) }
        }
        self.rejected = rejected
        retry = Set(outcome.retry.filter(batch.records.indices.contains)).subtracting(rejected.map(\.0))
        stored = batch.records.count - rejected.count - retry.count
    }

    func reasons(_ shape: EventShape) -> [JSONValue] {
        rejected.map { ["index": .count($0.index), "reason": .text($0.fault.reason(shape))] }
    }

    /// Indexes of rejected records by the product's name of the field at fault.
    func fields(isMissing: Bool, _ shape: EventShape) -> [JSONValue.Member] {
        var order: [String] = []
        var indexes: [String: [JSONValue]] = [:]
        for (index, fault) in rejected where (fault.type == "missing") == isMissing {
            let field = shape.name(ofField: fault.field)
            if indexes[field] == nil { order.append(field) }
            indexes[field, default: []].append(.count(index))
        }
        return order.map { .init(ByteString($0), .array(indexes[$0] ?? [])) }
    }

    /// PostHog's result of each event, by its id; without one by `#` and its index. If two events have one id, the one to send again counts.
    func resultsByID(_ batch: SDKBatch, _ shape: EventShape) -> [JSONValue.Member] {
        let faults = Dictionary(rejected.map { ($0.index, $0.fault) }) { first, _ in first }
        var places: [ByteString: Int] = [:]
        var members: [JSONValue.Member] = []
        for (index, record) in batch.records.enumerated() {
            let id = record.messageID.isEmpty ? ByteString("#\(index)") : record.messageID
            let result: JSONValue =
                if retry.contains(index) {
                    ["result": "retry", "details": "not stored"]
                } else if let fault = faults[index] {
                    ["result": "drop", "details": .text(fault.reason(shape))]
                } else if !record.ignored.isEmpty {
                    ["result": "warning", "details": .text(record.ignored.joined(separator: "; "))]
                } else {
                    ["result": "ok"]
                }
            if let place = places[id] {
                if retry.contains(index) { members[place].value = result }
            } else {
                places[id] = members.count
                members.append(.init(id, result))
            }
        }
        return members
    }
}

extension EventFault {
    /// The reason by the product's name of the field.
    fileprivate func reason(_ shape: EventShape) -> String { EventFault(shape.name(ofField: field), message, type).reason }
}

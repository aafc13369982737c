import FunnelModel

extension SDKEndpoint {
    /// Reads a request.
    ///
    /// - Parameters:
    ///   - now: the server's time in microseconds, for records without a time and for the range of times.
    ///   - limit: max number of records.
    ///   - keyInBody: whether the API key is a member of the records. It is not stored.
    /// - Throws: if the body cannot be read as a whole. A record that cannot be read is rejected alone.
    package func read(_ request: SDKRequest, now: Int64, limit: Int, keyInBody: Bool = false) throws(SDKFault) -> SDKBatch {
        let reader = RequestReader(endpoint: self, request: request, now: now, limit: limit, keyInBody: keyInBody)
        switch call {
        case .segmentBatch: return try reader.segmentBatch()
        case .segmentCall(let call): return try reader.segmentCall(call)
        case .posthogCapture, .posthogResults: return try reader.posthog()
        case .mixpanelTrack, .mixpanelImport: return try reader.mixpanelEvents()
        case .mixpanelEngage: return try reader.mixpanelProfiles(groups: false)
        case .mixpanelGroups: return try reader.mixpanelProfiles(groups: true)
        case .amplitudeUpload: return try reader.amplitude()
        case .snowplowPayload, .snowplowPixel: return try reader.snowplow()
        case .cloudEvents: return try reader.cloudEvents()
        case .segmentSettings, .posthogFlags, .posthogConfig, .posthogScript, .posthogRecording, .snowplowHealth: return SDKBatch()
        }
    }
}

/// Reads one request; an extension for each product has its calls.
struct RequestReader {
    let endpoint: SDKEndpoint
    let request: SDKRequest
    let now: Int64
    let limit: Int
    let keyInBody: Bool

    /// Reads the records of a body one by one, and finds the API key.
    /// - Parameter form: the form around the body.
    func batch(
        _ body: BodyRecords, form: FormFields? = nil, _ read: (SourceRecord) throws(EventFault) -> SDKRecord
    ) throws(SDKFault) -> SDKBatch {
        var batch = SDKBatch()
        var eventKeys: [ByteString?] = []
        for index in 0..<body.count {
            let (record, key) = try record(index, of: body, read)
            batch.records.append(record)
            eventKeys.append(key)
        }
        batch.key = endpoint.key(inHeadOf: request) ?? endpoint.key(in: body.envelope) ?? form.flatMap(endpoint.key(inForm:))
        if batch.key == nil { batch.takeKey(ofEvents: eventKeys) }
        return batch
    }

    private func record(
        _ index: Int, of body: BodyRecords, _ read: (SourceRecord) throws(EventFault) -> SDKRecord
    ) throws(SDKFault) -> (record: SDKRecord, key: ByteString?) {
        let source: SourceRecord
        do throws(EventFault) {
            source = try body.record(index)
        } catch {
            if body.isSingle { throw .malformed(error.message) }
            // Its text may hold the API key, so it is not kept.
            var record = SDKRecord(rejected: error)
            record.messageID = endpoint.messageIDs.lazy.compactMap { body.text(at: $0, of: index) }.first ?? ""
            return (record, nil)
        }
        var record: SDKRecord
        do throws(EventFault) {
            record = try read(source)
            try source.checkIDs(of: record)
        } catch {
            record = SDKRecord(rejected: error)
            record.source = endpoint.withoutKey(source.value).encode()
        }
        record.messageID = endpoint.messageIDs.text(in: source.value) ?? ""
        return (record, endpoint.key(ofEvent: source.value))
    }
}

extension SourceRecord {
    /// Throws if the name or an id has half of a surrogate pair: as U+FFFD it would be that of others too.
    fileprivate func checkIDs(of record: SDKRecord) throws(EventFault) {
        var ids = record.claims.flatMap { [("user_id", $0.child), ("user_id", $0.parent)] }
        for event in record.events {
            for (field, name) in [("user_id", "user_id"), ("event", "event_type"), ("event_id", "event_id")] as [(String, ByteString)] {
                if let id = event[name]?.asString { ids.append((field, id)) }
            }
        }
        guard let found = ids.first(where: { HalfSurrogate.maybeIn($0.1) }), HalfSurrogate.isIn(text, range) else { return }
        throw .halfSurrogate(found.0)
    }
}

extension SDKBatch {
    /// Takes the first key of the events. Events with another one, or without, are rejected, and not kept: they may be of another project.
    fileprivate mutating func takeKey(ofEvents keys: [ByteString?]) {
        key = keys.lazy.compactMap { $0 }.first
        if key == nil { return }
        for index in records.indices where keys[index] != key && records[index].rejected == nil {
            let messageID = records[index].messageID
            records[index] = SDKRecord(rejected: EventFault("token", "is missing, or is not the API key of the request's first event"))
            records[index].messageID = messageID
        }
    }
}

extension SDKEndpoint {
    /// Places of the ids by which answers name events.
    fileprivate var messageIDs: [MemberPlace] {
        switch product {
        case .posthog: ["uuid"]
        case .mixpanel: ["properties.$insert_id"]
        case .segment, .amplitude, .snowplow, .cloudEvents: []
        }
    }

    /// The key as a field of a form.
    fileprivate func key(inForm form: FormFields) -> ByteString? {
        for case .body(let name) in keys {
            if let key = form.value(name.string), !key.isEmpty { return ByteString(key) }
        }
        return nil
    }
}

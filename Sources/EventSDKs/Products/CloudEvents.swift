import EventShapes
import FunnelModel

/// Events in the CloudEvents format over HTTP (CloudEvents 1.0, HTTP protocol binding).
///
/// | native | taken from |
/// |---|---|
/// | event | `type` |
/// | user | the extension `userid`, or `user_id` of the object `data` |
/// | without a user | the extension `anonymousid`, `anonymous_id` of `data`, or `subject` |
/// | id | `source`, a blank, `id`: together they are unique |
/// | time | `time` |
/// | properties | the members of `data`, and the other attributes. Data that are no object become the property `data` |
enum CloudEvents {
    static let mapping = SDKMapping {
        $0.shape.user = ["userid", "data.user_id"]
        $0.shape.anonymous = ["anonymousid", "data.anonymous_id", "subject"]
        $0.shape.event = ["type"]
        $0.shape.time = ["time"]
        $0.shape.id = ["id"]
        $0.shape.spread = ["data"]
        $0.shape.leftOut = ["specversion", "datacontenttype", "data_base64"]
        $0.claims = [ClaimRule(child: ["anonymousid", "data.anonymous_id"], parent: ["userid", "data.user_id"])]
        $0.pageURL = ["data.page_url", "data.url"]
        $0.referrer = ["data.page_referrer", "data.referrer"]
    }

    /// Whether a request to a path of native events has CloudEvents.
    static func has(_ request: SDKRequest) -> Bool {
        request.contentType.hasPrefix("application/cloudevents") || request.header("ce-specversion") != nil
    }

    /// Whether data of a media type are JSON; without one they are.
    static func isJSON(_ type: String) -> Bool {
        let type = type.prefix { $0 != ";" && $0 != " " }.lowercased()
        return type.isEmpty || type.hasSuffix("/json") || type.hasSuffix("+json")
    }

    /// Data as a value; nil if they are neither JSON nor text.
    static func value(_ data: [UInt8], type: String) throws(EventFault) -> JSONValue? {
        if data.isEmpty { return .null }
        guard isJSON(type) else {
            guard type.lowercased().hasPrefix("text/"), isValidUTF8(data) else { return nil }
            return .string(ByteString(data))
        }
        do {
            return try JSONParser.parse(data)
        } catch {
            throw EventFault("data", error.description, "json_invalid")
        }
    }
}

extension RequestReader {
    func cloudEvents() throws(SDKFault) -> SDKBatch {
        var reader = RecordReader(CloudEvents.mapping, now: now)
        let type = request.contentType
        switch type {
        case "application/cloudevents+json", "application/cloudevents":
            return try batch(.single(request.body)) { source throws(EventFault) in try Self.cloudEvent(source.value, &reader) }
        case "application/cloudevents-batch+json", "application/cloudevents-batch":
            let body = try BodyRecords.list(request.body, named: "", takesSingle: false, limit: limit)
            return try batch(body) { source throws(EventFault) in try Self.cloudEvent(source.value, &reader) }
        case _ where type.hasPrefix("application/cloudevents"):
            throw .unsupported("the format \(type.prefix(60)) is not supported; use application/cloudevents+json")
        default:
            let record: SDKRecord
            do throws(EventFault) {
                record = try Self.cloudEvent(try binary(), &reader)
            } catch {
                record = SDKRecord(rejected: error)
            }
            return SDKBatch(key: endpoint.key(inHeadOf: request), records: [record])
        }
    }

    /// An event in binary mode, as it is in structured mode.
    private func binary() throws(EventFault) -> JSONValue {
        var members: [JSONValue.Member] = []
        for field in request.headers where field.name.hasPrefix("ce-") && field.name.utf8.count > 3 {
            let name = String(field.name.dropFirst(3))
            guard let value = FormFields.decode(Array(field.value.utf8)[...], plusIsBlank: false), isValidUTF8(value) else {
                throw EventFault(name, "cannot be decoded")
            }
            members.append(.init(ByteString(name), .string(ByteString(value))))
        }
        let type = request.header("content-type") ?? ""
        members.removeAll { $0.key == "data" || $0.key == "data_base64" || $0.key == "datacontenttype" }
        members.append(.init("datacontenttype", .text(type)))
        if let data = try CloudEvents.value(request.body, type: type) {
            members.append(.init("data", data))
        } else {
            members.append(.init("data_base64", ""))
        }
        return .object(members)
    }

    private static func cloudEvent(_ event: JSONValue, _ reader: inout RecordReader) throws(EventFault) -> SDKRecord {
        for name in ["specversion", "id", "source", "type"] as [ByteString] {
            guard let text = event[name]?.asString, !text.isEmpty else { throw EventFault(name.string, "field required", "missing") }
            if name == "specversion", !text.bytes.starts(with: "1.".utf8) {
                throw EventFault("specversion", "\"\(text.string.prefix(60))\" is not supported; 1.0 is")
            }
        }
        var ignored: [String] = []
        let source = SourceRecord(value: try withObjectAsData(event, &ignored))
        var draft = try reader.draft(source)
        draft.id = EventDraft.id(event["source"]?.asString ?? "", " ", draft.id)
        if let subject = event["subject"], subject != draft.user { draft.properties.insert(.init("subject", subject), at: 0) }
        var record = SDKRecord(draft)
        record.ignored = ignored
        record.claims = try reader.claims(of: source, named: "", at: draft.instant)
        record.events = [reader.event(draft, of: source)]
        return record
    }

    /// The event with its data as an object.
    private static func withObjectAsData(_ event: JSONValue, _ ignored: inout [String]) throws(EventFault) -> JSONValue {
        var data = event["data"] ?? .null
        if data == .null, let encoded = event["data_base64"]?.asString {
            guard let bytes = Base64.decode(encoded.bytes) else { throw EventFault("data_base64", "is not base64") }
            let type = event["datacontenttype"]?.asString?.string ?? ""
            if !bytes.isEmpty, let value = try CloudEvents.value(bytes, type: type) {
                data = value
            } else {
                ignored.append("data of the type \"\(type.prefix(60))\" are not supported")
            }
        }
        if data != .null, data.asObject == nil { data = .object([.init("data", data)]) }
        return .object((event.asObject ?? []).filter { $0.key != "data" } + [.init("data", data)])
    }
}

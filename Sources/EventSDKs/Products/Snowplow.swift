import EventShapes
import FunnelModel

/// Events of Snowplow's tracker protocol.
enum Snowplow {
    static let mapping = SDKMapping {
        $0.shape.user = ["uid"]
        $0.shape.anonymous = devices
        $0.shape.event = []
        // Milliseconds: the true time if it was set, or else the device's.
        $0.shape.time = ["ttm", "dtm"]
        $0.shape.id = ["eid"]
        $0.shape.spread = []
        $0.shape.leftOut = ["e", "stm", "ue_pr", "ue_px", "co", "cx"]
        $0.claims = devices.map { ClaimRule(child: [MemberPlace(stringLiteral: $0.name.string)], parent: ["uid"]) }
        $0.pageURL = ["url"]
        $0.referrer = ["refr"]
    }

    /// The tracker's own id, the collector's, and the one that a tracker sets instead of the collector's.
    private static let devices: [MemberPath] = ["duid", "nuid", "tnuid"]

    /// Limits of an entity (context) whose members become properties.
    private static let entityBytes = 1_024
    private static let entityDepth = 4
    /// Limit of the entities of one event together.
    private static let entitiesBytes = 8 * 1_024

    /// JSON that describes itself: the name of its schema, and its data.
    struct SelfDescribing {
        let name: ByteString
        let data: JSONValue

        init?(_ value: JSONValue) {
            guard let schema = value["schema"]?.asString, let data = value["data"] else { return nil }
            // iglu:VENDOR/NAME/FORMAT/VERSION
            let parts = schema.bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            guard parts.count == 4, !parts[1].isEmpty else { return nil }
            name = ByteString(parts[1])
            self.data = data
        }

        var members: [JSONValue.Member] { data.asObject ?? [.init("data", data)] }
    }

    /// A member as JSON: its text, or base64 of it as another member.
    static func json(_ event: JSONValue, _ plain: ByteString, _ encoded: ByteString) throws(EventFault) -> JSONValue? {
        var text: [UInt8]
        if let given = event[plain]?.asString, !given.isEmpty {
            text = given.bytes
        } else if let given = event[encoded]?.asString, !given.isEmpty {
            guard let decoded = Base64.decode(given.bytes) else { throw EventFault(encoded.string, "is not base64", "json_invalid") }
            text = decoded
        } else {
            return nil
        }
        do {
            return try JSONParser.parse(text)
        } catch {
            throw EventFault(plain.string, error.description, "json_invalid")
        }
    }

    /// The entities of an event as properties `NAME.MEMBER`, by the names of their schemas. Entities that are large, or of a name that
    /// another one had, are left out.
    static func entities(_ event: JSONValue) throws(EventFault) -> (properties: [JSONValue.Member], leftOut: [String]) {
        let list = try json(event, "co", "cx")?["data"]?.asArray ?? []
        var properties: [JSONValue.Member] = []
        var leftOut = 0
        var names: Set<ByteString> = []
        var bytes = 0
        for value in list {
            guard let entity = SelfDescribing(value) else {
                leftOut += 1
                continue
            }
            let size = entity.data.encode().count
            if size <= entityBytes, bytes + size <= entitiesBytes, entity.data.isWithin(depth: entityDepth),
                names.insert(entity.name).inserted
            {
                bytes += size
                properties.append(.init(entity.name, .object(entity.members)))
            } else {
                leftOut += 1
            }
        }
        return (properties, leftOut == 0 ? [] : ["\(leftOut) of \(list.count) entities are large, repeated or without a schema"])
    }
}

extension RequestReader {
    func snowplow() throws(SDKFault) -> SDKBatch {
        var reader = RecordReader(Snowplow.mapping, now: now)
        return try batch(try snowplowBody()) { source throws(EventFault) in try snowplowRecord(source, &reader) }
    }

    private func snowplowBody() throws(SDKFault) -> BodyRecords {
        if request.method == .post { return try .list(request.body, named: "data", takesSingle: false, limit: limit) }
        guard let members = request.queryFields.members() else { throw .malformed("the query cannot be decoded") }
        return members.isEmpty ? try .lines([], limit: limit) : BodyRecords(single: .object(members))
    }

    private func snowplowRecord(_ source: SourceRecord, _ reader: inout RecordReader) throws(EventFault) -> SDKRecord {
        let event = source.value
        var draft = try reader.draft(source)
        // The app id that serves as the API key, or could: everyone who may read the project would see it.
        let keyInHead = endpoint.key(inHeadOf: request)
        draft.properties.removeAll { property in
            guard property.key == "aid", let id = property.value.asString else { return false }
            return keyInBody || id == keyInHead || id.bytes.starts(with: "sk_".utf8)
        }
        draft.properties = draft.properties.flatMap(SnowplowParameters.properties)
        switch event["e"]?.asString {
        case "pv": draft.name = "page_view"
        case "pp": draft.name = "page_ping"
        case "tr": draft.name = "transaction"
        case "ti": draft.name = "transaction_item"
        case "se": draft.name = event["se_ac"] ?? .null
        case "ue":
            guard let outer = try Snowplow.json(event, "ue_pr", "ue_px")?["data"], let own = Snowplow.SelfDescribing(outer) else {
                throw EventFault("ue_pr", "must be an event with a schema and data")
            }
            draft.name = .string(own.name)
            draft.properties += own.members
        case let other?: throw EventFault("e", "\"\(other.string.prefix(60))\" is not supported")
        case nil: throw EventFault("e", "field required", "missing")
        }
        let entities = try Snowplow.entities(event)
        draft.properties = entities.properties + draft.properties
        var record = SDKRecord(draft)
        record.ignored = entities.leftOut
        record.claims = try reader.claims(of: source, named: "", at: draft.instant)
        record.events = [reader.event(draft, of: source)]
        return record
    }
}

extension JSONValue {
    /// Whether objects and lists are nested no deeper.
    fileprivate func isWithin(depth: Int) -> Bool {
        switch self {
        case .object(let members): depth > 0 && members.allSatisfy { $0.value.isWithin(depth: depth - 1) }
        case .array(let values): depth > 0 && values.allSatisfy { $0.isWithin(depth: depth - 1) }
        default: true
        }
    }
}

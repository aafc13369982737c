import Codec
import EventSDKs
import Foundation
import FunnelModel

/// A request as an SDK makes it: events in a form of an endpoint, and a key in one of its places.
struct SDKCall: Sendable {
    struct Key: Sendable {
        var place: SDKEndpoint.KeyPlace
        var text: String
    }

    let endpoint: SDKEndpoint
    let form: SDKEndpoint.BodyForm
    let events: [JSONValue]
    /// As the product's SDKs spell it.
    var path: String
    var query = ""
    var headers: [String: String] = [:]
    var body: [UInt8]?

    init(_ endpoint: SDKEndpoint, _ events: [JSONValue], as form: SDKEndpoint.BodyForm, key: Key? = nil) throws {
        self.endpoint = endpoint
        self.form = form
        path = endpoint.product == .posthog ? endpoint.path + "/" : endpoint.path
        let names = try key.map { try Self.names(of: $0.place) } ?? []
        self.events = key.map { key in names.isEmpty ? events : events.map { $0.setting(names, to: .text(key.text)) } } ?? events
        write(key)
    }

    func send(to cluster: Cluster, from source: String? = nil) async throws -> HTTP.Answer {
        let target = query.isEmpty ? path : "\(path)?\(query)"
        return try await PlainHTTP.call(
            endpoint.method.rawValue, cluster.ingestHTTP, target, body: body, headers: headers, from: source)
    }

    // MARK: - Key

    /// The places of keys in events that tests know; `MemberPlace` does not give its names away.
    private static let places = ["writeKey", "properties.token", "token", "api_key", "$token", "aid"]

    /// The names of a place in events; empty for other places.
    private static func names(of place: SDKEndpoint.KeyPlace) throws -> [ByteString] {
        guard case .event(let member) = place else { return [] }
        guard let text = places.first(where: { MemberPlace(stringLiteral: $0) == member }) else {
            throw Trouble("a place that the test does not know: \(member)")
        }
        return text.split(separator: ".").map { ByteString($0) }
    }

    /// Whether a body can have a key there: Mixpanel's JSON is a list, which has no members beside the events.
    static func canHold(_ place: SDKEndpoint.KeyPlace, _ endpoint: SDKEndpoint, _ form: SDKEndpoint.BodyForm) -> Bool {
        guard case .body = place else { return true }
        return form == .form || endpoint.product != .mixpanel
    }

    // MARK: - Request

    private mutating func write(_ key: Key?) {
        var envelope: [JSONValue.Member] = []
        switch key?.place {
        case .bearer: headers["Authorization"] = "Bearer \(key?.text ?? "")"
        case .basic: headers["Authorization"] = "Basic \(Data("\(key?.text ?? ""):".utf8).base64EncodedString())"
        case .path: path = path.replacing("{key}", with: key?.text ?? "")
        case .query(let name): query = "\(name)=\(Self.escaped(key?.text ?? ""))&"
        case .body(let name): envelope = [.init(name, .text(key?.text ?? ""))]
        case .event, nil: break
        }
        switch form {
        case .json:
            body = document(envelope).encode()
            headers["Content-Type"] = endpoint.call == .cloudEvents ? "application/cloudevents-batch+json" : "application/json"
        case .lines:
            body = Array(events.map { $0.encode() }.joined(separator: [10]))
            headers["Content-Type"] = "application/x-ndjson"
        case .form:
            body = Array(Self.fields([.init("data", .string(ByteString(document([]).encode())))] + envelope).utf8)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        case .query where endpoint.product == .snowplow: query += Self.fields(events.first?.asObject ?? [])
        case .query: query += Self.fields([.init("data", .string(ByteString(document([]).encode())))])
        case .data:
            for member in events.first?.asObject ?? [] { headers["ce-\(member.key)"] = member.value.asString?.string }
            body = Array("{}".utf8)
            headers["Content-Type"] = "application/json"
        }
    }

    private func document(_ envelope: [JSONValue.Member]) -> JSONValue {
        func list(_ name: ByteString) -> JSONValue { .object(envelope + [.init(name, .array(events))]) }
        switch endpoint.call {
        case .segmentBatch, .posthogResults: return list("batch")
        case .posthogCapture where endpoint.path == "/batch": return list("batch")
        case .amplitudeUpload: return list("events")
        case .snowplowPayload: return list("data")
        case .segmentCall, .posthogCapture: return .object(envelope + (events.first?.asObject ?? []))
        case .mixpanelTrack, .mixpanelImport, .mixpanelEngage, .mixpanelGroups, .snowplowPixel, .cloudEvents, .segmentSettings,
            .posthogFlags, .posthogConfig, .posthogScript, .posthogRecording, .snowplowHealth:
            return .array(events)
        }
    }

    private static func fields(_ members: [JSONValue.Member]) -> String {
        members.map { "\($0.key)=\(escaped($0.value.asString?.string ?? ""))" }.joined(separator: "&")
    }

    private static func escaped(_ text: String) -> String { text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? text }

    // MARK: - Answers

    /// The beginning of the answer to one event that is stored.
    var success: String {
        switch endpoint.call {
        case .segmentBatch, .segmentCall: #"{"success":true}"#
        case .posthogCapture, .posthogRecording: #"{"status":1}"#
        case .posthogResults: #"{"results":{"\#(events.first?["uuid"]?.asString?.string ?? "")":{"result":"ok"}}}"#
        case .mixpanelTrack, .mixpanelEngage, .mixpanelGroups: "1"
        case .mixpanelImport: form == .form ? #"{"status":1,"# : #"{"code":200,"num_records_imported":1,"#
        case .amplitudeUpload: #"{"code":200,"events_ingested":1,"#
        case .snowplowPixel: endpoint.method == .head ? "" : "GIF89a"
        case .cloudEvents: #"{"accepted":1,"rejected":[]}"#
        case .snowplowPayload, .snowplowHealth: "ok"
        case .segmentSettings, .posthogFlags, .posthogConfig: "{"
        case .posthogScript: ""
        }
    }

    /// Whether an answer says in the language of the SDK that the request failed.
    func isRefused(_ answer: HTTP.Answer, for fault: SDKFault, status: Int?) -> Bool {
        let fields = headers.map { (name: $0.key, value: $0.value) }
        let words = endpoint.answer(fault, to: SDKRequest(endpoint.method, path, headers: fields))
        // Amplitude's answer names the events, where they were read to find the key.
        if endpoint.product == .amplitude, case .rateLimited = fault, answer.status == 429 {
            return answer.json["throttled_events"]?.asArray?.isEmpty == false
        }
        return answer.status == status && (endpoint.method == .head ? answer.body.isEmpty : answer.body == words.body)
    }
}

// MARK: - Events

extension SDKCall {
    /// An event of a user; nil if the call takes no events.
    static func event(_ call: SDKEndpoint.Call, user: String, id: String) -> JSONValue? {
        let (userID, id) = (JSONValue.text(user), JSONValue.text(id))
        let time: JSONValue = "2023-11-14T22:13:20Z"
        switch call {
        case .segmentBatch: return ["type": "track", "event": "paid", "userId": userID, "messageId": id, "timestamp": time]
        case .segmentCall(let call):
            let own: [JSONValue.Member] =
                switch call {
                case .track: [.init("event", "paid")]
                case .group: [.init("groupId", "g")]
                case .alias: [.init("previousId", .text("old \(user)"))]
                case .identify, .page, .screen: []
                }
            return .object(own + [.init("userId", userID), .init("messageId", id), .init("timestamp", time)])
        case .posthogCapture, .posthogResults: return ["event": "paid", "distinct_id": userID, "uuid": id, "timestamp": time]
        case .mixpanelTrack, .mixpanelImport:
            return ["event": "paid", "properties": ["distinct_id": userID, "$insert_id": id, "time": 1_700_000_000]]
        case .mixpanelEngage: return ["$distinct_id": userID, "$insert_id": id, "$time": 1_700_000_000, "$set": ["plan": "pro"]]
        case .mixpanelGroups:
            return ["$group_key": "company", "$group_id": userID, "$insert_id": id, "$time": 1_700_000_000, "$set": ["plan": "pro"]]
        case .amplitudeUpload: return ["user_id": userID, "event_type": "paid", "insert_id": id, "time": 1_700_000_000_000]
        case .snowplowPayload, .snowplowPixel: return ["e": "se", "se_ac": "paid", "uid": userID, "eid": id, "dtm": "1700000000000"]
        case .cloudEvents: return ["specversion": "1.0", "source": "tests", "type": "paid", "userid": userID, "id": id, "time": time]
        case .segmentSettings, .posthogFlags, .posthogConfig, .posthogScript, .posthogRecording, .snowplowHealth: return nil
        }
    }

    /// The names of the rows of all events. `*` does not match profile records.
    static let names: JSONValue = ["paid", "page", "screen", "$identify", "$set", "$groupidentify"]

    /// The user of the event's row; nil if it has none.
    static func storedUser(_ call: SDKEndpoint.Call, _ user: String) -> String? {
        switch call {
        case .segmentCall(.alias): nil
        case .mixpanelGroups: "$company_\(user)"
        default: user
        }
    }
}

extension JSONValue {
    /// The document with a value at a place in it.
    fileprivate func setting(_ names: some Collection<ByteString>, to value: JSONValue) -> JSONValue {
        guard let name = names.first else { return value }
        let inner = (self[name] ?? [:]).setting(Array(names.dropFirst()), to: value)
        return .object((asObject ?? []).filter { $0.key != name } + [.init(name, inner)])
    }
}

/// zlib's format (RFC 1950): the data of gzip without its header of 10 bytes and its trailer of 8, and an Adler-32.
func zlib(_ bytes: [UInt8]) -> [UInt8]? {
    var (low, high): (UInt32, UInt32) = (1, 0)
    for byte in bytes {
        low = (low + UInt32(byte)) % 65_521
        high = (high + low) % 65_521
    }
    let checksum = [high >> 8, high, low >> 8, low].map { UInt8(truncatingIfNeeded: $0) }
    return Gzip.encode(bytes).map { [0x78, 0xDA] + $0[10..<($0.count - 8)] + checksum }
}

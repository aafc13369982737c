import FunnelModel

/// An event that came to an ingest lately (`PROTOCOL.md` section 7, "Incoming events").
package struct IncomingEvent: Equatable, Sendable {
    /// Max bytes of the event's text that are kept.
    package static let recordMax = 2 << 10
    private static let reasonMax = 512

    /// When it came, in microseconds since 1970 UTC; no two of a project on one ingest are equal.
    package var time: Int64
    package var endpoint: String
    /// Id of the created API key; nil for another one, or none.
    package var key: String?
    /// Event name and user id; empty if they are not known.
    package var event: String
    package var user: String
    /// Why it was rejected; nil if it was taken.
    package var reason: String?
    package var record: String

    package init(time: Int64, endpoint: String, key: String?, event: String, user: String, reason: String?, record: String) {
        self.time = time
        self.endpoint = String(ProtocolError.cut(endpoint, to: Limits.eventNameBytes).string)
        self.key = key
        self.event = ProtocolError.cut(event, to: Limits.eventNameBytes).string
        self.user = ProtocolError.cut(user, to: Limits.userIDBytes).string
        self.reason = reason.map { ProtocolError.cut($0, to: Self.reasonMax).string }
        self.record = ProtocolError.cut(record, to: Self.recordMax).string
    }

    /// An event that was taken.
    package init(_ event: Event, time: Int64, endpoint: String, key: String?) {
        self.init(
            time: time, endpoint: endpoint, key: key, event: event.name.string, user: event.user.string, reason: nil,
            record: String(decoding: event.json.encode(), as: UTF8.self))
    }

    package init(_ rejected: RejectedEvent) {
        let bytes = rejected.content.bytes
        var (event, user) = ("", "")
        if case .text = rejected.content {} else { (event, user) = Self.names((try? JSONParser.parse(bytes)) ?? .null) }
        self.init(
            time: rejected.time, endpoint: rejected.endpoint, key: rejected.key, event: event, user: user, reason: rejected.reason,
            record: String(decoding: bytes.prefix(2 * Self.recordMax), as: UTF8.self))
    }

    /// Event name and user id by the names that native events and SDKs use.
    private static func names(_ record: JSONValue) -> (event: String, user: String) {
        func first(_ names: [ByteString]) -> String {
            for place in [record, record["properties"] ?? .null] {
                for name in names {
                    if let text = place[name]?.asString, !text.isEmpty { return text.string }
                }
            }
            return ""
        }
        return (
            first(["event_type", "event", "type", "name", "se_ac", "e"]),
            first(["user_id", "userId", "distinct_id", "$distinct_id", "userid", "uid", "anonymous_id", "anonymousId", "device_id", "duid"])
        )
    }

    /// As both the wire and the HTTP API have it. The coordinator adds which ingest it was.
    package func json(ingest: String? = nil) -> JSONValue {
        func text(_ text: String?) -> JSONValue { text.map { $0.isEmpty ? .null : .text($0) } ?? .null }
        var members: [JSONValue.Member] = [.init("time", .text(Timestamp.format(time)))]
        if let ingest { members.append(.init("ingest", .text(ingest))) }
        members += [
            .init("endpoint", .text(endpoint)), .init("key", text(key)), .init("event", text(event)), .init("user_id", text(user)),
            .init("outcome", reason == nil ? "taken" : "rejected"), .init("reason", text(reason)), .init("record", .text(record)),
        ]
        return .object(members)
    }

    /// Nil if the document is not that of an event.
    package init?(_ document: JSONValue) {
        func text(_ name: ByteString) -> String? { document[name]?.asString?.string }
        guard let time = document["time"]?.asString.flatMap({ try? Timestamp.parse($0) }), let endpoint = text("endpoint"),
            let outcome = text("outcome"), outcome == "taken" || outcome == "rejected", let record = text("record")
        else { return nil }
        self.init(
            time: time, endpoint: endpoint, key: text("key"), event: text("event") ?? "", user: text("user_id") ?? "",
            reason: outcome == "rejected" ? text("reason") ?? "" : nil, record: record)
    }
}

/// Which incoming events are asked for: the parameters of `GET /v1/rejected`, and the document of the wire call `incoming`.
package struct IncomingRequest: Equatable, Sendable {
    package enum Kind: String, CaseIterable, Sendable { case rejected, taken, all }

    package static let limitMax = 200

    package var kind = Kind.rejected
    package var limit = 100
    /// Only events that came later, in microseconds since 1970 UTC; nil is all that are kept.
    package var after: Int64?
    /// A part of the event's name; empty is any.
    package var event = ""

    package init(kind: Kind = .rejected, limit: Int = 100, after: Int64? = nil, event: String = "") {
        self.kind = kind
        self.limit = limit
        self.after = after
        self.event = event
    }

    /// Reads members whose values are texts, as in a query string. Throws all faults at once.
    package static func parse(_ document: JSONValue) throws(InvalidDocument) -> IncomingRequest {
        var reader = FieldReader(document)
        var request = IncomingRequest()
        if let kind: Kind = reader.choice("kind") { request.kind = kind }
        if let text = reader.string("limit") {
            if let limit = Int(text.string), (1...limitMax).contains(limit) {
                request.limit = limit
            } else {
                reader.faultAt("limit", "must be an integer from 1 to \(limitMax)")
            }
        }
        if let text = reader.string("after") {
            do throws(Timestamp.Fault) { request.after = try Timestamp.parse(text) } catch { reader.faultAt("after", error.reason) }
        }
        if let text = reader.string("event") {
            request.event = text.string
            if text.count > Limits.eventNameBytes { reader.faultAt("event", "is longer than \(Limits.eventNameBytes) bytes") }
        }
        reader.rejectUnknown()
        guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return request
    }

    package var json: JSONValue {
        var members: [JSONValue.Member] = [.init("kind", .text(kind.rawValue)), .init("limit", .text("\(limit)"))]
        if let after { members.append(.init("after", .text(Timestamp.format(after)))) }
        if !event.isEmpty { members.append(.init("event", .text(event))) }
        return .object(members)
    }

    package func takes(_ found: IncomingEvent) -> Bool {
        let isKind =
            switch kind {
            case .all: true
            case .rejected: found.reason != nil
            case .taken: found.reason == nil
            }
        return isKind && after.map { found.time > $0 } ?? true && (event.isEmpty || found.event.contains(event))
    }
}

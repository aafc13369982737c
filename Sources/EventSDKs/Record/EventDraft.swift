import FunnelModel

/// A native event while it is made from a record.
struct EventDraft {
    var user: JSONValue
    var name: JSONValue
    /// As the client wrote it.
    var time: JSONValue
    /// The same in microseconds since 1970.
    let instant: Int64
    let isServerTimed: Bool
    /// Whether the user id is the anonymous one.
    var isAnonymous = false
    /// Empty if the record has none.
    var id: ByteString
    var properties: [JSONValue.Member]

    /// Takes a native event apart.
    /// - Parameter now: the server's time, for an event without one.
    init(_ event: JSONValue, now: Int64) throws(EventFault) {
        user = event["user_id"] ?? .null
        name = event["event_type"] ?? .null
        id = event["event_id"]?.asString ?? ""
        properties = event["properties"]?.asObject ?? []
        let given = event["timestamp"]
        isServerTimed = given == nil
        time = given ?? .text(Timestamp.format(now))
        instant = try given.map { time throws(EventFault) in try Self.instant(time, now) } ?? now
    }

    private static func instant(_ time: JSONValue, _ now: Int64) throws(EventFault) -> Int64 {
        do throws(Timestamp.Fault) {
            let instant: Int64
            switch time {
            case .string(let text): instant = try Timestamp.parse(text)
            case .integer(let number): instant = try Timestamp.fromInteger(number)
            case .double(let number): instant = try Timestamp.fromNumber(number)
            default: throw Timestamp.Fault(reason: "must be text or a number, not \(time.typeName)")
            }
            try Timestamp.checkRange(instant, now: now)
            return instant
        } catch {
            let shown = time.asString.map { "\"\($0.string.prefix(60))\": " } ?? ""
            throw EventFault("timestamp", shown + error.reason, "datetime_parsing")
        }
    }

    var document: JSONValue { document(name, id: id, properties) }

    /// Another event of the same user and time.
    func document(_ name: JSONValue, id: ByteString, _ properties: [JSONValue.Member]) -> JSONValue {
        var members: [JSONValue.Member] = [.init("user_id", user), .init("timestamp", time)]
        if name != .null { members.append(.init("event_type", name)) }
        if !id.isEmpty { members.append(.init("event_id", .string(id))) }
        members.append(.init("properties", .object(properties)))
        return .object(members)
    }

    /// An id made of two parts. A first part that makes it too long is replaced by its hash.
    static func id(_ first: ByteString, _ separator: String, _ second: ByteString) -> ByteString {
        if first.isEmpty || second.isEmpty { return "" }
        let rest = Array(separator.utf8) + second.bytes
        if first.count + rest.count <= Limits.eventIDBytes { return ByteString(first.bytes + rest) }
        return ByteString(Array(String(XXH64.hash(first.bytes), radix: 16).utf8) + rest)
    }
}

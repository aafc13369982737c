/// Why an event was rejected: the field, a message for people, and a type for programs.
package struct EventFault: Error, Equatable, Sendable {
    package var field: String
    package var message: String
    package var type: String

    package init(_ field: String, _ message: String, _ type: String = "value_error") {
        self.field = field
        self.message = message
        self.type = type
    }

    package static let tooFarAhead = EventFault("timestamp", Timestamp.Fault.tooFarAhead.reason)
    package static func halfSurrogate(_ field: String) -> EventFault {
        EventFault(field, JSONFault.halfSurrogate.description, "json_invalid")
    }
    /// For well-formed text with an ambiguous member (`FUNNEL.md` section 1, "Ambiguous JSON").
    init(_ error: JSONError) { self.init(error.field, error.reason, "json_invalid") }

    /// Field and message; a fault of the whole record has no field.
    package var reason: String { field.isEmpty ? message : "\(field): \(message)" }
}

/// What a client sends: an event, perhaps with the claim that its two ids are one person, or such a claim alone.
package enum EventRecord: Sendable {
    case event(Event, Claim?)
    case alias(Claim)
}

/// What becomes of an event whose timestamp is absent, null or empty.
package enum MissingTime: Sendable {
    /// It gets the server's time and is marked as server-timed. `EventScanner` takes the mark from an event without an id.
    case serverTime
    /// It is rejected for this reason.
    case reject(EventFault)
}

/// Reads one event from JSON and checks it against every limit. Unknown fields are ignored.
package struct EventReader: Sendable {
    /// The server's time in microseconds, which timestamps are checked against.
    private let now: Int64
    /// Nil: a missing timestamp is a fault as any other.
    private let missingTime: MissingTime?

    package init(now: Int64, missingTime: MissingTime? = nil) {
        self.now = now
        self.missingTime = missingTime
    }

    /// Reads the record that is the whole of `bytes`.
    /// - Throws: `JSONError` or `EventFault`.
    package func record(_ bytes: [UInt8]) throws -> EventRecord {
        let range = ByteOrderMark.length(in: bytes)..<bytes.count
        let document: JSONValue
        do {
            document = try JSONParser.parseStrictly(bytes, range: range)
        } catch {
            if error.field.isEmpty { throw error }
            throw EventFault(error)
        }
        return try record(document, text: bytes, range)
    }

    /// Reads an event that was parsed already.
    /// - Parameter source: the text that `value` was parsed from in `range`, so that the digits of a fractional time are read
    ///   exactly.
    package func read(_ value: JSONValue, text source: [UInt8], _ range: Range<Int>) throws(EventFault) -> Event {
        try read(value, user: "user_id", text: source, range)
    }

    private func read(
        _ value: JSONValue, user userField: ByteString, text source: [UInt8], _ range: Range<Int>
    ) throws(EventFault) -> Event {
        guard value.asObject != nil else { throw EventFault("body", "an event must be an object, not \(value.typeName)", "object_type") }
        let user = try text(value, userField, max: Limits.userIDBytes)
        let nameField: ByteString = value["event_type"] == nil && value["event"] != nil ? "event" : "event_type"
        let name = try text(value, nameField, max: Limits.eventNameBytes)
        if EventName.isReserved(name) { throw EventFault(nameField.string, EventName.reservedReason) }
        let (time, isServerTime) = try time(of: value, source, range)
        let id = try eventID(value["event_id"])
        return Event(
            user: user, name: name, time: time, id: id, serverTimed: isServerTime,
            properties: try properties(value["properties"]))
    }

    private func time(
        of value: JSONValue, _ source: [UInt8], _ range: Range<Int>
    ) throws(EventFault) -> (time: Int64, isServerTime: Bool) {
        if let missingTime, value["timestamp"] ?? .null == .null || value["timestamp"] == .string("") {
            switch missingTime {
            case .serverTime: return (now, true)
            case .reject(let fault): throw fault
            }
        }
        return (try timestamp(JSONElements.exactly(value["timestamp"], at: ["timestamp"], in: source, range)), false)
    }

    /// Reads a record as clients send it: an event with `user_id`, `anonymous_id` or both, or an alias.
    package func record(_ value: JSONValue, text source: [UInt8], _ range: Range<Int>) throws(EventFault) -> EventRecord {
        if value["type"] == "alias", value["event"] == nil, value["event_type"] == nil {
            let child = try text(value, "previous_id", max: Limits.userIDBytes)
            let parent = try text(value, "user_id", max: Limits.userIDBytes)
            let (time, _) = try time(of: value, source, range)
            return .alias(Claim(kind: .alias, child: child, parent: parent, time: time))
        }
        if value.has("anonymous_id"), !value.has("user_id") {
            return .event(try read(value, user: "anonymous_id", text: source, range), nil)
        }
        let event = try read(value, text: source, range)
        // The event does not need the other id, so one that cannot be an id is ignored.
        guard let child = value["anonymous_id"]?.asString, !child.isEmpty, child.count <= Limits.userIDBytes, child != event.user
        else { return .event(event, nil) }
        return .event(event, Claim(kind: .identify, child: child, parent: event.user, time: event.time))
    }

    private func text(_ event: JSONValue, _ key: ByteString, max: Int) throws(EventFault) -> ByteString {
        guard let value = event[key] else { throw EventFault(key.string, "field required", "missing") }
        guard let text = value.asString else { throw EventFault(key.string, "must be a string, not \(value.typeName)", "string_type") }
        if text.isEmpty { throw EventFault(key.string, "must not be empty", "string_too_short") }
        if text.count > max { throw EventFault(key.string, "has \(text.count) bytes; the limit is \(max)", "string_too_long") }
        return text
    }

    private func timestamp(_ value: JSONValue?) throws(EventFault) -> Int64 {
        do {
            let time: Int64
            switch value {
            case nil: throw EventFault("timestamp", "field required", "missing")
            case .string(let text): time = try Timestamp.parse(text)
            case .integer(let number): time = try Timestamp.fromInteger(number)
            case .double(let number): time = try Timestamp.fromNumber(number)
            case .some(let other): throw EventFault("timestamp", "must be text or a number, not \(other.typeName)", "datetime_type")
            }
            try Timestamp.checkRange(time, now: now)
            return time
        } catch let fault as Timestamp.Fault {
            let shown = value?.asString.map { "\"\($0.string.prefix(60))\": " } ?? ""
            throw EventFault("timestamp", shown + fault.reason, "datetime_parsing")
        } catch let fault as EventFault {
            throw fault
        } catch {
            throw EventFault("timestamp", "\(error)")
        }
    }

    private func eventID(_ value: JSONValue?) throws(EventFault) -> ByteString {
        guard let value, value != .null else { return "" }
        guard let id = value.asString else { throw EventFault("event_id", "must be a string, not \(value.typeName)", "string_type") }
        if id.count > Limits.eventIDBytes {
            throw EventFault("event_id", "has \(id.count) bytes; the limit is \(Limits.eventIDBytes)", "string_too_long")
        }
        return id
    }

    private func properties(_ value: JSONValue?) throws(EventFault) -> [Event.Property] {
        guard let value, value != .null else { return [] }
        guard let members = value.asObject else { throw EventFault("properties", "must be an object, not \(value.typeName)", "dict_type") }
        var flat = PropertyFlattener()
        try flat.add(members, prefix: .init(), depth: 1)
        return flat.properties
    }

    /// Whether a row is that of a claim, whose ids and time an event could have too.
    package func isClaim(_ row: Event) -> Bool {
        guard let claim = Claim(row: row), claim.row == row, (try? Timestamp.checkRange(claim.time, now: now)) != nil else { return false }
        return [claim.child, claim.parent].allSatisfy { (1...Limits.userIDBytes).contains($0.count) && isValidUTF8($0.bytes) }
    }

    /// Checks a row of a batch that arrived as columns by the same limits; nil if it has no fault.
    package func check(_ batch: EventBatch, row: Int) -> EventFault? {
        let name = batch.names.slice(Int(batch.name[row]))
        if batch.users.isEmpty(Int(batch.user[row])) { return EventFault("user_id", "must not be empty") }
        if name.isEmpty { return EventFault("event", "must not be empty") }
        if name.first == 0 { return EventFault("event", EventName.reservedReason) }
        do {
            try Timestamp.checkRange(batch.time[row], now: now)
        } catch {
            return EventFault("timestamp", error.reason)
        }
        var bytes = 0
        for p in Int(batch.propertyStart[row])..<Int(batch.propertyStart[row + 1]) {
            bytes += batch.keys.range(Int(batch.propertyKey[p])).count
            if batch.propertyTag[p] == EventBatch.Tag.string { bytes += batch.strings.range(Int(batch.propertyBits[p])).count }
        }
        if bytes > Limits.propertyBytesPerEvent { return EventFault("properties", PropertyFlattener.tooManyBytes) }
        return nil
    }
}

/// Flattens properties: keys of nested objects are joined by `.`, and arrays become their JSON text. A literal key wins over a
/// flattened one.
private struct PropertyFlattener {
    static let tooManyBytes = "must take at most \(Limits.propertyBytesPerEvent) bytes"

    private(set) var properties: [Event.Property] = []
    private var places: [ByteString: Int] = [:]
    private var depths: [Int] = []
    private var bytes = 0

    private static func bytes(_ value: PropertyValue) -> Int {
        if case .string(let text) = value { return text.count }
        return 0
    }

    /// Adds the members of an object.
    /// - Parameter prefix: joined before each key.
    mutating func add(_ members: [JSONValue.Member], prefix: Prefix, depth: Int) throws(EventFault) {
        guard depth <= Limits.propertyDepth else {
            throw EventFault("properties", "must not be nested deeper than \(Limits.propertyDepth)")
        }
        for member in members {
            switch member.value {
            case .object(let inner): try add(inner, prefix: prefix.inner(member.key), depth: depth + 1)
            case .array: try put(prefix, member.key, .string(ByteString(member.value.encode())), depth)
            default:
                // Null is absent.
                if let value = PropertyValue(scalar: member.value) { try put(prefix, member.key, value, depth) }
            }
        }
    }

    /// The joined keys of the objects around a property. Beyond the limit only the length is kept; else a long key around many
    /// empty objects would be copied for each of them.
    struct Prefix {
        private(set) var bytes: [UInt8] = []
        private(set) var count = 0

        func inner(_ key: ByteString) -> Prefix {
            var inner = self
            inner.count += key.count + 1
            if inner.count <= Limits.propertyKeyBytes { inner.bytes += key.bytes + [UInt8(ascii: ".")] }
            return inner
        }
    }

    private mutating func put(_ prefix: Prefix, _ name: ByteString, _ value: PropertyValue, _ depth: Int) throws(EventFault) {
        let count = prefix.count + name.count
        guard (1...Limits.propertyKeyBytes).contains(count) else {
            throw EventFault("properties", "a key has \(count) bytes; 1 to \(Limits.propertyKeyBytes) are allowed")
        }
        let key = ByteString(prefix.bytes + name.bytes)
        let shown = String(key.string.prefix(60))
        if case .string(let text) = value, text.count > Limits.propertyValueBytes {
            throw EventFault("properties.\(shown)", "has \(text.count) bytes; the limit is \(Limits.propertyValueBytes)")
        }
        if let place = places[key] {
            // The less deeply nested wins; at equal depth the later one, as in JSON.
            guard depth <= depths[place] else { return }
            bytes += Self.bytes(value) - Self.bytes(properties[place].value)
            guard bytes <= Limits.propertyBytesPerEvent else { throw EventFault("properties", Self.tooManyBytes) }
            properties[place].value = value
            depths[place] = depth
            return
        }
        bytes += key.count + Self.bytes(value)
        guard properties.count < Limits.propertiesPerEvent else {
            throw EventFault("properties", "must be at most \(Limits.propertiesPerEvent)")
        }
        guard bytes <= Limits.propertyBytesPerEvent else { throw EventFault("properties", Self.tooManyBytes) }
        places[key] = properties.count
        properties.append(.init(key, value))
        depths.append(depth)
    }
}

extension JSONValue {
    /// Whether the member is there and not null.
    fileprivate func has(_ name: ByteString) -> Bool { (self[name] ?? .null) != .null }
}

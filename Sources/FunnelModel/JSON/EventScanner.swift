/// The events of one body as columns, with each row's place in the body, the rejected events, and the claims.
package struct ScannedEvents: Sendable {
    package var batch: EventBatch
    /// By row of the batch: 0-based place in the body.
    package var index: [Int]
    package var rejected: [(index: Int, fault: EventFault)]
    package var claims: ClaimList
    /// Places of records that are a claim and no event.
    package var aliases: [Int]

    package init(
        batch: EventBatch, index: [Int], rejected: [(index: Int, fault: EventFault)], claims: ClaimList = ClaimList(), aliases: [Int] = []
    ) {
        self.batch = batch
        self.index = index
        self.rejected = rejected
        self.claims = claims
        self.aliases = aliases
    }
}

/// Reads events from JSON text directly into the columns of a batch.
///
/// The result is that of `JSONParser`, `EventReader` and `EventBatchBuilder` in sequence, to the last byte of the batch and of
/// a fault's message. An ordinary event is read in one pass that allocates no values, strings or lists. Faulty and unusual
/// events (equal keys, half a surrogate pair, anything over a limit) are left to those three. An event is added to the columns
/// only after it was read to its end.
package struct EventScanner: Sendable {
    private let now: Int64
    private let reader: EventReader
    /// `K/`, the prefix of the ids of events without one; empty if such events get no id.
    private var idPrefix: [UInt8]
    /// Whether the prefix is the id itself.
    private var isIDWhole = false
    private let fields = FieldNames()
    /// Whether other members than an event's fields are properties, as in files; else they are ignored.
    private let takesOtherMembers: Bool
    /// Whether `anonymous_id` is the id of a device or visitor, as in native events; in a file only if the caller writes it.
    private let takesAnonymous: Bool

    private var builder = EventBatchBuilder()
    private var row = ScannedRow()
    private var shapes = KeyShapes()
    private var index: [Int] = []
    private var rejected: [(index: Int, fault: EventFault)] = []
    private var claims = ClaimList()
    private var aliases: [Int] = []
    /// Number of events so far, with rejected ones.
    package private(set) var count = 0
    /// Whether there are more events than the limit.
    var isOver = false

    /// A scanner of one body or file.
    /// - Parameters:
    ///   - now: the server's time in microseconds, which timestamps are checked against.
    ///   - idempotencyKey: `K`; events without an id get `K/<place in the body>`. Empty: they get none.
    ///   - takesOtherMembers: whether other members than an event's fields become properties, in events that `isRead(_:_:)`
    ///     reads.
    ///   - takesAnonymous: whether `anonymous_id` is a field of an event.
    ///   - missingTime: what becomes of an event without a timestamp. Such an event is not an ordinary one.
    package init(
        now: Int64, idempotencyKey: ByteString = "", takesOtherMembers: Bool = false, takesAnonymous: Bool = true,
        missingTime: MissingTime? = nil
    ) {
        self.now = now
        self.takesOtherMembers = takesOtherMembers
        self.takesAnonymous = takesAnonymous
        reader = EventReader(now: now, missingTime: missingTime)
        idPrefix = idempotencyKey.isEmpty ? [] : idempotencyKey.bytes + [UInt8(ascii: "/")]
    }

    /// Approximate bytes of the batch on the wire.
    package var approximateBytes: Int { builder.approximateBytes }

    /// Whether the last record was rejected.
    package var isLastRejected: Bool { rejected.last.map { $0.index == count - 1 } ?? false }

    package consuming func finish() -> ScannedEvents {
        ScannedEvents(batch: builder.finish(), index: index, rejected: rejected, claims: claims, aliases: aliases)
    }

    /// Sets the id that the next events get if they have none.
    package mutating func useID(_ id: [UInt8]) {
        idPrefix = id
        isIDWhole = true
    }

    /// Adds a rejected event.
    package mutating func reject(_ fault: EventFault) {
        rejected.append((count, fault))
        count += 1
    }

    /// Reads the event that is the whole of `bytes[range]`: adds a row, or a rejected event.
    package mutating func scan(_ bytes: [UInt8], _ range: Range<Int>) {
        if range.count > Limits.eventTextBytes { return reject(Self.tooLong(range.count)) }
        if !isRead(bytes, range) { parse(bytes, range) }
    }

    /// Reads the event that is the whole of `bytes[range]` if it is an ordinary one, and adds a row. Else returns false and
    /// changes nothing.
    package mutating func isRead(_ bytes: [UInt8], _ range: Range<Int>) -> Bool {
        let text = bytes.span
        var cursor = JSONCursor(text, range, takesLineEnds: true)
        cursor.skipSpace()
        guard isRead(&cursor) else { return false }
        cursor.skipSpace()
        guard cursor.isAtEnd else { return false }
        store(text)
        return true
    }

    /// Reads a record that was parsed already: adds a row, a claim, or a rejected event.
    /// - Parameter text: the text that the document was parsed from in `range`, for its time.
    package mutating func take(_ document: JSONValue, text: [UInt8] = [], _ range: Range<Int> = 0..<0) {
        do {
            take(try reader.record(document, text: text, range))
        } catch {
            reject(error)
        }
    }

    /// Adds a record that was read already.
    package mutating func take(_ record: EventRecord) {
        switch record {
        case .alias(let claim):
            claims.append(claim, index: count)
            aliases.append(count)
        case .event(var event, let claim):
            if let claim { claims.append(claim, index: count) }
            if event.id.isEmpty, !idPrefix.isEmpty {
                event.id = ByteString(isIDWhole ? idPrefix : idPrefix + Array(String(count).utf8))
            }
            // Without an id, repeats are recognised by their times.
            if event.id.isEmpty { event.serverTimed = false }
            builder.append(event)
            index.append(count)
        }
        count += 1
    }

    static func tooLong(_ count: Int) -> EventFault {
        EventFault("body", "the event's text has \(count) bytes; the limit is \(Limits.eventTextBytes)", "too_long")
    }

    /// Reads the event that begins at the cursor into `row`; false if it is not an ordinary one.
    mutating func isRead(_ cursor: inout JSONCursor) -> Bool {
        do {
            try readEvent(&cursor)
            return true
        } catch {
            return false
        }
    }

    /// Adds the event in `row` to the columns.
    mutating func store(_ text: Span<UInt8>) {
        if row.id.count == 0, !idPrefix.isEmpty { row.id = idFromPlace() }
        builder.append(&row, text)
        if row.anonymous.count > 0 { claims.append(row, text, index: count) }
        if !row.isRecalled { shapes.keep(row) }
        index.append(count)
        count &+= 1
    }

    private mutating func idFromPlace() -> TextRange {
        let start = row.scratch.count
        row.scratch += idPrefix
        if !isIDWhole { row.scratch += String(count).utf8 }
        return TextRange(start: start, count: row.scratch.count &- start, isDecoded: true)
    }

    /// The slow path, which accepts all valid events and gives the reason for rejecting others.
    mutating func parse(_ bytes: [UInt8], _ range: Range<Int>) {
        let value: JSONValue
        do {
            value = try JSONParser.parseStrictly(bytes, range: range)
        } catch {
            if !error.field.isEmpty { return reject(EventFault(error)) }
            let at = error.offset - range.lowerBound
            return reject(EventFault("body", "malformed JSON at byte \(at) of the event: \(error.reason)", "json_invalid"))
        }
        take(value, text: bytes, range)
    }
}

// MARK: - One event

extension EventScanner {
    private mutating func readEvent(_ cursor: inout JSONCursor) throws(JSONFault) {
        guard cursor.bytes.count <= TextRange.textBytes else { throw .unusual }
        row.clear()
        var seen = FieldSet()
        var last = ScannedRow.unknown
        try cursor.expect(UInt8(ascii: "{"))
        repeat {
            cursor.skipSpace()
            let key = try cursor.string(&row.scratch)
            if key.isDecoded { throw .unusual }
            try cursor.colon()
            var field = fields.field(cursor.bytes, key)
            if field == .anonymous, !takesAnonymous { field = .other }
            if field != .other, !seen.insert(field) { throw .unusual }
            if field == .other, takesOtherMembers {
                try readProperty(key, code: ScannedRow.unknown, &cursor, prefix: .none, depth: 1, &last)
            } else {
                if field == .other { try row.names.insert(MemberNames.hash(cursor.bytes.extracting(key.range)), from: 0) }
                try read(field, &cursor, seen, &last)
            }
        } while try !cursor.ends(with: UInt8(ascii: "}"))
        if !seen.contains(.user) { (row.user, row.anonymous) = (row.anonymous, .none) }
        guard row.user.count > 0, seen.contains(.event) || seen.contains(.eventType), seen.contains(.timestamp) else { throw .unusual }
        if row.anonymous.count > 0, row.isSame(row.anonymous, row.user, cursor.bytes) { row.anonymous = .none }
        // Only an escape can begin a name with U+0000.
        if row.name.isDecoded { throw .unusual }
        // In a file, `event` is the name, and `event_type` is then a property.
        if takesOtherMembers, seen.contains(.event), seen.contains(.eventType) { throw .unusual }
        row.isRecalled = shapes.recall(&row)
        if !row.isRecalled { try row.sortByKey(cursor.bytes) }
        try row.checkLoose(cursor.bytes)
    }

    @inline(__always)
    private mutating func read(_ field: EventField, _ cursor: inout JSONCursor, _ seen: FieldSet, _ last: inout UInt32) throws(JSONFault) {
        switch field {
        case .user: row.user = try text(&cursor, 1...Limits.userIDBytes)
        case .eventType: row.name = try text(&cursor, 1...Limits.eventNameBytes)
        case .event:
            // If both are given, `event_type` counts.
            if seen.contains(.eventType) {
                try cursor.skipValue(&row.scratch, &row.names, depth: 1)
            } else {
                row.name = try text(&cursor, 1...Limits.eventNameBytes)
            }
        case .timestamp: row.time = try timestamp(&cursor)
        case .id: row.id = try text(&cursor, 0...Limits.eventIDBytes, orNull: true)
        case .properties: try readProperties(&cursor, &last)
        case .anonymous: row.anonymous = try text(&cursor, 1...Limits.userIDBytes)
        case .other: try cursor.skipValue(&row.scratch, &row.names, depth: 1)
        }
    }

    private mutating func text(_ cursor: inout JSONCursor, _ sizes: ClosedRange<Int>, orNull: Bool = false) throws(JSONFault) -> TextRange {
        if orNull, cursor.byte == UInt8(ascii: "n") {
            _ = try cursor.scalar(&row.scratch)
            return .none
        }
        let text = try cursor.string(&row.scratch)
        guard text.count >= sizes.lowerBound, text.count <= sizes.upperBound else { throw .unusual }
        return text
    }

    private mutating func timestamp(_ cursor: inout JSONCursor) throws(JSONFault) -> Int64 {
        let start = cursor.at
        let value = try cursor.scalar(&row.scratch)
        do {
            let time: Int64
            switch value.tag {
            case EventBatch.Tag.integer: time = try Timestamp.fromInteger(Int64(bitPattern: value.bits))
            case EventBatch.Tag.double:
                // Read from its digits: a double of today's seconds is not precise to a tenth of a microsecond.
                guard let exact = try Timestamp.fromDecimal(cursor.bytes.extracting(start..<cursor.at)) else { throw JSONFault.unusual }
                time = exact
            case EventBatch.Tag.string where !value.text.isDecoded:
                time = try Timestamp.scan(cursor.bytes.extracting(value.text.range))
            default: throw Timestamp.Fault(reason: "unusual")
            }
            try Timestamp.checkRange(time, now: now)
            return time
        } catch {
            throw .unusual
        }
    }

    private mutating func readProperties(_ cursor: inout JSONCursor, _ last: inout UInt32) throws(JSONFault) {
        if cursor.byte == UInt8(ascii: "n") {
            _ = try cursor.scalar(&row.scratch)
            return
        }
        try readProperties(&cursor, prefix: .none, depth: 1, &last)
    }

    /// Reads the members of an object as properties; keys of inner objects are joined by `.`.
    ///
    /// - Parameters:
    ///   - prefix: joined before each key; in the scratch buffer.
    ///   - last: code of the previous property, from which the next one is guessed.
    private mutating func readProperties(
        _ cursor: inout JSONCursor, prefix: TextRange, depth: Int, _ last: inout UInt32
    ) throws(JSONFault) {
        guard depth <= Limits.propertyDepth, prefix.count <= Limits.propertyKeyBytes else { throw .unusual }
        try cursor.expect(UInt8(ascii: "{"))
        cursor.skipSpace()
        if cursor.byte == UInt8(ascii: "}") { return cursor.advance() }
        repeat {
            cursor.skipSpace()
            // A key that is the same text as last time need not be read.
            let guess = depth == 1 ? shapes.plainSuccessor(of: last) : ScannedRow.unknown
            var code = ScannedRow.unknown
            let key: TextRange
            if guess != ScannedRow.unknown, let guessed = builder.guessedKey(guess, &cursor) {
                key = guessed
                code = guess
            } else {
                key = try cursor.string(&row.scratch)
            }
            try cursor.colon()
            try readProperty(key, code: code, &cursor, prefix: prefix, depth: depth, &last)
        } while try !cursor.ends(with: UInt8(ascii: "}"))
    }

    /// Reads the value at the cursor as the property `key`, or its members as properties.
    /// - Parameter code: the key's code, or `ScannedRow.unknown`.
    @inline(__always)
    private mutating func readProperty(
        _ key: TextRange, code: UInt32, _ cursor: inout JSONCursor, prefix: TextRange, depth: Int, _ last: inout UInt32
    ) throws(JSONFault) {
        if cursor.byte == UInt8(ascii: "{") {
            let inner = try row.join(prefix, key, cursor.bytes, end: ".")
            try row.addLoose(TextRange(start: inner.range.lowerBound, count: inner.count - 1, isDecoded: true))
            return try readProperties(&cursor, prefix: inner, depth: depth + 1, &last)
        }
        let value = try cursor.byte == UInt8(ascii: "[") ? list(&cursor, depth: depth + 1) : cursor.scalar(&row.scratch)
        let name = depth > 1 ? try row.join(prefix, key, cursor.bytes) : key
        if value.tag == ScannedScalar.nullTag { return try row.addLoose(name) }
        let known = code == ScannedRow.unknown ? keyCode(name, cursor.bytes, after: last) : code
        try row.add(name, code: known, value)
        last = known
    }

    /// Reads a list as its compact JSON text.
    private mutating func list(_ cursor: inout JSONCursor, depth: Int) throws(JSONFault) -> ScannedScalar {
        let start = cursor.at
        try cursor.skipValue(&row.scratch, &row.names, depth: depth)
        let text = unsafe cursor.bytes.extracting(start..<cursor.at).withUnsafeBufferPointer { unsafe Array($0) }
        guard let value = try? JSONParser.parse(text) else { throw .unusual }
        let mark = row.scratch.count
        value.write(to: &row.scratch)
        let range = TextRange(start: mark, count: row.scratch.count &- mark, isDecoded: true)
        return ScannedScalar(tag: EventBatch.Tag.string, text: range)
    }

    /// The code of a key; `ScannedRow.unknown` for a new one.
    private mutating func keyCode(_ key: TextRange, _ text: Span<UInt8>, after last: UInt32) -> UInt32 {
        let guess = shapes.successor(of: last)
        let code = builder.keyCode(key, row, text, guess: guess)
        if code != guess, code != ScannedRow.unknown { shapes.note(code, isPlain: !key.isDecoded, after: last) }
        return code
    }
}

// MARK: - Fields

enum EventField: UInt8 {
    case user, eventType, event, timestamp, id, properties, anonymous, other
}

private struct FieldSet {
    private var bits: UInt8 = 0

    func contains(_ field: EventField) -> Bool { bits & (1 &<< field.rawValue) != 0 }

    /// False if it was in the set.
    mutating func insert(_ field: EventField) -> Bool {
        let isNew = !contains(field)
        bits |= 1 &<< field.rawValue
        return isNew
    }
}

/// The names of an event's fields as words; the length distinguishes them first.
private struct FieldNames: Sendable {
    private let user = Self.ends("user_id")
    private let event = Self.ends("event")
    private let eventType = Self.ends("event_type")
    private let timestamp = Self.ends("timestamp")
    private let id = Self.ends("event_id")
    private let properties = Self.ends("properties")
    private let anonymous = Self.ends("anonymous_id")

    /// The first and the last eight bytes of a name, which at these lengths cover all of it.
    private static func ends(_ name: ByteString) -> (UInt64, UInt64) { ends(name.bytes.span) }

    @inline(__always)
    private static func ends(_ name: Span<UInt8>) -> (UInt64, UInt64) {
        name.count < 8 ? (name.shortWord, 0) : (name.word(0), name.word(name.count &- 8))
    }

    @inline(__always)
    func field(_ text: Span<UInt8>, _ key: TextRange) -> EventField {
        guard key.count >= 5, key.count <= 12 else { return .other }
        let name = Self.ends(text.extracting(key.range))
        switch key.count {
        case 5: return name == event ? .event : .other
        case 7: return name == user ? .user : .other
        case 8: return name == id ? .id : .other
        case 9: return name == timestamp ? .timestamp : .other
        case 10: return name == eventType ? .eventType : name == properties ? .properties : .other
        case 12: return name == anonymous ? .anonymous : .other
        default: return .other
        }
    }
}

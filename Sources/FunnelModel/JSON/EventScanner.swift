/// Events of one body as columns, with each row's place in the body and the events that were not taken.
package struct ScannedEvents: Sendable {
    package var batch: EventBatch
    /// Row of the batch to place in the body.
    package var index: [Int]
    package var rejected: [(index: Int, fault: EventFault)]

    package init(batch: EventBatch, index: [Int], rejected: [(index: Int, fault: EventFault)]) {
        self.batch = batch
        self.index = index
        self.rejected = rejected
    }
}

/// Reads events from JSON text straight into the columns of a batch.
///
/// The meaning is that of `JSONParser`, `EventReader` and `EventBatchBuilder` one after the other, to the last byte of the
/// batch and of a fault's message. An ordinary event is read in one pass that makes no values, strings or lists; whatever
/// is at fault or unusual (equal keys, half a surrogate pair, anything over a limit) is left to those three instead. An event
/// enters the columns only when it has been read to its end.
package struct EventScanner: Sendable {
    private let now: Int64
    private let reader: EventReader
    /// `K/`: what the ids of events without one begin with; empty for none.
    private let idPrefix: [UInt8]
    private let fields = FieldNames()
    /// Whether members that are no fields of an event are properties, as in files; else they are ignored.
    private let takesOtherMembers: Bool

    private var builder = EventBatchBuilder()
    private var row = ScannedRow()
    private var shapes = KeyShapes()
    private var index: [Int] = []
    private var rejected: [(index: Int, fault: EventFault)] = []
    /// Events so far, taken or not.
    package private(set) var count = 0
    /// There are more events than may be.
    var isOver = false

    /// - Parameters:
    ///   - now: microseconds; timestamps are judged against it.
    ///   - idempotencyKey: events without an id get `K/<place in the body>`; empty for none.
    ///   - takesOtherMembers: members that are no fields become properties, in what `isRead(_:_:)` reads.
    package init(now: Int64, idempotencyKey: ByteString = "", takesOtherMembers: Bool = false) {
        self.now = now
        self.takesOtherMembers = takesOtherMembers
        reader = EventReader(now: now)
        idPrefix = idempotencyKey.isEmpty ? [] : idempotencyKey.bytes + [UInt8(ascii: "/")]
    }

    /// Bytes of the batch on the wire, roughly.
    package var approximateBytes: Int { builder.approximateBytes }

    package consuming func finish() -> ScannedEvents {
        ScannedEvents(batch: builder.finish(), index: index, rejected: rejected)
    }

    /// Counts an event that is not taken.
    package mutating func reject(_ fault: EventFault) {
        rejected.append((count, fault))
        count += 1
    }

    /// Reads the event that is all of `bytes[range]`: one more row, or one more event rejected.
    package mutating func scan(_ bytes: [UInt8], _ range: Range<Int>) {
        if range.count > Limits.eventTextBytes { return reject(Self.tooLong(range.count)) }
        if !isRead(bytes, range) { parse(bytes, range) }
    }

    /// Reads the event that is all of `bytes[range]` if it is an ordinary one: one more row. Else false, and nothing changed.
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

    /// Takes an event that was read as a document: one more row, or one more event rejected.
    /// - Parameter text: what the document was parsed from, for its time.
    package mutating func take(_ document: JSONValue, text: [UInt8] = [], _ range: Range<Int> = 0..<0) {
        do {
            var event = try reader.read(document, text: text, range)
            if event.id.isEmpty, !idPrefix.isEmpty { event.id = ByteString(idPrefix + Array(String(count).utf8)) }
            builder.append(event)
            index.append(count)
            count += 1
        } catch {
            reject(error)
        }
    }

    static func tooLong(_ count: Int) -> EventFault {
        EventFault("body", "the event's text has \(count) bytes; the limit is \(Limits.eventTextBytes)", "too_long")
    }

    /// Reads the event that begins here into `row`; false where it is not an ordinary one.
    mutating func isRead(_ cursor: inout JSONCursor) -> Bool {
        do {
            try readEvent(&cursor)
            return true
        } catch {
            return false
        }
    }

    /// Takes the event in `row` into the columns.
    mutating func store(_ text: Span<UInt8>) {
        if row.id.count == 0, !idPrefix.isEmpty { row.id = idFromPlace() }
        builder.append(&row, text)
        if !row.isRecalled { shapes.keep(row) }
        index.append(count)
        count &+= 1
    }

    private mutating func idFromPlace() -> TextRange {
        let start = row.scratch.count
        row.scratch += idPrefix
        row.scratch += String(count).utf8
        return TextRange(start: start, count: row.scratch.count &- start, isDecoded: true)
    }

    /// The slow way, which takes whatever is valid and names what is not.
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
    private mutating func readEvent(_ cursor: inout JSONCursor) throws(Unusual) {
        guard cursor.bytes.count <= TextRange.textBytes else { throw Unusual() }
        row.clear()
        var seen = FieldSet()
        var last = ScannedRow.unknown
        try cursor.expect(UInt8(ascii: "{"))
        repeat {
            cursor.skipSpace()
            let key = try cursor.string(&row.scratch)
            if key.isDecoded { throw Unusual() }
            try cursor.colon()
            let field = fields.field(cursor.bytes, key)
            if field != .other, !seen.insert(field) { throw Unusual() }
            if field == .other, takesOtherMembers {
                try readProperty(key, code: ScannedRow.unknown, &cursor, prefix: .none, depth: 1, &last)
            } else {
                if field == .other { try row.names.insert(MemberNames.hash(cursor.bytes.extracting(key.range)), from: 0) }
                try read(field, &cursor, seen, &last)
            }
        } while try !cursor.ends(with: UInt8(ascii: "}"))
        guard seen.contains(.user), seen.contains(.event) || seen.contains(.eventType), seen.contains(.timestamp) else { throw Unusual() }
        // In a file `event` is the name, and `event_type` then a property like any other.
        if takesOtherMembers, seen.contains(.event), seen.contains(.eventType) { throw Unusual() }
        row.isRecalled = shapes.recall(&row)
        if !row.isRecalled { try row.sortByKey(cursor.bytes) }
        try row.checkLoose(cursor.bytes)
    }

    @inline(__always)
    private mutating func read(_ field: EventField, _ cursor: inout JSONCursor, _ seen: FieldSet, _ last: inout UInt32) throws(Unusual) {
        switch field {
        case .user: row.user = try text(&cursor, 1...Limits.userIDBytes)
        case .eventType: row.name = try text(&cursor, 1...Limits.eventNameBytes)
        case .event:
            // The older name of the two counts where both are there.
            if seen.contains(.eventType) {
                try cursor.skipValue(&row.scratch, &row.names, depth: 1)
            } else {
                row.name = try text(&cursor, 1...Limits.eventNameBytes)
            }
        case .timestamp: row.time = try timestamp(&cursor)
        case .id: row.id = try text(&cursor, 0...Limits.eventIDBytes, orNull: true)
        case .properties: try readProperties(&cursor, &last)
        case .other: try cursor.skipValue(&row.scratch, &row.names, depth: 1)
        }
    }

    private mutating func text(_ cursor: inout JSONCursor, _ sizes: ClosedRange<Int>, orNull: Bool = false) throws(Unusual) -> TextRange {
        if orNull, cursor.byte == UInt8(ascii: "n") {
            _ = try cursor.scalar(&row.scratch)
            return .none
        }
        let text = try cursor.string(&row.scratch)
        guard text.count >= sizes.lowerBound, text.count <= sizes.upperBound else { throw Unusual() }
        return text
    }

    private mutating func timestamp(_ cursor: inout JSONCursor) throws(Unusual) -> Int64 {
        let start = cursor.at
        let value = try cursor.scalar(&row.scratch)
        do {
            let time: Int64
            switch value.tag {
            case EventBatch.Tag.integer: time = try Timestamp.fromInteger(Int64(bitPattern: value.bits))
            case EventBatch.Tag.double:
                // By its digits: a double of today's seconds holds no tenth of a microsecond.
                guard let exact = try Timestamp.fromDecimal(cursor.bytes.extracting(start..<cursor.at)) else { throw Unusual() }
                time = exact
            case EventBatch.Tag.string where !value.text.isDecoded:
                time = try Timestamp.scan(cursor.bytes.extracting(value.text.range))
            default: throw Timestamp.Fault(reason: "unusual")
            }
            try Timestamp.checkRange(time, now: now)
            return time
        } catch {
            throw Unusual()
        }
    }

    private mutating func readProperties(_ cursor: inout JSONCursor, _ last: inout UInt32) throws(Unusual) {
        if cursor.byte == UInt8(ascii: "n") {
            _ = try cursor.scalar(&row.scratch)
            return
        }
        try readProperties(&cursor, prefix: .none, depth: 1, &last)
    }

    /// The members of an object; those of inner objects under their keys joined by `.`.
    ///
    /// - Parameters:
    ///   - prefix: what keys begin with, in the scratch buffer.
    ///   - last: the code of the property before, by which the next is guessed.
    private mutating func readProperties(
        _ cursor: inout JSONCursor, prefix: TextRange, depth: Int, _ last: inout UInt32
    ) throws(Unusual) {
        guard depth <= Limits.propertyDepth, prefix.count <= Limits.propertyKeyBytes else { throw Unusual() }
        try cursor.expect(UInt8(ascii: "{"))
        cursor.skipSpace()
        if cursor.byte == UInt8(ascii: "}") { return cursor.advance() }
        repeat {
            cursor.skipSpace()
            // Where it stands in the text as it was last time, a key needs no reading.
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

    /// The value here as the property `key`, or its members as properties.
    /// - Parameter code: of the key, where it is known.
    @inline(__always)
    private mutating func readProperty(
        _ key: TextRange, code: UInt32, _ cursor: inout JSONCursor, prefix: TextRange, depth: Int, _ last: inout UInt32
    ) throws(Unusual) {
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

    /// A list as its compact JSON text.
    private mutating func list(_ cursor: inout JSONCursor, depth: Int) throws(Unusual) -> ScannedScalar {
        let start = cursor.at
        try cursor.skipValue(&row.scratch, &row.names, depth: depth)
        let text = unsafe cursor.bytes.extracting(start..<cursor.at).withUnsafeBufferPointer { unsafe Array($0) }
        guard let value = try? JSONParser.parse(text) else { throw Unusual() }
        let mark = row.scratch.count
        value.write(to: &row.scratch)
        let range = TextRange(start: mark, count: row.scratch.count &- mark, isDecoded: true)
        return ScannedScalar(tag: EventBatch.Tag.string, text: range)
    }

    /// The code of a key, `ScannedRow.unknown` for a new one.
    private mutating func keyCode(_ key: TextRange, _ text: Span<UInt8>, after last: UInt32) -> UInt32 {
        let guess = shapes.successor(of: last)
        let code = builder.keyCode(key, row, text, guess: guess)
        if code != guess, code != ScannedRow.unknown { shapes.note(code, isPlain: !key.isDecoded, after: last) }
        return code
    }
}

// MARK: - Fields

enum EventField: UInt8 {
    case user, eventType, event, timestamp, id, properties, other
}

private struct FieldSet {
    private var bits: UInt8 = 0

    func contains(_ field: EventField) -> Bool { bits & (1 &<< field.rawValue) != 0 }

    /// False where it was there.
    mutating func insert(_ field: EventField) -> Bool {
        let isNew = !contains(field)
        bits |= 1 &<< field.rawValue
        return isNew
    }
}

/// The names of an event's fields as words, told apart by length first.
private struct FieldNames: Sendable {
    private let user = Self.ends("user_id")
    private let event = Self.ends("event")
    private let eventType = Self.ends("event_type")
    private let timestamp = Self.ends("timestamp")
    private let id = Self.ends("event_id")
    private let properties = Self.ends("properties")

    /// The first and last bytes of a name, which at these lengths are all of it.
    private static func ends(_ name: ByteString) -> (UInt64, UInt64) { ends(name.bytes.span) }

    @inline(__always)
    private static func ends(_ name: Span<UInt8>) -> (UInt64, UInt64) {
        name.count < 8 ? (name.shortWord, 0) : (name.word(0), name.word(name.count &- 8))
    }

    @inline(__always)
    func field(_ text: Span<UInt8>, _ key: TextRange) -> EventField {
        guard key.count >= 5, key.count <= 10 else { return .other }
        let name = Self.ends(text.extracting(key.range))
        switch key.count {
        case 5: return name == event ? .event : .other
        case 7: return name == user ? .user : .other
        case 8: return name == id ? .id : .other
        case 9: return name == timestamp ? .timestamp : .other
        case 10: return name == eventType ? .eventType : name == properties ? .properties : .other
        default: return .other
        }
    }
}

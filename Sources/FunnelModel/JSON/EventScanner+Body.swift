/// Why a body was rejected as a whole.
package enum EventBodyError: Error, Equatable, Sendable {
    case json(JSONError)
    /// Neither a list nor an object with the list `events`.
    case noList
    /// More events than the limit: their number, or the number up to the first one too many.
    case tooMany(Int)
}

extension EventScanner {
    /// Reads a body with one event a line. A line ends with LF, CRLF or CR. A line that is no event is rejected on its own.
    /// Empty lines are not counted, and a byte order mark at the start is skipped.
    ///
    /// - Parameter limit: max number of events.
    package static func lines(
        _ bytes: [UInt8], now: Int64, idempotencyKey: ByteString = "", missingTime: MissingTime? = nil, limit: Int = .max
    ) throws(EventBodyError) -> ScannedEvents {
        var scanner = EventScanner(now: now, idempotencyKey: idempotencyKey, missingTime: missingTime)
        var start = ByteOrderMark.length(in: bytes)
        while start < bytes.count { start = try scanner.line(bytes, from: start, limit: limit) }
        return scanner.finish()
    }

    /// Reads the line that begins at `start`.
    ///
    /// - Returns: the start of the next line.
    private mutating func line(_ bytes: [UInt8], from start: Int, limit: Int) throws(EventBodyError) -> Int {
        let text = bytes.span
        var cursor = JSONCursor(text, start..<bytes.count, takesLineEnds: false)
        cursor.skipSpace()
        if cursor.isAtLineEnd { return cursor.at + 1 }
        guard count < limit else { throw .tooMany(count + 1) }
        if isRead(&cursor) {
            cursor.skipSpace()
            if cursor.isAtLineEnd, cursor.at - start <= Limits.eventTextBytes {
                store(text)
                return cursor.at + 1
            }
        }
        let end = bytes[start...].firstIndex { $0 == 10 || $0 == 13 } ?? bytes.count
        if end - start > Limits.eventTextBytes {
            reject(Self.tooLong(end - start))
        } else {
            parse(bytes, start..<end)
        }
        return end + 1
    }

    /// Reads a body that is a list of events, or an object with such a list as its member `events`. An element that is no event
    /// is rejected on its own; a list whose elements cannot be delimited is rejected as a whole.
    ///
    /// - Parameter limit: max number of events.
    package static func list(
        _ bytes: [UInt8], now: Int64, idempotencyKey: ByteString = "", missingTime: MissingTime? = nil, limit: Int = .max
    ) throws(EventBodyError) -> ScannedEvents {
        var scanner = EventScanner(now: now, idempotencyKey: idempotencyKey, missingTime: missingTime)
        if scanner.isListRead(bytes, limit: limit) { return scanner.finish() }
        if scanner.isOver { throw .tooMany(limit + 1) }
        var again = EventScanner(now: now, idempotencyKey: idempotencyKey, missingTime: missingTime)
        try again.elements(bytes, limit: limit)
        return again.finish()
    }

    /// The slow path: finds all elements first.
    private mutating func elements(_ bytes: [UInt8], limit: Int) throws(EventBodyError) {
        let ranges = try JSONElements.ranges(in: bytes, member: "events", most: limit)
        for range in ranges { scan(bytes, range) }
    }

    /// Reads a list, or an object with nothing but that list, in one pass; false if the body is anything else, or is malformed
    /// before the first event over the limit.
    private mutating func isListRead(_ bytes: [UInt8], limit: Int) -> Bool {
        var cursor = JSONCursor(bytes.span, ByteOrderMark.length(in: bytes)..<bytes.count, takesLineEnds: true)
        var scratch: [UInt8] = []
        do {
            cursor.skipSpace()
            let isWrapped = cursor.byte == UInt8(ascii: "{")
            if isWrapped {
                cursor.advance()
                cursor.skipSpace()
                let key = try cursor.string(&scratch)
                guard !key.isDecoded, bytes[key.range].elementsEqual("events".utf8) else { return false }
                try cursor.colon()
            }
            try cursor.expect(UInt8(ascii: "["))
            try readElements(bytes, &cursor, limit: limit)
            cursor.skipSpace()
            if isWrapped {
                try cursor.expect(UInt8(ascii: "}"))
                cursor.skipSpace()
            }
            return cursor.isAtEnd
        } catch {
            return false
        }
    }

    /// Reads the elements from after the list's `[` to after its `]`.
    private mutating func readElements(_ bytes: [UInt8], _ cursor: inout JSONCursor, limit: Int) throws(JSONFault) {
        cursor.skipSpace()
        if cursor.byte == UInt8(ascii: "]") { return cursor.advance() }
        repeat {
            cursor.skipSpace()
            let start = cursor.at
            guard count < limit else {
                isOver = JSONElements.end(in: bytes, from: start) != nil
                throw .unusual
            }
            if isRead(&cursor), cursor.at - start <= Limits.eventTextBytes {
                store(cursor.bytes)
            } else {
                guard let end = JSONElements.end(in: bytes, from: start) else { throw .unusual }
                scan(bytes, start..<end)
                cursor.move(to: end)
            }
        } while try !cursor.ends(with: UInt8(ascii: "]"))
    }
}

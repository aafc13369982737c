/// Finds values in a JSON text by their brackets and quotes, without building or checking them: each must still be parsed.
package struct JSONElements: ~Escapable {
    private var cursor: JSONCursor
    private var scratch: [UInt8] = []
    private let countMax: Int

    @_lifetime(copy bytes)
    private init(_ bytes: Span<UInt8>, _ range: Range<Int>, countMax: Int = .max) {
        cursor = JSONCursor(bytes, range, takesLineEnds: true, isStrict: false)
        self.countMax = countMax
    }

    /// Ranges of the elements of a list in `bytes`: the document itself or its member `member`. A large list is then never in memory
    /// as values.
    ///
    /// - Parameter most: the maximum number of elements; reading stops at one more.
    /// - Throws: also if the member is there twice.
    package static func ranges(in bytes: [UInt8], member: ByteString, most: Int = .max) throws(EventBodyError) -> [Range<Int>] {
        var elements = JSONElements(bytes.span, ByteOrderMark.length(in: bytes)..<bytes.count, countMax: most)
        let found: [Range<Int>]?
        do throws(JSONFault) {
            found = try elements.list(member)
        } catch {
            if error == .tooManyElements { throw .tooMany(most + 1) }
            let field = error.isDoubt ? JSONError.field([member]) : ""
            throw .json(JSONError(offset: elements.cursor.at, reason: error.description, field: field))
        }
        guard let found else { throw .noList }
        return found
    }

    /// The end of the list element that begins at `start`; nil if there is none.
    static func end(in bytes: [UInt8], from start: Int) -> Int? {
        var elements = JSONElements(bytes.span, start..<bytes.count)
        guard (try? elements.skipValue()) != nil else { return nil }
        return elements.cursor.at
    }

    /// A number of a document that a double does not hold exactly, as the text of its digits; every other value as it is.
    ///
    /// - Parameters:
    ///   - path: names of members from the document's top to the value; the last of equal ones, as in `JSONValue`.
    ///   - range: of the document in `bytes`, which was parsed before.
    package static func exactly(_ value: JSONValue?, at path: [ByteString], in bytes: [UInt8], _ range: Range<Int>) -> JSONValue? {
        guard case .double = value else { return value }
        guard let found = try? place(of: path[...], in: bytes, range) else { return value }
        let text = bytes[found]
        return text.allSatisfy { (48...57).contains($0) || $0 == UInt8(ascii: ".") } ? .string(ByteString(text)) : value
    }

    /// The text at a place of a document that is not parsed; nil if there is none, or one of more than 4 KiB.
    package static func text(at path: [ByteString], in bytes: [UInt8], _ range: Range<Int>) -> ByteString? {
        guard let found = try? place(of: path[...], in: bytes, range), found.count <= 4_096 else { return nil }
        return (try? JSONParser.parse(bytes, range: found))?.asString
    }

    private static func place(of path: ArraySlice<ByteString>, in bytes: [UInt8], _ range: Range<Int>) throws(JSONFault) -> Range<Int>? {
        guard let name = path.first else {
            let text = bytes[range].drop { $0 <= 32 }
            return text.startIndex..<((text.lastIndex { $0 > 32 } ?? text.startIndex - 1) + 1)
        }
        var elements = JSONElements(bytes.span, range)
        elements.cursor.skipSpace()
        var found: Range<Int>?
        guard elements.cursor.byte == UInt8(ascii: "{") else { return nil }
        try elements.eachMember { elements, key throws(JSONFault) in
            let start = elements.cursor.at
            try elements.skipValue()
            if key == name { found = start..<elements.cursor.at }
        }
        return try found.flatMap { inner throws(JSONFault) in try place(of: path.dropFirst(), in: bytes, inner) }
    }

    /// - Returns: nil if the document is neither a list nor an object with that list.
    private mutating func list(_ member: ByteString) throws(JSONFault) -> [Range<Int>]? {
        cursor.skipSpace()
        var found: [Range<Int>]?
        if cursor.byte == UInt8(ascii: "[") {
            found = try elementRanges()
        } else if cursor.byte == UInt8(ascii: "{") {
            var isThere = false
            try eachMember { elements, key throws(JSONFault) in
                guard key == member else { return try elements.skipValue() }
                if isThere { throw .givenTwice }
                isThere = true
                if elements.cursor.byte == UInt8(ascii: "[") {
                    found = try elements.elementRanges()
                } else {
                    try elements.skipValue()
                }
            }
        } else {
            _ = try cursor.scalar(&scratch)
        }
        cursor.skipSpace()
        guard cursor.isAtEnd else { throw .textAfter }
        return found
    }

    /// - Parameter body: called with each member's name, at its value; it must move past the value.
    private mutating func eachMember(
        _ body: (inout JSONElements, ByteString) throws(JSONFault) -> Void
    ) throws(JSONFault) {
        cursor.advance()
        cursor.skipSpace()
        if cursor.byte == UInt8(ascii: "}") { return cursor.advance() }
        repeat {
            let name = try cursor.memberName(&scratch)
            let key = ByteString(cursor.bytes(of: name, scratch))
            scratch.removeAll(keepingCapacity: true)
            try body(&self, key)
        } while try !cursor.ends(with: UInt8(ascii: "}"))
    }

    private mutating func elementRanges() throws(JSONFault) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        cursor.advance()
        cursor.skipSpace()
        if cursor.byte == UInt8(ascii: "]") {
            cursor.advance()
            return ranges
        }
        repeat {
            cursor.skipSpace()
            let start = cursor.at
            try skipValue()
            if ranges.count == countMax { throw .tooManyElements }
            ranges.append(start..<cursor.at)
        } while try !cursor.ends(with: UInt8(ascii: "]"))
        return ranges
    }

    /// Moves past one value by its brackets and quotes.
    private mutating func skipValue() throws(JSONFault) {
        var open = 0
        let start = cursor.at
        while !cursor.isAtEnd {
            switch cursor.byte {
            case UInt8(ascii: "{"), UInt8(ascii: "["): open += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if open == 0 { return try checkNotEmpty(start) }
                open -= 1
                if open == 0 { return cursor.advance() }
            case UInt8(ascii: ","): if open == 0 { return try checkNotEmpty(start) }
            case UInt8(ascii: "\""):
                try skipString()
                if open == 0 { return }
                continue
            default: break
            }
            cursor.advance()
        }
        throw .endsEarly
    }

    private func checkNotEmpty(_ start: Int) throws(JSONFault) {
        if cursor.at == start { throw .notAValue }
    }

    private mutating func skipString() throws(JSONFault) {
        cursor.advance()
        while !cursor.isAtEnd {
            let byte = cursor.byte
            cursor.advance()
            if byte == UInt8(ascii: "\\") { cursor.advance() }
            if byte == UInt8(ascii: "\"") { return }
        }
        throw .openString
    }
}

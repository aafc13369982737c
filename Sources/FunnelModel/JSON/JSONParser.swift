/// Builds values from JSON text, in one pass and with bounded depth.
package struct JSONParser: ~Escapable {
    private var cursor: JSONCursor
    private var scratch: [UInt8] = []
    /// Whether a member given twice in one object is a fault.
    private let isStrict: Bool
    /// Member names from the document's top to the value at the cursor; only a strict parser keeps them.
    private var path: [ByteString] = []

    @_lifetime(copy bytes)
    private init(_ bytes: Span<UInt8>, _ range: Range<Int>, isStrict: Bool) {
        cursor = JSONCursor(bytes, range, takesLineEnds: true, isStrict: isStrict)
        self.isStrict = isStrict
    }

    /// The single value in `bytes`, after an optional byte order mark; anything but white space after it is an error. Of members of
    /// one name the last one counts; half of a surrogate pair reads as U+FFFD, a number that no double holds as an infinity.
    package static func parse(_ bytes: [UInt8]) throws(JSONError) -> JSONValue {
        try parse(bytes, range: ByteOrderMark.length(in: bytes)..<bytes.count)
    }

    package static func parse(_ bytes: [UInt8], range: Range<Int>) throws(JSONError) -> JSONValue {
        try parse(bytes, range, isStrict: false)
    }

    /// The same, but a member given twice in one object, half of a surrogate pair and a number that no double holds are errors
    /// that name the field: two readers would take such a text for two different events.
    package static func parseStrictly(_ bytes: [UInt8], range: Range<Int>) throws(JSONError) -> JSONValue {
        try parse(bytes, range, isStrict: true)
    }

    private static func parse(_ bytes: [UInt8], _ range: Range<Int>, isStrict: Bool) throws(JSONError) -> JSONValue {
        var parser = JSONParser(bytes.span, range, isStrict: isStrict)
        do throws(JSONFault) {
            let value = try parser.value(depth: 0)
            parser.cursor.skipSpace()
            guard parser.cursor.isAtEnd else { throw .textAfter }
            return value
        } catch {
            throw JSONError(offset: parser.cursor.at, reason: error.description, field: error.isDoubt ? JSONError.field(parser.path) : "")
        }
    }

    private mutating func value(depth: Int) throws(JSONFault) -> JSONValue {
        cursor.skipSpace()
        switch cursor.byte {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        default:
            let scalar = try cursor.scalar(&scratch)
            switch scalar.tag {
            case EventBatch.Tag.string: return .string(text(scalar.text))
            case EventBatch.Tag.integer: return .integer(Int64(bitPattern: scalar.bits))
            case EventBatch.Tag.double: return .double(Double(bitPattern: scalar.bits))
            case EventBatch.Tag.bool: return .bool(scalar.bits != 0)
            default: return .null
            }
        }
    }

    /// The bytes of a string that was just read.
    private mutating func text(_ text: TextRange) -> ByteString {
        defer { scratch.removeAll(keepingCapacity: true) }
        return ByteString(cursor.bytes(of: text, scratch))
    }

    private mutating func object(depth: Int) throws(JSONFault) -> JSONValue {
        guard depth < Limits.jsonDepth else { throw .tooDeep }
        var members: [JSONValue.Member] = []
        var names: Set<ByteString> = []
        cursor.advance()
        cursor.skipSpace()
        if cursor.byte == UInt8(ascii: "}") {
            cursor.advance()
            return .object(members)
        }
        repeat {
            let key = try text(cursor.memberName(&scratch))
            if isStrict {
                path.append(key)
                if !names.insert(key).inserted { throw .givenTwice }
            }
            members.append(.init(key, try value(depth: depth + 1)))
            if isStrict { path.removeLast() }
        } while try !cursor.ends(with: UInt8(ascii: "}"))
        return .object(members)
    }

    private mutating func array(depth: Int) throws(JSONFault) -> JSONValue {
        guard depth < Limits.jsonDepth else { throw .tooDeep }
        var values: [JSONValue] = []
        cursor.advance()
        cursor.skipSpace()
        if cursor.byte == UInt8(ascii: "]") {
            cursor.advance()
            return .array(values)
        }
        repeat { values.append(try value(depth: depth + 1)) } while try !cursor.ends(with: UInt8(ascii: "]"))
        return .array(values)
    }
}

extension JSONError {
    /// A member's path as an error names it; `body` for the document itself.
    static func field(_ path: [ByteString]) -> String {
        path.isEmpty ? "body" : path.prefix(8).map { String($0.string.prefix(60)) }.joined(separator: ".")
    }
}

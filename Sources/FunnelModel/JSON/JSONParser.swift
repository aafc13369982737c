/// A fault in a JSON text, with the byte it was found at.
package struct JSONError: Error, Equatable, Sendable {
    package var offset: Int
    package var reason: String
    /// The member at fault, names from the document's top joined by `.`, where the text is well-formed but its meaning is
    /// in doubt. Empty for malformed text.
    package var field = ""
}

/// Parses JSON (RFC 8259) from bytes in one pass: UTF-8 and escapes checked, depth bounded, integers kept exact up to
/// 64 bits. Bare `NaN`, `Infinity` and `-Infinity`, which real SDKs send, read as null.
package struct JSONParser {
    private let bytes: [UInt8]
    private let end: Int
    private var at: Int
    private var elementsMax = Int.max
    /// A list has more elements than that.
    private var isOver = false
    /// Refuses what readers of JSON disagree about.
    private let isStrict: Bool
    /// Member names from the document's top to the value at `at`; only a strict parser keeps them.
    private var path: [ByteString] = []

    private init(bytes: [UInt8], end: Int, at: Int, isStrict: Bool = false) {
        self.bytes = bytes
        self.end = end
        self.at = at
        self.isStrict = isStrict
    }

    /// The single value in `bytes`, behind a byte order mark or none; anything but white space after it is an error.
    package static func parse(_ bytes: [UInt8]) throws(JSONError) -> JSONValue {
        try parse(bytes, range: ByteOrderMark.length(in: bytes)..<bytes.count)
    }

    package static func parse(_ bytes: [UInt8], range: Range<Int>) throws(JSONError) -> JSONValue {
        try parse(bytes, range, isStrict: false)
    }

    /// The same, but a member given twice in one object, half of a surrogate pair and a number that no double holds are errors
    /// which name the field: two readers would take such a text for two different events.
    package static func parseStrictly(_ bytes: [UInt8], range: Range<Int>) throws(JSONError) -> JSONValue {
        try parse(bytes, range, isStrict: true)
    }

    private static func parse(_ bytes: [UInt8], _ range: Range<Int>, isStrict: Bool) throws(JSONError) -> JSONValue {
        var parser = JSONParser(bytes: bytes, end: range.upperBound, at: range.lowerBound, isStrict: isStrict)
        let value = try parser.value(depth: 0)
        parser.skipSpace()
        if parser.at < parser.end { throw parser.fault("text after the value") }
        return value
    }

    /// Ranges of the elements of a list in `bytes`, the document itself or its member `member`, without building any of
    /// them: a large list then never stands in memory as values. Elements are cut by their brackets and quotes only, so
    /// each must still be parsed.
    ///
    /// - Parameter most: elements; nothing is read behind one more.
    /// - Throws: for the member twice too.
    package static func elements(of bytes: [UInt8], member: ByteString, most: Int = .max) throws(EventBodyError) -> [Range<Int>] {
        var parser = JSONParser(bytes: bytes, end: bytes.count, at: ByteOrderMark.length(in: bytes))
        parser.elementsMax = most
        let found: [Range<Int>]?
        do throws(JSONError) {
            found = try parser.elements(member)
        } catch {
            throw parser.isOver ? .tooMany(most + 1) : .json(error)
        }
        guard let found else { throw .noList }
        return found
    }

    /// - Returns: nil where the document is neither a list nor an object with that list.
    private mutating func elements(_ member: ByteString) throws(JSONError) -> [Range<Int>]? {
        skipSpace()
        guard at < end else { throw fault("unexpected end") }
        var found: [Range<Int>]?
        if bytes[at] == UInt8(ascii: "[") {
            found = try elementRanges()
        } else if bytes[at] == UInt8(ascii: "{") {
            found = try memberRanges(member)
        } else {
            _ = try value(depth: 0)
        }
        skipSpace()
        if at < end { throw fault("text after the value") }
        return found
    }

    /// Where the element of a list that begins at `start` ends, cut as `elements` cuts it.
    static func endOfElement(in bytes: [UInt8], from start: Int) throws(JSONError) -> Int {
        var parser = JSONParser(bytes: bytes, end: bytes.count, at: start)
        try parser.skipValue()
        return parser.at
    }

    /// A number of a document that a double does not hold exactly, as the text of its digits; every other value as it is.
    ///
    /// - Parameters:
    ///   - path: names of members from the document's top to the value; the last of equal ones, as in `JSONValue`.
    ///   - range: of the document in `bytes`, which was parsed before.
    package static func exactly(_ value: JSONValue?, at path: [ByteString], in bytes: [UInt8], _ range: Range<Int>) -> JSONValue? {
        guard case .double = value else { return value }
        var parser = JSONParser(bytes: bytes, end: range.upperBound, at: range.lowerBound)
        guard let found = try? parser.place(of: path[...]) else { return value }
        let text = bytes[found]
        return text.allSatisfy { (48...57).contains($0) || $0 == UInt8(ascii: ".") } ? .string(ByteString(text)) : value
    }

    private mutating func place(of path: ArraySlice<ByteString>) throws(JSONError) -> Range<Int>? {
        skipSpace()
        guard let name = path.first else {
            let start = at
            try skipValue()
            var end = at
            while end > start, bytes[end - 1] <= 32 { end -= 1 }
            return start..<end
        }
        guard at < end, bytes[at] == UInt8(ascii: "{") else { return nil }
        at += 1
        skipSpace()
        var found: Range<Int>?
        while true {
            skipSpace()
            guard at < end, bytes[at] == UInt8(ascii: "\"") else { return found }
            let key = ByteString(try string())
            skipSpace()
            guard at < end, bytes[at] == UInt8(ascii: ":") else { throw fault("expected ':'") }
            at += 1
            skipSpace()
            if key == name {
                var inner = self
                found = try inner.place(of: path.dropFirst())
            }
            try skipValue()
            if try listEnds(with: UInt8(ascii: "}")) { return found }
        }
    }

    private mutating func memberRanges(_ member: ByteString) throws(JSONError) -> [Range<Int>]? {
        var found: [Range<Int>]?
        var isThere = false
        at += 1
        skipSpace()
        if at < end, bytes[at] == UInt8(ascii: "}") {
            at += 1
            return nil
        }
        while true {
            skipSpace()
            guard at < end, bytes[at] == UInt8(ascii: "\"") else { throw fault("expected a member name") }
            let key = ByteString(try string())
            skipSpace()
            guard at < end, bytes[at] == UInt8(ascii: ":") else { throw fault("expected ':'") }
            at += 1
            skipSpace()
            if key == member {
                if isThere { throw JSONError(offset: at, reason: Self.givenTwice, field: Self.shown([key])) }
                isThere = true
            }
            if key == member, at < end, bytes[at] == UInt8(ascii: "[") {
                found = try elementRanges()
            } else {
                try skipValue()
            }
            if try listEnds(with: UInt8(ascii: "}")) { return found }
        }
    }

    private mutating func elementRanges() throws(JSONError) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        at += 1
        skipSpace()
        if at < end, bytes[at] == UInt8(ascii: "]") {
            at += 1
            return ranges
        }
        while true {
            skipSpace()
            let start = at
            try skipValue()
            if ranges.count == elementsMax {
                isOver = true
                throw fault("too many elements")
            }
            ranges.append(start..<at)
            if try listEnds(with: UInt8(ascii: "]")) { return ranges }
        }
    }

    /// Moves past one value by its brackets and quotes.
    private mutating func skipValue() throws(JSONError) {
        var open = 0
        let start = at
        while at < end {
            switch bytes[at] {
            case UInt8(ascii: "{"), UInt8(ascii: "["): open += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if open == 0 { return try checkNotEmpty(start) }
                open -= 1
                if open == 0 {
                    at += 1
                    return
                }
            case UInt8(ascii: ","): if open == 0 { return try checkNotEmpty(start) }
            case UInt8(ascii: "\""):
                try skipString()
                if open == 0 { return }
                continue
            default: break
            }
            at += 1
        }
        throw fault("unexpected end")
    }

    private func checkNotEmpty(_ start: Int) throws(JSONError) {
        if at == start { throw fault("expected a value") }
    }

    private mutating func skipString() throws(JSONError) {
        at += 1
        while at < end {
            let byte = bytes[at]
            at += byte == UInt8(ascii: "\\") ? 2 : 1
            if byte == UInt8(ascii: "\"") { return }
        }
        throw fault("string without an end")
    }

    private func fault(_ reason: String) -> JSONError { JSONError(offset: at, reason: reason) }

    private static let givenTwice = "is given twice"

    /// A fault of the member at hand, or of the whole document.
    private func doubt(_ reason: String) -> JSONError { JSONError(offset: at, reason: reason, field: Self.shown(path)) }

    private static func shown(_ path: [ByteString]) -> String {
        path.isEmpty ? "body" : path.prefix(8).map { String($0.string.prefix(60)) }.joined(separator: ".")
    }

    private mutating func skipSpace() {
        while at < end {
            switch bytes[at] {
            case 32, 9, 10, 13: at += 1
            default: return
            }
        }
    }

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        skipSpace()
        guard at < end else { throw fault("unexpected end") }
        if bytes[at] == UInt8(ascii: "{") || bytes[at] == UInt8(ascii: "["), depth == Limits.jsonDepth {
            throw fault("nested deeper than \(Limits.jsonDepth)")
        }
        switch bytes[at] {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(ByteString(try string()))
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "N"): return try word("NaN", .null)
        case UInt8(ascii: "I"): return try word("Infinity", .null)
        default: return try number()
        }
    }

    private mutating func word(_ text: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        let expected = text.description.utf8
        guard end - at >= expected.count, bytes[at..<(at + expected.count)].elementsEqual(expected) else {
            throw fault("not a JSON value")
        }
        at += expected.count
        return value
    }

    private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
        var members: [JSONValue.Member] = []
        var names: Set<ByteString> = []
        at += 1
        skipSpace()
        if at < end, bytes[at] == UInt8(ascii: "}") {
            at += 1
            return .object(members)
        }
        while true {
            skipSpace()
            guard at < end, bytes[at] == UInt8(ascii: "\"") else { throw fault("expected a member name") }
            let key = ByteString(try string())
            skipSpace()
            guard at < end, bytes[at] == UInt8(ascii: ":") else { throw fault("expected ':'") }
            at += 1
            if isStrict {
                path.append(key)
                if !names.insert(key).inserted { throw doubt(Self.givenTwice) }
            }
            members.append(.init(key, try value(depth: depth + 1)))
            if isStrict { path.removeLast() }
            if try listEnds(with: UInt8(ascii: "}")) { return .object(members) }
        }
    }

    private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
        var values: [JSONValue] = []
        at += 1
        skipSpace()
        if at < end, bytes[at] == UInt8(ascii: "]") {
            at += 1
            return .array(values)
        }
        while true {
            values.append(try value(depth: depth + 1))
            if try listEnds(with: UInt8(ascii: "]")) { return .array(values) }
        }
    }

    private mutating func listEnds(with close: UInt8) throws(JSONError) -> Bool {
        skipSpace()
        guard at < end else { throw fault("unexpected end") }
        if bytes[at] == close {
            at += 1
            return true
        }
        guard bytes[at] == UInt8(ascii: ",") else { throw fault("expected ','") }
        at += 1
        return false
    }

    private mutating func number() throws(JSONError) -> JSONValue {
        let start = at
        if bytes[at] == UInt8(ascii: "-") {
            at += 1
            if at < end, bytes[at] == UInt8(ascii: "I") { return try word("Infinity", .null) }
        }
        let firstDigit = at
        try digits()
        if at - firstDigit > 1, bytes[firstDigit] == UInt8(ascii: "0") { throw fault("number with a leading zero") }
        var whole = true
        if at < end, bytes[at] == UInt8(ascii: ".") {
            whole = false
            at += 1
            try digits()
        }
        if at < end, bytes[at] | 32 == UInt8(ascii: "e") {
            whole = false
            at += 1
            if at < end, bytes[at] == UInt8(ascii: "+") || bytes[at] == UInt8(ascii: "-") { at += 1 }
            try digits()
        }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        if whole, let value = Int64(text) { return .integer(value) }
        guard let value = Double(text) else { throw fault("not a number") }
        if isStrict, !value.isFinite { throw doubt("a number is out of range: no double is as large") }
        // Too large for a double: kept as infinity, which no field of a definition takes.
        return .double(value)
    }

    private mutating func digits() throws(JSONError) {
        let start = at
        while at < end, bytes[at] >= 48, bytes[at] <= 57 { at += 1 }
        if at == start { throw fault(at < end ? "not a JSON value" : "unexpected end") }
    }

    private mutating func string() throws(JSONError) -> [UInt8] {
        at += 1
        let start = at
        var high = false
        while at < end {
            let byte = bytes[at]
            if byte == UInt8(ascii: "\"") {
                if high, !isValidUTF8(bytes[start..<at]) { throw fault("string is not UTF-8") }
                defer { at += 1 }
                return Array(bytes[start..<at])
            }
            if byte == UInt8(ascii: "\\") { return try escapedString(from: start) }
            if byte < 32 { throw fault("control character in a string") }
            high = high || byte >= 0x80
            at += 1
        }
        throw fault("string without an end")
    }

    private mutating func escapedString(from start: Int) throws(JSONError) -> [UInt8] {
        var out = Array(bytes[start..<at])
        while at < end {
            let byte = bytes[at]
            at += 1
            if byte == UInt8(ascii: "\"") {
                guard isValidUTF8(out) else { throw fault("string is not UTF-8") }
                return out
            }
            if byte < 32 { throw fault("control character in a string") }
            guard byte == UInt8(ascii: "\\") else {
                out.append(byte)
                continue
            }
            guard at < end else { break }
            let escape = bytes[at]
            at += 1
            switch escape {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): out.append(escape)
            case UInt8(ascii: "b"): out.append(8)
            case UInt8(ascii: "f"): out.append(12)
            case UInt8(ascii: "n"): out.append(10)
            case UInt8(ascii: "r"): out.append(13)
            case UInt8(ascii: "t"): out.append(9)
            case UInt8(ascii: "u"): out += Array(String(try unicodeEscape()).utf8)
            default: throw fault("unknown escape")
            }
        }
        throw fault("string without an end")
    }

    /// The scalar of a `\u` escape, with its second half where it is a surrogate pair; a lone half reads as U+FFFD where it
    /// is no error.
    private mutating func unicodeEscape() throws(JSONError) -> Unicode.Scalar {
        let first = try hex4()
        if let scalar = Unicode.Scalar(first) { return scalar }
        if first < 0xDC00, end - at >= 6, bytes[at] == UInt8(ascii: "\\"), bytes[at + 1] == UInt8(ascii: "u") {
            let mark = at
            at += 2
            let second = try hex4()
            if (0xDC00...0xDFFF).contains(second) {
                let value = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)
                return Unicode.Scalar(value) ?? "\u{FFFD}"
            }
            at = mark
        }
        if isStrict { throw doubt("has half of a surrogate pair (\\u escape), which is no character") }
        return "\u{FFFD}"
    }

    private mutating func hex4() throws(JSONError) -> UInt32 {
        guard end - at >= 4 else { throw fault("unexpected end") }
        var value: UInt32 = 0
        for _ in 0..<4 {
            let byte = bytes[at]
            switch byte {
            case 48...57: value = value << 4 | UInt32(byte - 48)
            case 65...70: value = value << 4 | UInt32(byte - 55)
            case 97...102: value = value << 4 | UInt32(byte - 87)
            default: throw fault("expected four hex digits")
            }
            at += 1
        }
        return value
    }
}

/// A JSON document in memory. Members keep their order; texts are compared by bytes.
package indirect enum JSONValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case integer(Int64)
    case double(Double)
    case string(ByteString)
    case array([JSONValue])
    case object([Member])

    package struct Member: Equatable, Sendable {
        package var key: ByteString
        package var value: JSONValue

        package init(_ key: ByteString, _ value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    /// The last member with this name, as in most parsers; nil if there is none, or the value is no object.
    package subscript(key: ByteString) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.key == key }?.value
    }

    package var asString: ByteString? {
        if case .string(let text) = self { return text }
        return nil
    }

    package var asInteger: Int64? {
        if case .integer(let value) = self { return value }
        return nil
    }

    package var asDouble: Double? {
        switch self {
        case .integer(let value): return Double(value)
        case .double(let value): return value
        default: return nil
        }
    }

    package var asBool: Bool? {
        if case .bool(let value) = self { return value }
        return nil
    }

    package var asArray: [JSONValue]? {
        if case .array(let values) = self { return values }
        return nil
    }

    package var asObject: [Member]? {
        if case .object(let members) = self { return members }
        return nil
    }

    /// The JSON name of this value's type, for error texts.
    package var typeName: String {
        switch self {
        case .null: return "null"
        case .bool: return "a boolean"
        case .integer, .double: return "a number"
        case .string: return "a string"
        case .array: return "an array"
        case .object: return "an object"
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    package init(stringLiteral value: String) { self = .string(ByteString(value)) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(floatLiteral value: Double) { self = .double(value) }
    package init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (ByteString, JSONValue)...) {
        self = .object(elements.map { Member($0.0, $0.1) })
    }
    package init(nilLiteral: ()) { self = .null }

    package static func text(_ value: String) -> JSONValue { .string(ByteString(value)) }
    package static func count(_ value: Int) -> JSONValue { .integer(Int64(value)) }
    package static func number(_ value: Double?) -> JSONValue { value.map { .double($0) } ?? .null }
}

extension JSONValue {
    /// Compact JSON text (RFC 8259), with members in order. Numbers that are not finite become `null`.
    package func encode() -> [UInt8] {
        var out: [UInt8] = []
        write(to: &out)
        return out
    }

    package func write(to out: inout [UInt8]) {
        switch self {
        case .null: out += "null".utf8
        case .bool(let value): out += (value ? "true" : "false").utf8
        case .integer(let value): out += String(value).utf8
        case .double(let value): JSONValue.writeNumber(value, to: &out)
        case .string(let text): JSONValue.writeString(text, to: &out)
        case .array(let values):
            out.append(UInt8(ascii: "["))
            for (i, value) in values.enumerated() {
                if i > 0 { out.append(UInt8(ascii: ",")) }
                value.write(to: &out)
            }
            out.append(UInt8(ascii: "]"))
        case .object(let members):
            out.append(UInt8(ascii: "{"))
            for (i, member) in members.enumerated() {
                if i > 0 { out.append(UInt8(ascii: ",")) }
                JSONValue.writeString(member.key, to: &out)
                out.append(UInt8(ascii: ":"))
                member.value.write(to: &out)
            }
            out.append(UInt8(ascii: "}"))
        }
    }

    /// Writes whole numbers below 2^53 without a fraction, others in the shortest form that reads back as the same number.
    private static func writeNumber(_ value: Double, to out: inout [UInt8]) {
        if !value.isFinite {
            out += "null".utf8
        } else if value == value.rounded(.towardZero), abs(value) < 9_007_199_254_740_992 {
            out += String(Int64(value)).utf8
        } else {
            out += "\(value)".utf8
        }
    }

    private static func writeString(_ text: ByteString, to out: inout [UInt8]) {
        // Ids are checked on arrival, but a damaged byte must not make the document invalid.
        if isValidUTF8(text.bytes) { writeString(text.bytes.span, to: &out) } else { writeString(Array(text.string.utf8).span, to: &out) }
    }

    /// Writes text in quotes, with the escapes that JSON needs.
    package static func writeString(_ text: Span<UInt8>, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        var written = 0
        var i = 0
        while i < text.count {
            let byte = text[i]
            if byte >= 32, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte != 127 {
                i &+= 1
                continue
            }
            out.append(text.extracting(written..<i))
            writeEscape(byte, to: &out)
            i &+= 1
            written = i
        }
        out.append(text.extracting(written..<text.count))
        out.append(UInt8(ascii: "\""))
    }

    private static func writeEscape(_ byte: UInt8, to out: inout [UInt8]) {
        switch byte {
        case UInt8(ascii: "\""): out += "\\\"".utf8
        case UInt8(ascii: "\\"): out += "\\\\".utf8
        case 10: out += "\\n".utf8
        case 13: out += "\\r".utf8
        case 9: out += "\\t".utf8
        default:
            let hex = Array("0123456789abcdef".utf8)
            out += "\\u00".utf8
            out.append(hex[Int(byte >> 4)])
            out.append(hex[Int(byte & 15)])
        }
    }
}

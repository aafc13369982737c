import FunnelModel

/// The fields of a text in the form `application/x-www-form-urlencoded` (WHATWG URL Standard, section 5.1): a body, or a query.
/// Names and values are still encoded. Empty fields are skipped.
package struct FormFields: Sequence, IteratorProtocol {
    private var rest: ArraySlice<UInt8>

    package init(_ text: ArraySlice<UInt8>) { rest = text }

    package init(_ text: [UInt8]) { rest = text[...] }

    package mutating func next() -> (name: ArraySlice<UInt8>, value: ArraySlice<UInt8>)? {
        rest = rest.drop { $0 == UInt8(ascii: "&") }
        if rest.isEmpty { return nil }
        let field = rest.prefix { $0 != UInt8(ascii: "&") }
        rest = rest[field.endIndex...]
        let name = field.prefix { $0 != UInt8(ascii: "=") }
        return (name, field[name.endIndex...].dropFirst())
    }

    /// The decoded value of the first field with this name; nil if there is none, or its escapes are broken.
    package func value(_ name: String) -> [UInt8]? {
        guard let field = first(where: { $0.name.elementsEqual(name.utf8) }) else { return nil }
        return Self.decode(field.value, plusIsBlank: true)
    }

    /// All fields as members of an object; nil if an escape is broken or a text is not UTF-8.
    package func members() -> [JSONValue.Member]? {
        var members: [JSONValue.Member] = []
        for field in self {
            guard let name = Self.decode(field.name, plusIsBlank: true), isValidUTF8(name),
                let value = Self.decode(field.value, plusIsBlank: true), isValidUTF8(value)
            else { return nil }
            members.append(.init(ByteString(name), .string(ByteString(value))))
        }
        return members
    }

    /// Undoes percent-encoding (RFC 3986 section 2.1); nil if two hex digits do not follow a `%`.
    package static func decode(_ text: ArraySlice<UInt8>, plusIsBlank: Bool) -> [UInt8]? {
        var out: [UInt8] = []
        out.reserveCapacity(text.count)
        var at = text.startIndex
        while at < text.endIndex {
            let byte = text[at]
            at += 1
            switch byte {
            case UInt8(ascii: "%"):
                guard text.endIndex - at >= 2, let high = Hex.value(text[at]), let low = Hex.value(text[at + 1]) else { return nil }
                out.append(high << 4 | low)
                at += 2
            case UInt8(ascii: "+") where plusIsBlank: out.append(UInt8(ascii: " "))
            default: out.append(byte)
            }
        }
        return out
    }
}

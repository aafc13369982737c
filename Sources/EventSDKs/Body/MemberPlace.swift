import FunnelModel

/// The place of a value in a document: names of members from the top, joined by `.`.
package struct MemberPlace: Hashable, Sendable, ExpressibleByStringLiteral {
    private let names: [ByteString]

    package init(stringLiteral text: String) { names = text.split(separator: ".").map { ByteString($0) } }

    /// The place of a member of the document.
    init(name: ByteString) { names = [name] }

    /// The name of the last member.
    var name: String { names.last?.string ?? "" }

    /// The value; nil if there is none, or it is null.
    func value(in document: JSONValue) -> JSONValue? {
        var value = document
        for name in names {
            guard let inner = value[name] else { return nil }
            value = inner
        }
        if value == .null { return nil }
        return value
    }

    /// The text in a document that is not parsed.
    func text(in json: [UInt8], _ range: Range<Int>) -> ByteString? { JSONElements.text(at: names, in: json, range) }

    /// The document without the value.
    func removed(from document: JSONValue) -> JSONValue { Self.removing(names[...], from: document) }

    private static func removing(_ names: ArraySlice<ByteString>, from document: JSONValue) -> JSONValue {
        guard let name = names.first, let members = document.asObject else { return document }
        let rest = names.dropFirst()
        if rest.isEmpty { return .object(members.filter { $0.key != name }) }
        return .object(members.map { $0.key == name ? .init(name, removing(rest, from: $0.value)) : $0 })
    }

    /// The value, or the digits of a number that a double does not hold exactly.
    fileprivate func exactly(_ value: JSONValue, in source: SourceRecord) -> JSONValue {
        JSONElements.exactly(value, at: names, in: source.text, source.range) ?? value
    }
}

extension [MemberPlace] {
    /// The first text that is not empty.
    func text(in document: JSONValue) -> ByteString? {
        for place in self {
            if let text = place.value(in: document)?.asString, !text.isEmpty { return text }
        }
        return nil
    }

    /// The first id that is neither null nor empty. An integer of any length becomes its digits.
    func id(in source: SourceRecord) throws(EventFault) -> ByteString? {
        for place in self {
            guard let value = place.value(in: source.value), value != .string("") else { continue }
            let id: ByteString
            switch place.exactly(value, in: source) {
            case .string(let text) where value.asString != nil || !text.bytes.contains(UInt8(ascii: ".")): id = text
            case .integer(let number): id = ByteString(String(number))
            default: throw EventFault(place.name, "must be text or an integer, not \(value.typeName)", "string_type")
            }
            guard id.count <= Limits.userIDBytes else {
                throw EventFault(place.name, "has \(id.count) bytes; the limit is \(Limits.userIDBytes)", "string_too_long")
            }
            return id
        }
        return nil
    }
}

import FunnelModel

/// What an event's page says about where the user came from: parameters of its URL, and the host of its referrer.
package struct CampaignFields {
    private static let names: [ByteString] = [
        "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "gclid", "fbclid",
    ]

    package private(set) var fields: [JSONValue.Member] = []

    /// - Parameters:
    ///   - url: a URL, or a query with its `?`.
    ///   - referrer: a URL; other texts have no host.
    package init(url: ByteString?, referrer: ByteString?) {
        if let url { addParameters(of: url.bytes) }
        if let host = referrer.flatMap({ Self.host(of: $0.bytes) }) { fields.append(.init("referrer_host", .string(host))) }
    }

    /// Adds the fields that the properties do not have.
    package func add(to properties: inout [JSONValue.Member]) {
        if fields.isEmpty { return }
        let own = Set(properties.map(\.key))
        properties += fields.filter { !own.contains($0.key) }
    }

    /// Of a parameter given twice the first counts. One whose escapes are broken, that is not UTF-8, is empty or is longer than a
    /// property may be is skipped.
    private mutating func addParameters(of url: [UInt8]) {
        let url = url.prefix { $0 != UInt8(ascii: "#") }
        guard let mark = url.firstIndex(of: UInt8(ascii: "?")) else { return }
        var missing = Set(Self.names)
        for field in FormFields(url[(mark + 1)...]) {
            let name = ByteString(field.name)
            guard missing.contains(name), let value = FormFields.decode(field.value, plusIsBlank: true), !value.isEmpty,
                value.count <= Limits.propertyValueBytes, isValidUTF8(value)
            else { continue }
            missing.remove(name)
            fields.append(.init(name, .string(ByteString(value))))
        }
    }

    /// The host of a URL in lower case, without user and port; nil if the text is no URL with a host (RFC 3986 section 3.2).
    package static func host(of url: [UInt8]) -> ByteString? {
        guard let colon = url.firstIndex(of: UInt8(ascii: ":")), colon > 0, url[colon...].starts(with: "://".utf8),
            url[..<colon].allSatisfy(isOfScheme)
        else { return nil }
        var host = url[(colon + 3)...].prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        if let at = host.lastIndex(of: UInt8(ascii: "@")) { host = host[(at + 1)...] }
        if let bracket = host.lastIndex(of: UInt8(ascii: "]")) {
            host = host[...bracket]
        } else if let port = host.lastIndex(of: UInt8(ascii: ":")) {
            host = host[..<port]
        }
        guard !host.isEmpty, host.count <= 255, host.allSatisfy({ $0 > 32 }) else { return nil }
        return ByteString(host.map { (65...90).contains($0) ? $0 | 32 : $0 })
    }

    private static func isOfScheme(_ byte: UInt8) -> Bool {
        (97...122).contains(byte | 32) || (48...57).contains(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+")
            || byte == UInt8(ascii: ".")
    }
}

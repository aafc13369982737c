import FunnelModel

/// The origin of a web page: scheme, host and port, as a browser sends it in `Origin` (RFC 6454 section 6.2).
package struct PageOrigin: Hashable, Sendable {
    /// Lower case, without the scheme's usual port.
    package let text: String

    /// Nil if the text has another form. Upper case and the usual port are accepted.
    package init?(_ text: String) {
        // Some letters beyond ASCII have lower cases within.
        guard text.utf8.allSatisfy({ $0 < 0x80 }) else { return nil }
        let text = text.lowercased()
        guard let (scheme, port) = Self.schemes.first(where: { text.hasPrefix($0.scheme) }) else { return nil }
        let authority = text.dropFirst(scheme.count)
        guard text.utf8.count <= Limits.originBytes, let (host, given) = Self.parts(authority) else { return nil }
        self.text = scheme + host + (given == nil || given == port ? "" : ":\(given ?? port)")
    }

    private static let schemes: [(scheme: String, port: Int)] = [("https://", 443), ("http://", 80)]

    /// Host and port of an authority; nil if it is none, or has a user, a path or a character that browsers encode.
    private static func parts(_ authority: Substring) -> (host: String, port: Int?)? {
        let isIPv6 = authority.hasPrefix("[")
        let end = isIPv6 ? authority.firstIndex(of: "]").map(authority.index(after:)) : authority.firstIndex(of: ":")
        if isIPv6, end == nil { return nil }
        let host = authority[..<(end ?? authority.endIndex)]
        let rest = authority[(end ?? authority.endIndex)...]
        let name = isIPv6 ? host.dropFirst().dropLast() : host
        guard !name.isEmpty, name.utf8.allSatisfy({ isIPv6 ? Self.isOfIPv6($0) : Self.isOfName($0) }) else { return nil }
        if rest.isEmpty { return (String(host), nil) }
        let digits = rest.dropFirst()
        guard rest.first == ":", digits.utf8.allSatisfy(Self.isDigit), let port = UInt16(digits), port > 0 else { return nil }
        return (String(host), Int(port))
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    private static func isOfName(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || [45, 46, 95].contains(byte)
    }

    private static func isOfIPv6(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte) || byte == UInt8(ascii: ":")
    }
}

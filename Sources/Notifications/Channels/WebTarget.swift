/// The URL of a channel, read strictly, so that what is checked is what is called. Its text may hold a secret, and its description
/// names only scheme, host and port.
package struct WebTarget: Equatable, Sendable, CustomStringConvertible {
    package let isSecure: Bool
    /// In lower case; an IPv6 address without brackets.
    package let host: String
    package let port: Int
    /// Path and query, from the first `/`.
    package let path: String

    package var description: String { (isSecure ? "https://" : "http://") + authority }

    /// The whole URL, secrets in it included.
    package var url: String { description + path }

    private var authority: String {
        let name = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? name : "\(name):\(port)"
    }

    /// The URL with a path below this one's.
    package func appending(_ suffix: String) -> WebTarget {
        WebTarget(isSecure: isSecure, host: host, port: port, path: (path.hasSuffix("/") ? String(path.dropLast()) : path) + suffix)
    }

    private init(isSecure: Bool, host: String, port: Int, path: String) {
        self.isSecure = isSecure
        self.host = host
        self.port = port
        self.path = path
    }

    package init(_ text: String) throws(ChannelFault) {
        guard text.utf8.count <= NoticeLimits.urlBytes else {
            throw ChannelFault("has \(text.utf8.count) bytes; the limit is \(NoticeLimits.urlBytes)")
        }
        guard text.utf8.allSatisfy(Self.isURLByte) else { throw ChannelFault("must be a URL of ASCII characters, without blanks") }
        let lower = text.lowercased()
        let scheme = lower.hasPrefix("https://") ? "https://" : "http://"
        guard lower.hasPrefix(scheme) else {
            throw ChannelFault("must begin with https://, or with http:// for an allowed internal target")
        }
        let rest = text.dropFirst(scheme.count)
        guard !rest.contains("#") else { throw ChannelFault("must not have a fragment (#)") }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let tail = String(rest.dropFirst(authority.count))
        guard !authority.contains("@") else { throw ChannelFault("must not have a user or a password before the host") }
        let (host, portText) = try Self.split(String(authority).lowercased())
        isSecure = scheme == "https://"
        self.host = host
        if let portText {
            guard let number = Int(portText), (1...65_535).contains(number), portText.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) else {
                throw ChannelFault("must have a port from 1 to 65535")
            }
            port = number
        } else {
            port = isSecure ? 443 : 80
        }
        path = tail.hasPrefix("/") ? tail : "/" + tail
    }

    private static func split(_ authority: String) throws(ChannelFault) -> (host: String, port: String?) {
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { throw ChannelFault("has an IPv6 address without ]") }
            let host = String(authority[authority.index(after: authority.startIndex)..<end])
            let after = authority[authority.index(after: end)...]
            guard let address = IPAddress(host), address.bytes.count == 16, after.isEmpty || after.hasPrefix(":") else {
                throw ChannelFault("has no valid IPv6 address between [ and ]")
            }
            return (host, after.isEmpty ? nil : String(after.dropFirst()))
        }
        let parts = authority.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let host = parts.first.map(String.init) ?? ""
        guard isHostName(host) else { throw ChannelFault("must have a host of letters, digits, -, _ and dots") }
        return (host, parts.count == 2 ? String(parts[1]) : nil)
    }

    /// Odd spellings of an address, such as `0x7f.1`, are names here: they are resolved, and then checked as any other.
    static func isHostName(_ host: String) -> Bool {
        let labels = (host.hasSuffix(".") ? String(host.dropLast()) : host).split(separator: ".", omittingEmptySubsequences: false)
        return host.utf8.count <= 253
            && labels.allSatisfy { label in
                (1...63).contains(label.utf8.count)
                    && label.utf8.allSatisfy { byte in
                        switch byte {
                        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
                            UInt8(ascii: "_"):
                            true
                        default: false
                        }
                    }
            }
    }

    private static func isURLByte(_ byte: UInt8) -> Bool {
        byte > 0x20 && byte < 0x7F && !Array("\"<>\\^`{|}".utf8).contains(byte)
    }
}

import Glibc
import NIOCore

/// The addresses of proxies whose word about their callers is believed.
package struct TrustedProxies: Sendable {
    /// An IPv4 network is one of the mapped IPv6 addresses.
    private struct Network: Sendable {
        var address: [UInt8]
        var bits: Int

        func contains(_ other: [UInt8]) -> Bool {
            let whole = bits / 8
            guard address[..<whole].elementsEqual(other[..<whole]) else { return false }
            let rest = UInt8(truncatingIfNeeded: 0xFF00 >> (bits % 8))
            return bits % 8 == 0 || (address[whole] ^ other[whole]) & rest == 0
        }
    }

    private let networks: [Network]

    /// No proxy is trusted.
    package init() { networks = [] }

    /// Reads addresses and networks, as in `10.0.0.5` and `10.1.0.0/16`. Throws `Fault`.
    package init(_ entries: [String]) throws(Fault) {
        var networks: [Network] = []
        for entry in entries {
            let parts = entry.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            guard let first = parts.first, let address = Self.bytes(String(first)) else {
                throw Fault(reason: "has \"\(entry)\", which is no IP address and no network such as 10.1.0.0/16")
            }
            let most = first.contains(":") ? 128 : 32
            var bits = most
            if parts.count == 2 {
                guard let given = Int(parts[1]), (1...most).contains(given), parts[1].first != "+" else {
                    throw Fault(reason: "has \"\(entry)\"; the number after / must be from 1 to \(most)")
                }
                bits = given
            }
            networks.append(Network(address: address, bits: 128 - most + bits))
        }
        self.networks = networks
    }

    /// Why a list of proxies is invalid.
    package struct Fault: Error, CustomStringConvertible {
        package let reason: String
        package var description: String { reason }
    }

    package var isEmpty: Bool { networks.isEmpty }

    /// Whether a connection from this address is of a trusted proxy.
    package func contains(_ address: SocketAddress?) -> Bool {
        guard !networks.isEmpty, let text = address?.ipAddress, let bytes = Self.bytes(text) else { return false }
        return contains(bytes)
    }

    private func contains(_ bytes: [UInt8]) -> Bool { networks.contains { $0.contains(bytes) } }

    /// The address of the caller to which limits apply (`limitAddress`), behind a trusted proxy: the last one of `X-Forwarded-For` that
    /// is of no trusted proxy. An entry that is no address, and all before it, are ignored: then it is the address of the proxy that
    /// wrote the entry.
    /// - Parameters:
    ///   - fields: the values of all `X-Forwarded-For` headers, in order.
    ///   - peer: the address of the connection, which is of a trusted proxy.
    package func caller(_ fields: [String], of peer: SocketAddress?) -> String {
        var last = limitAddress(peer)
        for field in fields.reversed() {
            for entry in field.split(separator: ",", omittingEmptySubsequences: false).reversed() {
                guard let text = Self.host(entry), let bytes = Self.bytes(text) else { return last }
                last = text.contains(":") ? limitAddress(ipv6: text) : text
                if !contains(bytes) { return last }
            }
        }
        return last
    }

    /// The address of an entry, which may have a port: `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]`, `[::1]:80`; nil if it has another form.
    private static func host(_ entry: Substring) -> String? {
        var text = entry
        while let first = text.first, first == " " || first == "\t" { text.removeFirst() }
        while let last = text.last, last == " " || last == "\t" { text.removeLast() }
        // The longest is an IPv6 address in brackets, with a scope and a port.
        guard text.utf8.count <= 80 else { return nil }
        var port: Substring?
        if text.first == "[" {
            guard let end = text.firstIndex(of: "]") else { return nil }
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.first == ":" else { return nil }
            port = rest.isEmpty ? nil : rest.dropFirst()
            text = text[text.index(after: text.startIndex)..<end]
            guard text.contains(":") else { return nil }
        } else if let colon = text.firstIndex(of: ":"), colon == text.lastIndex(of: ":") {
            port = text[text.index(after: colon)...]
            text = text[..<colon]
        }
        if let port { guard (1...5).contains(port.utf8.count), port.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil } }
        return String(text)
    }

    /// The 16 bytes of an address, an IPv4 one mapped into IPv6; nil if the text is no address.
    private static func bytes(_ text: String) -> [UInt8]? {
        // C would end the text there.
        if text.utf8.contains(0) { return nil }
        if text.contains(":") {
            var address = [UInt8](repeating: 0, count: 16)
            guard unsafe inet_pton(AF_INET6, String(text.prefix { $0 != "%" }), &address) == 1 else { return nil }
            return address
        }
        var address = [UInt8](repeating: 0, count: 4)
        guard unsafe inet_pton(AF_INET, text, &address) == 1 else { return nil }
        return [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF] + address
    }
}

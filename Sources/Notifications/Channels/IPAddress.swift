import Glibc

/// An IPv4 or IPv6 address.
package struct IPAddress: Hashable, Sendable, CustomStringConvertible {
    /// 4 or 16, in network order.
    package let bytes: [UInt8]

    /// Nil if the number of bytes is another.
    package init?(bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    /// An address in its usual spelling (`inet_pton`); nil for names and for others, such as `127.1` or `0x7f000001`.
    package init?(_ text: String) {
        guard !text.utf8.contains(0) else { return nil }
        var buffer = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &buffer) == 1 {
            bytes = Array(buffer[..<4])
        } else if inet_pton(AF_INET6, text, &buffer) == 1 {
            bytes = buffer
        } else {
            return nil
        }
    }

    package var description: String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else { return "?" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension IPAddress {
    /// Whether it is an address of a host in the internet: no loopback, private, link-local, shared (CGNAT), multicast or reserved
    /// one, and no IPv6 form of an IPv4 address (mapped, NAT64, 6to4, Teredo).
    /// Sources: the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890), and for IPv6 RFC 4291 section 2.4: global unicast
    /// addresses are those of 2000::/3.
    package var isPublic: Bool {
        if bytes.count == 4 { return !Self.reserved4.contains { $0.contains(self) } }
        return Self.global6.contains { $0.contains(self) } && !Self.reserved6.contains { $0.contains(self) }
    }

    private static let reserved4 = ranges([
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
        "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    ])
    private static let global6 = ranges(["2000::/3"])
    private static let reserved6 = ranges(["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"])

    private static func ranges(_ texts: [String]) -> [IPRange] { texts.compactMap { IPRange($0) } }
}

/// The addresses that begin with the same bits.
package struct IPRange: Hashable, Sendable {
    package let address: IPAddress
    package let bits: Int

    /// `ADDRESS/BITS`, or one address; nil for another form, or if a bit after the first `bits` is set.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(String(first)) else { return nil }
        let all = address.bytes.count * 8
        var bits = all
        if parts.count == 2 {
            guard let number = Int(parts[1]), (0...all).contains(number), parts[1].utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) else {
                return nil
            }
            bits = number
        }
        for bit in bits..<all where address.bytes[bit / 8] & (0x80 >> (bit % 8)) != 0 { return nil }
        self.address = address
        self.bits = bits
    }

    package func contains(_ other: IPAddress) -> Bool {
        guard other.bytes.count == address.bytes.count else { return false }
        let whole = bits / 8
        guard other.bytes[..<whole] == address.bytes[..<whole] else { return false }
        let rest = bits % 8
        return rest == 0 || (other.bytes[whole] ^ address.bytes[whole]) >> (8 - rest) == 0
    }
}

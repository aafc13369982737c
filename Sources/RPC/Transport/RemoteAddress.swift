import Glibc
import NIOCore

/// The part of a peer's address that limits use: an IPv4 address, or the first 64 bits of an IPv6 one, since a single host
/// commonly has all the rest to itself.
package func limitAddress(_ address: SocketAddress?) -> String {
    guard let text = address?.ipAddress else { return "local" }
    return text.contains(":") ? limitAddress(ipv6: text) : text
}

func limitAddress(ipv6 text: String) -> String {
    var address = [UInt8](repeating: 0, count: 16)
    // A scope, as in `fe80::1%eth0`, is not part of the address.
    guard inet_pton(AF_INET6, String(text.prefix { $0 != "%" }), &address) == 1 else { return text }
    // An IPv4 peer of a socket that takes both.
    if address[..<10].allSatisfy({ $0 == 0 }), address[10] == 0xFF, address[11] == 0xFF {
        return address[12...].map { String($0) }.joined(separator: ".")
    }
    return stride(from: 0, to: 8, by: 2).map { String(Int(address[$0]) << 8 | Int(address[$0 + 1]), radix: 16) }
        .joined(separator: ":") + "::/64"
}

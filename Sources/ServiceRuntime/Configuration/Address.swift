import FunnelModel
import Glibc

/// Reads `host:port` or `[IPv6]:port`; nil if it is neither. The port is from 1 to 65,535.
package func parseAddress(_ text: String) -> (host: String, port: Int)? {
    if case .success(let address) = readAddress(text) { address } else { nil }
}

/// Why a text is no address, as a predicate for its option or setting; nil if it is one.
package func addressFault(_ text: String) -> String? {
    guard case .failure(let fault) = readAddress(text) else { return nil }
    return "must be host:port, not \"\(text.printable)\"" + (fault.reason.isEmpty ? "" : ": \(fault.reason)")
}

/// True for addresses of the machine itself. `127.example.com` is an ordinary host name.
package func isLoopback(_ host: String) -> Bool {
    host == "localhost" || host == "::1" || host.hasPrefix("127.") && host.utf8.allSatisfy { (48...57).contains($0) || $0 == 46 }
}

private struct AddressFault: Error, CustomStringConvertible {
    var reason = ""
    var description: String { reason }
}

private func readAddress(_ text: String) -> Result<(host: String, port: Int), AddressFault> {
    func fault(_ reason: String = "") -> Result<(host: String, port: Int), AddressFault> { .failure(AddressFault(reason: reason)) }
    if text.contains("://") { return fault("leave out what is before the host") }
    if isIPv6(text[...]) { return fault("an IPv6 address needs brackets and a port, as in [\(text)]:8091") }
    guard let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") else { return fault("the port is missing") }
    let (host, port) = (text[..<colon], text[text.index(after: colon)...])
    guard !port.isEmpty else { return fault("the port is missing") }
    guard port.utf8.allSatisfy({ (48...57).contains($0) }), let number = Int(port), (1...65_535).contains(number) else {
        return fault("the port must be from 1 to 65535")
    }
    guard !host.isEmpty else { return fault("the host is missing") }
    if host.hasPrefix("["), host.hasSuffix("]") {
        let inner = host.dropFirst().dropLast()
        return isIPv6(inner) ? .success((String(inner), number)) : fault("only an IPv6 address has brackets")
    }
    if host.contains(":") { return fault("an IPv6 address needs brackets, as in [::1]:8091") }
    if host.contains(where: { $0.isWhitespace || "[]/@".contains($0) }) { return fault("the host must be a name or an IP address") }
    return .success((String(host), number))
}

/// Whether the text is an IPv6 address, with or without a zone such as `%eth0`.
private func isIPv6(_ text: Substring) -> Bool {
    let parts = text.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
    guard let address = parts.first, parts.count == 1 || !parts[1].isEmpty else { return false }
    var bytes = in6_addr()
    return unsafe inet_pton(AF_INET6, String(address), &bytes) == 1
}

import FunnelModel

/// Which addresses the coordinator may call for a channel: public ones over https, and those that a setting allows, over http too.
/// Without it, a channel could make the coordinator call services that only it can reach.
package struct TargetPolicy: Equatable, Sendable {
    /// An internal target that is allowed.
    private enum Place: Equatable {
        case range(IPRange)
        /// Any address of this name; nobody but the operator chose it.
        case host(String)
    }

    private struct Allowed: Equatable {
        var place: Place
        /// Nil: every port.
        var port: Int?
    }

    private let allowed: [Allowed]

    /// Allows no internal target.
    package static let none = TargetPolicy(allowed: [])

    private init(allowed: [Allowed]) { self.allowed = allowed }

    /// - Parameter texts: addresses, ranges (`10.0.0.0/8`) and host names, each optionally with `:PORT`; an IPv6 address or range with a
    ///   port is in brackets.
    package init(allowing texts: [String] = []) throws(ChannelFault) {
        guard texts.count <= NoticeLimits.allowedTargets else {
            throw ChannelFault("has \(texts.count) targets; the limit is \(NoticeLimits.allowedTargets)")
        }
        var allowed: [Allowed] = []
        for text in texts { allowed.append(try Self.read(text)) }
        self.allowed = allowed
    }

    private static func read(_ text: String) throws(ChannelFault) -> Allowed {
        if let range = IPRange(text) { return Allowed(place: .range(range)) }
        var place = text.lowercased()
        var port: Int?
        if let colon = place.lastIndex(of: ":") {
            port = Int(place[place.index(after: colon)...])
            place = String(place[..<colon])
            guard let port, (1...65_535).contains(port) else { throw ChannelFault("\"\(text.printable)\" has no port from 1 to 65535") }
        }
        if place.hasPrefix("["), place.hasSuffix("]") { place = String(place.dropFirst().dropLast()) }
        if let range = IPRange(place) { return Allowed(place: .range(range), port: port) }
        guard WebTarget.isHostName(place), !place.utf8.allSatisfy({ $0 == 46 || (48...57).contains($0) }) else {
            throw ChannelFault(
                "\"\(text.printable)\" must be an address, a range such as 10.0.0.0/8 without bits after the prefix, or a host name")
        }
        return Allowed(place: .host(place), port: port)
    }

    /// Checks what can be known without asking for the addresses of a name: refuses an internal address, and http to a public host.
    package func checkWords(_ target: WebTarget) throws(ChannelFault) {
        if let address = IPAddress(target.host) { return try check(target, at: [address]) }
        let isNamed = allowed.contains { $0.place == .host(target.host) && ($0.port == nil || $0.port == target.port) }
        let allowsRanges = allowed.contains { if case .range = $0.place { true } else { false } }
        guard target.isSecure || isNamed || allowsRanges else {
            throw ChannelFault("\(target) must begin with https://; http is only for internal targets that --allowed-targets allows")
        }
    }

    /// Checks all addresses of a target before any of them is called.
    package func check(_ target: WebTarget, at addresses: [IPAddress]) throws(ChannelFault) {
        guard !addresses.isEmpty else { throw ChannelFault("\(target.host) has no address") }
        for address in addresses where !isAllowed(address, of: target) {
            guard address.isPublic else {
                throw ChannelFault(
                    "\(target.host) has the address \(address), which is internal; the setting --allowed-targets of the coordinator allows internal targets"
                )
            }
            guard target.isSecure else {
                throw ChannelFault("\(target) must begin with https://; http is only for internal targets that --allowed-targets allows")
            }
        }
    }

    private func isAllowed(_ address: IPAddress, of target: WebTarget) -> Bool {
        allowed.contains { entry in
            guard entry.port == nil || entry.port == target.port else { return false }
            switch entry.place {
            case .range(let range): return range.contains(address)
            case .host(let host): return host == target.host
            }
        }
    }
}

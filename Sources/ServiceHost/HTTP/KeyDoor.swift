import FunnelProtocol
import HTTPTypes
import Hummingbird
import RPC

/// Admits HTTP requests by their key. If no key is configured, it admits requests to a local host name that no page of another site
/// has sent.
package struct KeyDoor: Sendable {
    private let ring: @Sendable () -> KeyRing
    private let guesses: KeyGuesses

    /// `keys` returns the keys that are valid now.
    package init(guesses: KeyGuesses, keys: @escaping @Sendable () -> KeyRing) {
        self.guesses = guesses
        ring = keys
    }

    package var keys: KeyRing { ring() }

    /// The caller of a request. Throws if the key is missing, unknown or of another role, or if its address has guessed too often.
    package func admit(_ request: Request, for role: KeyRole) throws(ProtocolError) -> KeyRing.Principal {
        let keys = keys
        if keys.isOpen { try requireOwnPage(request) }
        return try guesses.admit(keys, request.headers[.authorization], for: role, from: Peer.address) { Self.origin(of: request.head) }
    }

    /// The caller of a request whose key is right and too long to be a guess; nil for all others, which `admit` must check and
    /// count.
    package func admitAtOnce(_ head: HTTPRequest, for role: KeyRole) -> KeyRing.Principal? {
        let keys = keys
        if keys.isOpen {
            guard (try? requireOwnPage(head)) != nil else { return nil }
            return try? keys.admit(nil, for: role)
        }
        guard let key = try? KeyRing.key(in: head.headerFields[.authorization]), key.utf8.count >= KeyRing.shortKeyBytes else {
            return nil
        }
        return try? keys.admit(KeyRing.Credential(key), for: role) { Self.origin(of: head) }
    }

    /// Where a request has its key.
    package enum KeyPlace: Sendable {
        case header, body
        /// The path or the query, which browsers and proxies write down.
        case url
    }

    /// The caller with a key that is not in the `Authorization` header in its usual form.
    /// - Parameter request: nil if the sender is no page, so that keys with a list of origins are refused.
    package func admit(
        key: String, in place: KeyPlace = .body, of request: Request? = nil, for role: KeyRole
    ) throws(ProtocolError) -> KeyRing.Principal {
        let head = request?.head
        let principal = try guesses.admit(keys, key: key, for: role, from: Peer.address) { head.flatMap(Self.origin) }
        guard place != .url || principal.role == .write || keys.isOpen else {
            throw ProtocolError(.forbidden, "an API key in a URL must have the role write; this one has the role \(principal.role)")
        }
        return principal
    }

    /// The origin of the page that sent a request; nil if its headers name none. Browsers leave `Origin` out of some `GET` requests,
    /// such as those for pixels, but not `Referer`.
    static func origin(of head: HTTPRequest) -> String? {
        if let origin = head.headerFields[.origin] { return origin }
        guard let referer = head.headerFields[.referer], let scheme = referer.firstRange(of: "://") else { return nil }
        return String(referer[..<(referer[scheme.upperBound...].firstIndex { "/?#".contains($0) } ?? referer.endIndex)])
    }

    /// Throws `.forbidden` if a page of another site sent the request or, without keys, if the host name is not local.
    package func requireOwnPage(_ request: Request) throws(ProtocolError) { try requireOwnPage(request.head) }

    private func requireOwnPage(_ head: HTTPRequest) throws(ProtocolError) {
        guard Self.isOfOwnPage(head) else { throw ProtocolError(.forbidden, "the request was sent by a page of another site") }
        // Without keys everyone on this machine may do everything. A foreign host name that leads to this address (DNS rebinding)
        // may not.
        guard !keys.isOpen || Self.isLocal(head.authority ?? "localhost") else {
            throw ProtocolError(.forbidden, "without keys this service answers to localhost, 127.0.0.1 and [::1] only")
        }
    }

    /// Throws `.forbidden` if there are no keys, and the host name or the page that sent the request is not on this machine. A page
    /// under development may send events to a service on the same machine.
    package func requireLocalPage(_ request: Request) throws(ProtocolError) {
        guard keys.isOpen else { return }
        let page =
            Self.origin(of: request.head).map { Self.isLocal($0.split(separator: "/").last.map(String.init) ?? "") }
            ?? (request.headers[Self.fetchSite] != "cross-site")
        guard page, Self.isLocal(request.head.authority ?? "localhost") else {
            throw ProtocolError(.forbidden, "without keys this service answers to localhost, 127.0.0.1 and [::1], and pages of these, only")
        }
    }

    /// Whether an authority is `localhost`, `[::1]` or `127.x.x.x`, with or without a port.
    static func isLocal(_ authority: String) -> Bool {
        let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
        let rest = authority.dropFirst(host.count)
        guard rest.isEmpty || rest.first == ":" && rest.dropFirst().allSatisfy(\.isNumber) else { return false }
        return host == "localhost" || host == "[::1]" || host.hasPrefix("127.") && host.allSatisfy { $0.isNumber || $0 == "." }
    }

    private static let fetchSite = HTTPField.Name("Sec-Fetch-Site")!

    /// False if the headers of a browser name another site as the sender. Other programs send no such headers, and have no cookies
    /// that another site could use.
    private static func isOfOwnPage(_ head: HTTPRequest) -> Bool {
        if head.method == .get || head.method == .head { return true }
        if let site = head.headerFields[fetchSite] { return site == "same-origin" || site == "none" }
        guard let origin = origin(of: head) else { return true }
        return head.authority.map { origin == "http://\($0)" || origin == "https://\($0)" } ?? false
    }
}

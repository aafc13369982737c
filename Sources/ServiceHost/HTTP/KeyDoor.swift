import FunnelProtocol
import HTTPTypes
import Hummingbird
import NIOCore
import RPC

/// Lets HTTP requests in by their key; without keys, those of this machine that no foreign page has sent.
package struct KeyDoor: Sendable {
    private let ring: @Sendable () -> KeyRing
    private let guesses: KeyGuesses

    package init(guesses: KeyGuesses, keys: @escaping @Sendable () -> KeyRing) {
        self.guesses = guesses
        ring = keys
    }

    package var keys: KeyRing { ring() }

    package func admit(_ request: Request, for role: KeyRole) throws(ProtocolError) -> KeyRing.Principal {
        let keys = keys
        if keys.isOpen { try requireOwnPage(request) }
        return try guesses.admit(keys, request.headers[.authorization], for: role, from: Peer.address)
    }

    /// Lets in whom no guess could be; nil for all others, whom `admit` has to count.
    package func admitAtOnce(_ head: HTTPRequest, for role: KeyRole) -> KeyRing.Principal? {
        let keys = keys
        if keys.isOpen {
            guard (try? requireOwnPage(head)) != nil else { return nil }
        } else {
            guard let key = try? KeyRing.key(in: head.headerFields[.authorization]), key.utf8.count >= KeyRing.shortKeyBytes else {
                return nil
            }
        }
        return try? keys.admit(head.headerFields[.authorization], for: role)
    }

    /// The same for a key that came in another way.
    package func admit(key: String, for role: KeyRole) throws(ProtocolError) -> KeyRing.Principal {
        try guesses.admit(keys, key: key, for: role, from: Peer.address)
    }

    package func requireOwnPage(_ request: Request) throws(ProtocolError) { try requireOwnPage(request.head) }

    private func requireOwnPage(_ head: HTTPRequest) throws(ProtocolError) {
        guard Self.isOfOwnPage(head) else { throw ProtocolError(.forbidden, "the request was sent by a page of another site") }
        // Without keys everybody on this machine may do everything; a name that was bent to this address is not of it.
        guard !keys.isOpen || Self.isLocal(head.authority ?? "localhost") else {
            throw ProtocolError(.forbidden, "without keys this service answers to localhost, 127.0.0.1 and [::1] only")
        }
    }

    static func isLocal(_ authority: String) -> Bool {
        let host = authority.hasPrefix("[") ? authority.prefix { $0 != "]" } + "]" : authority.prefix { $0 != ":" }
        let rest = authority.dropFirst(host.count)
        guard rest.isEmpty || rest.first == ":" && rest.dropFirst().allSatisfy(\.isNumber) else { return false }
        return host == "localhost" || host == "[::1]" || host.hasPrefix("127.") && host.allSatisfy { $0.isNumber || $0 == "." }
    }

    private static let fetchSite = HTTPField.Name("Sec-Fetch-Site")!

    /// False where a browser says that another site's page had it send this. Programs other than browsers say nothing,
    /// and have no cookies that others could use.
    private static func isOfOwnPage(_ head: HTTPRequest) -> Bool {
        if head.method == .get || head.method == .head { return true }
        if let site = head.headerFields[fetchSite] { return site == "same-origin" || site == "none" }
        guard let origin = head.headerFields[.origin] else { return true }
        return head.authority.map { origin == "http://\($0)" || origin == "https://\($0)" } ?? false
    }
}

/// Who sent the request that this task answers.
enum Peer {
    @TaskLocal static var channel: (any Channel)?

    /// The part of the address that limits go by.
    static var address: String { limitAddress(channel?.remoteAddress) }
}

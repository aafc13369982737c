import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import RPC
import ServiceHost
import ServiceRuntime
import Synchronization

/// Authenticates HTTP requests: by a key in the header, or by the session that a key opened in a browser.
struct Callers: Sendable {
    let door: KeyDoor
    /// The cookie's name. It has the cluster's id, since cookies ignore ports and a host may have several coordinators.
    let cookie: String
    let sessions = Sessions()

    /// `keys` returns the keys that are valid now.
    init(keys: @escaping @Sendable () -> KeyRing, guesses: KeyGuesses, cluster: UInt64) {
        door = KeyDoor(guesses: guesses, keys: keys)
        cookie = "sluice_session_\(idText(cluster))"
    }

    var keys: KeyRing { door.keys }

    /// The caller of a request. Throws if neither its key nor its session is valid for the role.
    func admit(_ request: Request, for role: KeyRole) throws(ProtocolError) -> KeyRing.Principal {
        if request.headers[.authorization] == nil {
            try door.requireOwnPage(request)
            if let key = sessions.key(of: token(request)) { return try keys.admit(key, for: role) }
        }
        return try door.admit(request, for: role)
    }

    func token(_ request: Request) -> String { request.cookies[cookie]?.value ?? "" }

    /// Whether an admitted request would still be admitted: asked now and then for answers without an end. The closure keeps no key, only
    /// its hash.
    func validity(of request: Request, for role: KeyRole) -> @Sendable () -> Bool {
        let token = token(request)
        let own = (try? KeyRing.key(in: request.headers[.authorization])).map { KeyRing.Credential($0) }
        return { [self] in
            let keys = keys
            if keys.isOpen { return true }
            guard let key = own ?? sessions.key(of: token) else { return false }
            return (try? keys.admit(key, for: role)) != nil
        }
    }
}

/// Sessions of browsers, in memory. A session has the hash of its key, not the key, and ends with the key.
final class Sessions: Sendable {
    static let lifetime = Duration.seconds(7 * 86_400)
    private static let most = 10_000
    private static let mostOfKey = 100

    private struct Session {
        var key: KeyRing.Credential
        var end: ContinuousClock.Instant
    }

    private let open = Mutex<[String: Session]>([:])

    /// Opens a session for an admitted key, and returns its token, which goes into the cookie.
    func begin(_ key: KeyRing.Credential) -> String {
        var random = SystemRandomNumberGenerator()
        let token = (0..<4).map { _ in
            let word = String(random.next() as UInt64, radix: 16)
            return String(repeating: "0", count: 16 - word.count) + word
        }.joined()
        let now = ContinuousClock.now
        open.withLock { open in
            // Limited for each key, so that one key can't end the sessions of others.
            let own = open.filter { $0.value.key == key }
            if own.count >= Self.mostOfKey, let first = own.min(by: { $0.value.end < $1.value.end }) { open[first.key] = nil }
            if open.count >= Self.most { open = open.filter { $0.value.end > now } }
            if open.count >= Self.most, let first = open.min(by: { $0.value.end < $1.value.end }) { open[first.key] = nil }
            open[token] = Session(key: key, end: now + Self.lifetime)
        }
        return token
    }

    /// The key of an open session; nil if there is none.
    func key(of token: String) -> KeyRing.Credential? {
        open.withLock { open in
            guard let session = open[token], session.end > ContinuousClock.now else { return nil }
            return session.key
        }
    }

    func end(_ token: String) { open.withLock { $0[token] = nil } }
}

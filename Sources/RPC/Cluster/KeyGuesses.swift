import FunnelProtocol
import NIOCore
import Synchronization

/// Limits guesses of keys, by address.
///
/// A right key is looked up first, so failures of others at its address do not delay it. Only a key that is short enough to
/// be guessed must wait too, unless it has been right from that address before.
package final class KeyGuesses: Sendable {
    /// Max failures of an address at once; it regains one per second.
    private static let burst = 10.0
    private static let addressesMax = 10_000
    private static let goodMax = 8

    private struct Address {
        var tokens = burst
        var refilledAt: UInt64
        /// Short keys that were right, as prefixes of their hashes.
        var good: [[UInt8]] = []

        mutating func refill(_ now: UInt64) {
            tokens = min(burst, tokens + Double(now > refilledAt ? now - refilledAt : 0) / 1e9)
            refilledAt = max(now, refilledAt)
        }
    }

    private let addresses = Mutex<[String: Address]>([:])

    package init() {}

    /// Number of addresses that are remembered now.
    package var addressCount: Int { addresses.withLock { $0.count } }

    /// Admits a caller by key.
    /// - Parameters:
    ///   - authorization: the header, `Bearer KEY`.
    ///   - origin: the page that sent the request; called only for a key that demands one.
    /// - Throws: what `KeyRing.admit` throws; after too many failures `.notAuthenticated` with a time to wait.
    package func admit(
        _ keys: KeyRing, _ authorization: String?, for role: KeyRole, from address: String, origin: () -> String? = { nil }
    ) throws(ProtocolError) -> KeyRing.Principal {
        if keys.isOpen { return try keys.admit(nil, for: role) }
        return try admit(keys, key: try KeyRing.key(in: authorization), for: role, from: address, origin: origin)
    }

    package func admit(
        _ keys: KeyRing, key: String, for role: KeyRole, from address: String, origin: () -> String? = { nil },
        now: UInt64 = NIODeadline.now().uptimeNanoseconds
    ) throws(ProtocolError) -> KeyRing.Principal {
        let credential = KeyRing.Credential(key)
        let hash = credential.hash
        let isShort = key.utf8.count < KeyRing.shortKeyBytes
        if isShort, mustWait(address, hash, now) { throw Self.slowDown }
        do {
            let principal = try keys.admit(credential, for: role, origin: origin)
            if isShort { remember(address, hash, now) }
            return principal
        } catch {
            guard error.code == .notAuthenticated, !mayFail(address, now) else { throw error }
            throw Self.slowDown
        }
    }

    private static var slowDown: ProtocolError {
        var error = ProtocolError(.notAuthenticated, "too many keys from this address were wrong; wait before the next")
        error.retryAfterMilliseconds = 1_000
        return error
    }

    private func mustWait(_ address: String, _ hash: [UInt8], _ now: UInt64) -> Bool {
        addresses.withLock { addresses in
            guard var entry = addresses[address] else { return false }
            entry.refill(now)
            addresses[address] = entry
            return entry.tokens < 1 && !entry.good.contains(Array(hash.prefix(8)))
        }
    }

    /// Counts a failure; false if the address has had too many.
    private func mayFail(_ address: String, _ now: UInt64) -> Bool {
        change(address, now) { entry in
            guard entry.tokens >= 1 else { return false }
            entry.tokens -= 1
            return true
        }
    }

    private func remember(_ address: String, _ hash: [UInt8], _ now: UInt64) {
        let part = Array(hash.prefix(8))
        change(address, now) { entry in
            guard !entry.good.contains(part) else { return }
            if entry.good.count == Self.goodMax { entry.good.removeFirst() }
            entry.good.append(part)
        }
    }

    private func change<T>(_ address: String, _ now: UInt64, _ body: (inout Address) -> T) -> T {
        addresses.withLock { addresses in
            if addresses[address] == nil, addresses.count >= Self.addressesMax {
                // Drops half at a time, so that a flood of addresses does not sort them for each.
                for old in addresses.sorted(by: { $0.value.refilledAt < $1.value.refilledAt }).prefix(Self.addressesMax / 2) {
                    addresses[old.key] = nil
                }
            }
            var entry = addresses[address] ?? Address(refilledAt: now)
            entry.refill(now)
            defer { addresses[address] = entry }
            return body(&entry)
        }
    }
}

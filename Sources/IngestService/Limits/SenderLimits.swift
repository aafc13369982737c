import FunnelModel
import FunnelProtocol
import Logging
import NIOCore
import RPC
import ServiceHost
import ServiceRuntime
import Synchronization

/// What one API key, one address and one project may send. A limit that is not set is not counted.
package final class SenderLimits: Sendable {
    package static let settings = [
        Setting("key-events-per-second", .integer(0...100_000_000), default: "0", "max events per second of one API key; 0 = no limit"),
        Setting("key-kb-per-second", .integer(0...10_000_000), default: "0", "max KiB per second of bodies of one API key; 0 = no limit"),
        Setting(
            "address-events-per-second", .integer(0...100_000_000), default: "0", "max events per second from one address; 0 = no limit"),
        Setting(
            "address-kb-per-second", .integer(0...10_000_000), default: "0", "max KiB per second of bodies from one address; 0 = no limit"),
        Setting("rate-burst-seconds", .integer(1...3_600), default: "10", "the four limits per second allow as much at once in this time"),
        Setting(
            "rows-per-day-max", .integer(0...1_000_000_000_000), default: "0",
            "max events that this ingest stores for one project on a UTC day; 0 = no limit"),
    ]

    private struct State {
        var keyEvents: TokenBuckets<UInt64>?
        var keyBytes: TokenBuckets<UInt64>?
        var addressEvents: TokenBuckets<String>?
        var addressBytes: TokenBuckets<String>?
        var days: DayCounts?
    }

    private static let keysMax = 100_000
    private static let addressesMax = 100_000

    private let state: Mutex<State>
    private let now: @Sendable () -> UInt64
    private let wallSeconds: @Sendable () -> Int64

    /// Nil if no limit is set.
    /// - Parameters:
    ///   - days: what was counted before the start; see `DayCounts.document`.
    ///   - now: nanoseconds of a clock that does not go back.
    ///   - wallSeconds: seconds since 1970.
    package init?(
        _ settings: Settings, days: JSONValue = .null, now: @escaping @Sendable () -> UInt64 = { NIODeadline.now().uptimeNanoseconds },
        wallSeconds: @escaping @Sendable () -> Int64 = { WallClock.now() / 1_000_000 }
    ) {
        let seconds = Double(settings.integer("rate-burst-seconds"))
        func buckets<Key>(_ name: String, times unit: Int, keysMax: Int) -> TokenBuckets<Key>? {
            let perSecond = Double(settings.integer(name) * unit)
            return perSecond > 0 ? TokenBuckets(perSecond: perSecond, burst: perSecond * seconds, keysMax: keysMax) : nil
        }
        let rows = settings.integer("rows-per-day-max")
        let state = State(
            keyEvents: buckets("key-events-per-second", times: 1, keysMax: Self.keysMax),
            keyBytes: buckets("key-kb-per-second", times: 1_024, keysMax: Self.keysMax),
            addressEvents: buckets("address-events-per-second", times: 1, keysMax: Self.addressesMax),
            addressBytes: buckets("address-kb-per-second", times: 1_024, keysMax: Self.addressesMax),
            days: rows > 0 ? DayCounts(most: rows, document: days, now: wallSeconds()) : nil)
        let hasRate = state.keyEvents != nil || state.keyBytes != nil || state.addressEvents != nil || state.addressBytes != nil
        guard hasRate || rows > 0 else { return nil }
        self.state = Mutex(state)
        self.now = now
        self.wallSeconds = wallSeconds
    }

    // MARK: - Before a request is read

    /// Whether bytes would be admitted by their address; takes nothing.
    package func check(bytes: Int, from address: String) throws(ProtocolError) {
        let now = now()
        try state.withLock { (state) throws(ProtocolError) in try Self.check(state.addressBytes, bytes, address, now, .addressBytes) }
    }

    /// Whether bytes would be admitted by their key; takes nothing.
    package func check(bytes: Int, key: UInt64) throws(ProtocolError) {
        let now = now()
        try state.withLock { (state) throws(ProtocolError) in try Self.check(state.keyBytes, bytes, key, now, .keyBytes) }
    }

    /// Admits bytes by their key.
    package func admit(bytes: Int, key: UInt64) throws(ProtocolError) {
        let now = now()
        try state.withLock { (state) throws(ProtocolError) in
            try Self.check(state.keyBytes, bytes, key, now, .keyBytes)
            state.keyBytes?.take(Double(bytes), of: key, now: now)
        }
    }

    /// Takes bytes that have come.
    /// - Parameter key: nil if it is not known yet.
    package func take(bytes: Int, key: UInt64?, from address: String) {
        let now = now()
        state.withLock { state in
            state.addressBytes?.take(Double(bytes), of: address, now: now)
            if let key { state.keyBytes?.take(Double(bytes), of: key, now: now) }
        }
    }

    /// Takes events that are not stored.
    package func take(events: Int, key: UInt64, from address: String) {
        let now = now()
        state.withLock { state in
            state.addressEvents?.take(Double(events), of: address, now: now)
            state.keyEvents?.take(Double(events), of: key, now: now)
        }
    }

    package func giveBack(events: Int, bytes: Int, key: UInt64, from address: String) {
        state.withLock { state in
            state.addressEvents?.give(Double(events), to: address)
            state.keyEvents?.give(Double(events), to: key)
            state.addressBytes?.give(Double(bytes), to: address)
            state.keyBytes?.give(Double(bytes), to: key)
        }
    }

    // MARK: - Before events are stored

    /// Admits the events of one request: all, or none with an error.
    package func admit(events: Int, of caller: KeyRing.Principal, from address: String) throws(ProtocolError) {
        let (now, seconds, key) = (now(), wallSeconds(), caller.keyMark)
        try state.withLock { (state) throws(ProtocolError) in
            if let days = state.days, let wait = days.wait(of: caller.project, now: seconds) {
                throw .rateLimited(
                    .rowsPerDay, "project \(caller.project) has stored \(days.most) events or more on this day (UTC)", wait: wait)
            }
            try Self.check(state.addressEvents, events, address, now, .addressEvents)
            try Self.check(state.keyEvents, events, key, now, .keyEvents)
            state.addressEvents?.take(Double(events), of: address, now: now)
            state.keyEvents?.take(Double(events), of: key, now: now)
        }
    }

    private static func check<Key>(
        _ buckets: TokenBuckets<Key>?, _ amount: Int, _ key: Key, _ now: UInt64, _ limit: RequestLimit
    ) throws(ProtocolError) {
        guard let buckets else { return }
        let wait = buckets.wait(for: Double(amount), of: key, now: now)
        if wait <= 0 { return }
        let (unit, whose): (String, String) =
            switch limit {
            case .addressBytes: ("bytes", "address")
            case .keyBytes: ("bytes", "API key")
            case .addressEvents: ("events", "address")
            default: ("events", "API key")
            }
        throw .rateLimited(
            limit, "this \(whose) sends more than \(Int(buckets.perSecond)) \(unit) a second", wait: Int(min(86_400, wait.rounded(.up))))
    }

    // MARK: - Events of the day

    /// Counts events that were stored.
    package func note(stored events: Int, project: UInt32) {
        guard events > 0 else { return }
        let seconds = wallSeconds()
        state.withLock { $0.days?.add(events, of: project, now: seconds) }
    }

    /// What is to be kept over a restart; nil without the limit.
    package var document: JSONValue? { state.withLock { $0.days?.document } }

    /// Used part of the day's limit, of the project with the most events; 0 without the limit.
    package var usedOfDay: Double { state.withLock { $0.days.map { Double($0.largest) / Double($0.most) } ?? 0 } }
}

import FunnelModel
import FunnelProtocol
import IngestService
import RPC
import ServiceHost
import ServiceRuntime
import Synchronization
import Testing

/// The limits of keys, addresses and projects together.
struct SenderLimitsTests {
    private final class Clock: Sendable {
        private let state = Mutex<UInt64>(1 << 40)
        var now: UInt64 { state.withLock { $0 } }
        func pass(seconds: UInt64) { state.withLock { $0 += seconds * 1_000_000_000 } }
    }

    private static func limits(_ set: [String: Int], _ clock: Clock = Clock()) throws -> SenderLimits? {
        let table = SettingsTable(program: "test", summary: "", example: "", settings: SenderLimits.settings)
        let arguments = set.flatMap { ["--\($0.key)", "\($0.value)"] }
        let settings = try Settings.resolve(table, arguments: arguments, environment: [:]) { _ in nil }.0
        return SenderLimits(settings, now: { clock.now }, wallSeconds: { 20_000 * 86_400 + Int64(clock.now / 1_000_000_000) })
    }

    private static func caller(_ key: UInt64, project: UInt32 = 1) -> KeyRing.Principal {
        KeyRing.Principal(role: .write, project: project, keyMark: key)
    }

    /// The limit that refuses, and the milliseconds to wait.
    private static func refusal(_ body: () throws(ProtocolError) -> Void) -> (limit: RequestLimit?, wait: UInt32)? {
        do throws(ProtocolError) {
            try body()
            return nil
        } catch {
            return (error.limit, error.retryAfterMilliseconds)
        }
    }

    @Test func nothingIsLimitedUnlessItIsSet() throws {
        #expect(try Self.limits([:]) == nil)
        let limits = try #require(try Self.limits(["key-events-per-second": 5]))
        // Limits that are not set do not refuse.
        for _ in 0..<10 {
            try limits.check(bytes: 1 << 40, from: "a")
            try limits.admit(bytes: 1 << 40, key: 1)
        }
        #expect(limits.document == nil && limits.usedOfDay == 0)
    }

    @Test func aKeyThatFloodsDoesNotHinderAnother() throws {
        let clock = Clock()
        let limits = try #require(try Self.limits(["key-events-per-second": 10, "rate-burst-seconds": 10], clock))
        try limits.admit(events: 150, of: Self.caller(1), from: "a")
        let refused = try #require(Self.refusal { () throws(ProtocolError) in try limits.admit(events: 1, of: Self.caller(1), from: "b") })
        #expect(refused.limit == .keyEvents && refused.wait == 6_000)
        try limits.admit(events: 100, of: Self.caller(2), from: "a")
        // The wait that was named is enough.
        clock.pass(seconds: 6)
        try limits.admit(events: 1, of: Self.caller(1), from: "a")
    }

    @Test func aRefusedRequestTakesNothing() throws {
        let limits = try #require(
            try Self.limits(["key-events-per-second": 1, "address-events-per-second": 2, "rate-burst-seconds": 100]))
        try limits.admit(events: 100, of: Self.caller(1), from: "a")
        for _ in 0..<50 {
            let refused = Self.refusal { () throws(ProtocolError) in try limits.admit(events: 100, of: Self.caller(1), from: "a") }
            #expect(refused?.limit == .keyEvents)
        }
        // Half of the address's tokens are still there.
        try limits.admit(events: 100, of: Self.caller(2), from: "a")
        let refused = Self.refusal { () throws(ProtocolError) in try limits.admit(events: 1, of: Self.caller(3), from: "a") }
        #expect(refused?.limit == .addressEvents)
        try limits.admit(events: 100, of: Self.caller(3), from: "b")
    }

    @Test func bytesAreAskedByAddressAndByKey() throws {
        let limits = try #require(
            try Self.limits(["key-kb-per-second": 1, "address-kb-per-second": 2, "rate-burst-seconds": 100]))
        // What a head announces costs nothing, however often.
        for _ in 0..<100 { try limits.check(bytes: 64 << 20, from: "a") }
        limits.take(bytes: 100 << 10, key: 1, from: "a")
        #expect(Self.refusal { () throws(ProtocolError) in try limits.admit(bytes: 1 << 10, key: 1) }?.limit == .keyBytes)
        // Bytes that have come are taken, also above the limit.
        limits.take(bytes: 200 << 10, key: 2, from: "a")
        #expect(Self.refusal { () throws(ProtocolError) in try limits.check(bytes: 0, from: "a") }?.limit == .addressBytes)
        #expect(Self.refusal { () throws(ProtocolError) in try limits.check(bytes: 0, key: 2) }?.limit == .keyBytes)
        try limits.check(bytes: 100 << 10, key: 3)
        try limits.check(bytes: 100 << 10, from: "b")
        // What is given back may be sent again.
        limits.giveBack(events: 0, bytes: 200 << 10, key: 2, from: "a")
        try limits.check(bytes: 100 << 10, key: 2)
        try limits.check(bytes: 0, from: "a")
    }

    /// A clock that was wrong by a day does not refuse those who send on the true one.
    @Test func aClockThatIsSetBack() throws {
        var days = DayCounts(most: 5)
        let noon: Int64 = 20_000 * 86_400 + 43_200
        days.add(6, of: 1, now: noon + 86_400)
        #expect(days.wait(of: 1, now: noon + 86_400) != nil)
        #expect(days.wait(of: 1, now: noon) == nil)
        days.add(1, of: 1, now: noon)
        #expect(days.count(of: 1) == 1)
        // A clock that is set back over midnight by a little stays on the new day.
        days.add(5, of: 1, now: noon + 43_200)
        #expect(days.wait(of: 1, now: noon + 43_199) == 86_401)
    }

    @Test func aDayEnds() throws {
        let clock = Clock()
        let limits = try #require(try Self.limits(["rows-per-day-max": 10], clock))
        try limits.admit(events: 100, of: Self.caller(1), from: "a")
        limits.note(stored: 100, project: 1)
        let refused = try #require(Self.refusal { () throws(ProtocolError) in try limits.admit(events: 1, of: Self.caller(2), from: "b") })
        #expect(refused.limit == .rowsPerDay && limits.usedOfDay == 10)
        try limits.admit(events: 1, of: Self.caller(2, project: 2), from: "a")
        clock.pass(seconds: UInt64(refused.wait) / 1_000)
        try limits.admit(events: 1, of: Self.caller(1), from: "a")
    }

    /// Over HTTP it is 429; on the wire an error that clients of every release retry.
    @Test func theErrorOfARate() throws {
        for limit in RequestLimit.allCases where limit.isRate {
            let error = ProtocolError.rateLimited(limit, "too much", wait: 90_000)
            #expect(error.httpStatus == 429 && error.message.hasPrefix("\(limit.rawValue): "))
            #expect(error.problem["type"] == "urn:sluice:rate_limited" && error.problem["limit"] == .text(limit.rawValue))
            let received = try ProtocolError.decode(error.body)
            #expect(received.code == .overloaded && received.retryable && received.retryAfterMilliseconds == 90_000_000)
            #expect(received.message == error.message && received.httpStatus == 503)
        }
        let body = ProtocolError(.tooLarge, "too large", limit: .body)
        #expect(body.httpStatus == 413 && body.problem["type"] == "urn:sluice:too_large" && body.problem["limit"] == "body_mb")
    }
}

import HTTP2
import NIOCore
import RPC
import Synchronization
import Testing

/// Bodies that trickle, and honest senders on slow links.
@Suite(.timeLimit(.minutes(2)))
struct SlowBodyTests {
    /// The real rules with shorter windows. Honest senders are far above the rate, so that a busy machine does not matter.
    private var limits: TransportLimits {
        var limits = TransportLimits()
        limits.body.window = .seconds(1)
        limits.body.bytesPerSecond = 8_192
        // Clocks are looked at as often as the shortest of the connection needs.
        limits.http2.headerTimeout = .milliseconds(200)
        return limits
    }

    @Test func aTrickleLosesItsStreamAndAnHonestSlowSenderDoesNot() async throws {
        for _ in 0..<20 { if try await isAnHonestSenderServed() { return } }
        Issue.record("the senders of this test were held up by other tests every time")
    }

    /// False if the senders were held up for long: then they were no honest ones.
    private func isAnHonestSenderServed() async throws -> Bool {
        let longest = Mutex(Duration.zero)
        try await withServer(ClosureHandler.echo, limits: limits) { server, port in
            try await withPeer(port) { attacker in
                try await withPeer(port) { phone in
                    var trickles: [Int32] = []
                    for _ in 0..<3 {
                        let stream = try await attacker.open("/trickle")
                        try await attacker.send(stream, 200_000)
                        trickles.append(stream)
                    }
                    let slow = try await phone.open("/slow")
                    // In small pieces, for three windows.
                    for piece in 0..<60 {
                        let begun = ContinuousClock.now
                        try await phone.send(slow, 16_384, ends: piece == 59)
                        if piece % 10 == 0 { for stream in trickles { try await attacker.send(stream, 1) } }
                        try await Task.sleep(for: .milliseconds(50))
                        longest.withLock { $0 = max($0, .now - begun) }
                    }
                    guard longest.withLock({ $0 }) < .milliseconds(500) else { return }
                    let isAnswered = await eventually { phone.seen.bodies[slow]?.count == 60 * 16_384 }
                    #expect(isAnswered)
                    let areCut = await eventually { trickles.allSatisfy { attacker.seen.closed[$0] == .cancel } }
                    #expect(areCut)
                    #expect(server.refusals[.slow] == 3)
                    let isFree = await eventually { server.stats.bodyBytes == 0 }
                    #expect(isFree)
                }
            }
        }
        return longest.withLock { $0 } < .milliseconds(500)
    }

    @Test(.enabled(if: runsAlone, "make test-hostile runs it, with the machine to itself"))
    func bodiesOfOneSlowLinkShareItsRate() async throws {
        try await withServer(ClosureHandler.echo, limits: limits) { server, port in
            try await withPeer(port) { phone in
                var streams: [Int32] = []
                for _ in 0..<16 { streams.append(try await phone.open("/slow")) }
                // Together above the least rate, each alone below it.
                for piece in 0..<60 {
                    for stream in streams { try await phone.send(stream, 300, ends: piece == 59) }
                    try await Task.sleep(for: .milliseconds(50))
                }
                let areAnswered = await eventually { streams.allSatisfy { phone.seen.bodies[$0]?.count == 60 * 300 } }
                #expect(areAnswered)
                #expect(server.refusals[.slow] == 0)
            }
        }
    }

    @Test func clockOfABody() {
        let second: UInt64 = 1_000_000_000
        func end(_ expected: Int, everySecond bytes: Int, sharers: Int = 1) -> Int {
            var clock = BodyClock(BodyClock.Limits(), expected: expected, now: 0)
            for now in 1...1_000 {
                clock.arrived(bytes)
                if clock.isLate(now: UInt64(now) * second, sharers: sharers) { return now }
            }
            return .max
        }
        // One byte now and then: over after the second window.
        #expect(end(16 << 20, everySecond: 0) == 20)
        #expect(end(16 << 20, everySecond: 4_095) == 20)
        // At the least rate and above, until the last moment.
        #expect(end(1 << 20, everySecond: 4_096) == 256 + 30)
        #expect(end(16 << 20, everySecond: 1 << 14) == 600)
        #expect(end(0, everySecond: 4_096) == 30)
        #expect(end(.max, everySecond: 4_096) == 600)
        #expect(end(1 << 20, everySecond: 1_024, sharers: 4) == 256 + 30)
        #expect(end(1 << 20, everySecond: 1_023, sharers: 4) == 20)
        // Time in which we did not read is not the sender's.
        var held = BodyClock(BodyClock.Limits(), expected: 0, now: 0)
        for now in 1...100 { held.hold(now: UInt64(now) * second) }
        let verdicts = (101...130).map { held.isLate(now: UInt64($0) * second) }
        #expect(verdicts == [Bool](repeating: false, count: 19) + [true] + [Bool](repeating: false, count: 9) + [true])
        // A process that stood still for a minute has not read what came meanwhile.
        var stopped = BodyClock(BodyClock.Limits(), expected: 0, now: 0)
        let after = ([1] + Array(61...81)).map { stopped.isLate(now: UInt64($0) * second) }
        #expect(after == [Bool](repeating: false, count: 21) + [true])
    }
}

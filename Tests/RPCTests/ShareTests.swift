import HTTP2
import NIOCore
import RPC
import Synchronization
import Testing

/// Memory for bodies: who goes when it is short.
@Suite(.timeLimit(.minutes(2)))
struct ShareTests {
    private static let second: UInt64 = 1_000_000_000

    /// A body of the accounts given, and whether it was evicted.
    private final class Body: Sendable {
        let lease: Mutex<BodyLease?> = .init(nil)
        let evicted = Counter()

        init(_ budget: BodyBudget, _ parts: [BodyBudget.Account] = [], isProven: Bool = false, at seconds: UInt64 = 0) {
            let made = budget.lease(in: parts, isProven: isProven, now: seconds * second) { [evicted] in evicted.add() }
            lease.withLock { $0 = made }
        }

        func take(_ bytes: Int, at seconds: UInt64) -> Bool { lease.withLock { $0 }?.take(bytes, now: seconds * second) ?? false }
        func finish() -> Bool { lease.withLock { $0 }?.finish() ?? false }
        func end() { lease.withLock { $0 }?.end() }
    }

    @Test func theSlowestBodyGoesNotTheNewcomer() {
        let budget = BodyBudget(bytes: 1_000)
        let (slow, fast) = (Body(budget), Body(budget))
        #expect(slow.take(400, at: 1))
        for at in 1...20 as ClosedRange<UInt64> { #expect(fast.take(20, at: at)) }
        let newcomer = Body(budget, at: 21)
        #expect(newcomer.take(500, at: 21))
        #expect(slow.evicted.value == 1 && fast.evicted.value == 0)
        #expect(!slow.take(1, at: 22) && !slow.finish())
        #expect(budget.bytes == 900)
        #expect(fast.finish())
        fast.end()
        newcomer.end()
        slow.end()
        slow.end()
        #expect(budget.bytes == 0)
    }

    @Test func nothingGoesInVain() {
        let budget = BodyBudget(bytes: 1_000)
        let (whole, slow) = (Body(budget), Body(budget))
        #expect(whole.take(900, at: 1) && whole.finish())
        #expect(slow.take(50, at: 1))
        let newcomer = Body(budget, at: 20)
        // Whole bodies stay, and what the slow one holds is not enough.
        #expect(!newcomer.take(500, at: 20))
        #expect(slow.evicted.value == 0 && budget.bytes == 950)
        // Who is the slowest himself goes.
        #expect(!slow.take(100, at: 21))
        #expect(newcomer.take(100, at: 21))
    }

    @Test func aBodyIsSafeInItsFirstSecond() {
        let budget = BodyBudget(bytes: 100)
        let (first, second) = (Body(budget, at: 5), Body(budget, at: 5))
        #expect(first.take(90, at: 5))
        #expect(!second.take(20, at: 5))
        #expect(second.take(20, at: 7) || first.evicted.value == 0)
    }

    @Test func strangersLeaveAPartToServices() {
        let budget = BodyBudget(bytes: 1_000)
        let strangers = BodyBudget.Account(most: 750)
        let bodies = (0..<10).map { _ in Body(budget, [strangers]) }
        for body in bodies { #expect(body.take(75, at: 1)) }
        let service = Body(budget, isProven: true, at: 1)
        #expect(service.take(250, at: 1))
        // A service may have more, at the cost of strangers; they never at its.
        #expect(service.take(100, at: 30))
        #expect(bodies.map(\.evicted.value).reduce(0, +) >= 1)
        let late = Body(budget, [strangers], at: 30)
        #expect(late.take(300, at: 31))
        #expect(service.evicted.value == 0 && strangers.bytes <= 750 && budget.bytes <= 1_000)
    }

    @Test func partsAreApart() {
        let budget = BodyBudget(bytes: 1_000)
        let (one, two) = (BodyBudget.Account(most: 500), BodyBudget.Account(most: 500))
        let slow = Body(budget, [two])
        #expect(slow.take(400, at: 1))
        let greedy = [Body(budget, [one]), Body(budget, [one])]
        #expect(greedy[0].take(300, at: 1))
        #expect(greedy[1].take(150, at: 20))
        // Its own part is full: its own slowest body goes, not the slower one of the other part.
        #expect(greedy[1].take(200, at: 21))
        #expect(greedy[0].evicted.value == 1 && slow.evicted.value == 0)
        #expect(one.bytes == 350 && two.bytes == 400)
    }

    @Test func randomTakesNeverPassALimitOrLeak() async {
        let budget = BodyBudget(bytes: 100_000)
        let parts = (0..<4).map { _ in BodyBudget.Account(most: 40_000) }
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                group.addTask {
                    for round in 0..<500 {
                        let body = Body(budget, [parts[(number + round) % 4]], at: 0)
                        for step in 0..<(1 + round % 5) where !body.take(1 + (number * 977 + round * 31) % 9_000, at: UInt64(2 + step)) {
                            break
                        }
                        if round % 2 == 0 { _ = body.finish() }
                        body.end()
                    }
                }
            }
        }
        #expect(budget.bytes == 0 && parts.allSatisfy { $0.bytes == 0 })
    }

    /// The attack of unfinished bodies: an honest caller gets through beside it, each time.
    @Test func unfinishedBodiesDoNotShutOthersOut() async throws {
        var limits = TransportLimits()
        limits.maxGlobalBodyBytes = 8 << 20
        limits.maxBodyBytes = 1 << 20
        try await withServer(ClosureHandler.echo, limits: limits) { server, port in
            var attackers: [RawPeer] = []
            for _ in 0..<9 {
                let peer = try await RawPeer(port)
                for _ in 0..<3 { try await peer.send(try await peer.open("/attack"), 1_000_000) }
                attackers.append(peer)
            }
            let isFull = await eventually { server.stats.bodyBytes > 3 << 20 }
            #expect(isFull)
            // Until the bodies of the attack are old enough to go.
            try await Task.sleep(for: .milliseconds(1_200))
            try await withClient(port) { client in
                for _ in 0..<20 { #expect(await client.failure("/", pattern(1 << 20)) == nil) }
            }
            // Never more than the address may hold.
            #expect(server.stats.bodyBytes <= 4 << 20)
            #expect(server.refusals[.evicted] + server.refusals[.memory] > 0)
            for peer in attackers { await peer.close() }
            let isFree = await eventually { server.stats.bodyBytes == 0 }
            #expect(isFree)
        }
    }
}

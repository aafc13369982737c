import Foundation
import FunnelModel
import Notifications
import Synchronization
import Testing

/// The outbox with a sender: retries, and starts with what an earlier process stored.
@Suite(.timeLimit(.minutes(2)))
struct DeliveriesTests {
    private struct StoreFailed: Error {}

    private static func deliveries(
        _ file: OutboxFile, _ channels: [Channel], outbox: Outbox = Outbox(), storesMax: Int = .max
    ) throws -> Deliveries {
        let stores = Mutex(0)
        return Deliveries(
            outbox: outbox, sender: try Samples.localSender(), channel: { id in channels.first { $0.id == id } },
            store: { bytes in
                let count = stores.withLock { count in
                    count += 1
                    return count
                }
                if count > storesMax { throw StoreFailed() }
                try file.store(bytes)
            }, jitter: { 1 })
    }

    @Test func busyReceiversAreAskedAgain() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let server = try await LocalServer.start([
            .status(429, headers: ["Retry-After: 7"]), .status(500), .status(503, headers: ["Retry-After: 100"]), .status(200),
        ])
        let channel = try Samples.webhook("http://127.0.0.1:\(server.port)/")
        let clock = ManualClock()
        let deliveries = try Self.deliveries(OutboxFile(url: folder.url.appendingPathComponent("outbox")), [channel])
        #expect(try await deliveries.submit([Samples.firing], to: [channel], now: clock.now).isEmpty)
        for seconds in [7, 10, 100] {
            let reports = try await deliveries.deliverDue(clock: { clock.now })
            let next = clock.now + Int64(seconds) * 1_000_000
            #expect(reports.map(\.fate) == [.retried(at: next)])
            #expect(try await deliveries.deliverDue(clock: { clock.now }).isEmpty)
            clock.advance(to: try #require(await deliveries.nextAttempt))
            #expect(clock.now == next)
        }
        #expect(try await deliveries.deliverDue(clock: { clock.now }).map(\.fate) == [.delivered])
        #expect(await deliveries.nextAttempt == nil)
        #expect(Set(server.requests.map { $0.headers["idempotency-key"] }) == [Samples.firing.id])
        #expect(server.requests.count == 4)
        await server.stop()
    }

    @Test func refusalsAreNotRetried() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let server = try await LocalServer.start([.status(404)])
        let channel = try Samples.webhook("http://127.0.0.1:\(server.port)/")
        let gone = try Samples.webhook("http://127.0.0.1:\(server.port)/", id: "gone")
        let deliveries = try Self.deliveries(OutboxFile(url: folder.url.appendingPathComponent("outbox")), [channel])
        _ = try await deliveries.submit([Samples.firing], to: [channel, gone], now: Samples.now)
        let reports = try await deliveries.deliverDue(clock: { Samples.now })
        #expect(Set(reports.map { "\($0.channel): \($0.fate)" }).count == 2)
        #expect(reports.first { $0.channel == "hook" }?.fate == .lost("the answer is 404"))
        #expect(reports.first { $0.channel == "gone" }?.fate == .lost("the channel is deleted"))
        #expect(await deliveries.outbox.entries.isEmpty)
        #expect(server.requests.count == 1)
        await server.stop()
    }

    @Test func restarts() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = OutboxFile(url: folder.url.appendingPathComponent("outbox"))
        let server = try await LocalServer.start()
        let channel = try Samples.webhook("http://127.0.0.1:\(server.port)/")
        // Ended before the delivery.
        var deliveries = try Self.deliveries(file, [channel])
        _ = try await deliveries.submit([Samples.firing], to: [channel], now: Samples.now)
        // Ended after the delivery, before it was noted.
        deliveries = try Self.deliveries(file, [channel], outbox: try file.outbox(), storesMax: 0)
        await #expect(throws: StoreFailed.self) { try await deliveries.deliverDue(clock: { Samples.now }) }
        #expect(server.requests.count == 1)
        // So it comes again, with the same key.
        deliveries = try Self.deliveries(file, [channel], outbox: try file.outbox())
        #expect(try await deliveries.deliverDue(clock: { Samples.now }).map(\.fate) == [.delivered])
        #expect(server.requests.map { $0.headers["idempotency-key"] } == [Samples.firing.id, Samples.firing.id])
        // And never after that.
        deliveries = try Self.deliveries(file, [channel], outbox: try file.outbox())
        _ = try await deliveries.submit([Samples.firing], to: [channel], now: Samples.now)
        #expect(try await deliveries.deliverDue(clock: { Samples.now }).isEmpty)
        #expect(server.requests.count == 2)
        await server.stop()
    }

    /// A notice that cannot be stored is not accepted silently.
    @Test func aFailedStoreIsAnError() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let channel = try Samples.webhook("http://127.0.0.1:1/")
        let deliveries = try Self.deliveries(OutboxFile(url: folder.url.appendingPathComponent("outbox")), [channel], storesMax: 0)
        await #expect(throws: StoreFailed.self) { try await deliveries.submit([Samples.firing], to: [channel], now: Samples.now) }
    }

    /// One channel that does not answer keeps no other one waiting, and a second round does not begin beside the first.
    @Test func manyNoticesToTwoChannels() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let file = OutboxFile(url: folder.url.appendingPathComponent("outbox"))
        let (one, other) = (try await LocalServer.start(), try await LocalServer.start([.status(503)]))
        let channels = [
            try Samples.webhook("http://127.0.0.1:\(one.port)/", id: "one"),
            try Samples.webhook("http://127.0.0.1:\(other.port)/", id: "other"),
        ]
        let deliveries = try Self.deliveries(file, channels)
        await withThrowingTaskGroup(of: Void.self) { group in
            for i in 0..<20 {
                group.addTask { _ = try await deliveries.submit([Samples.notice("\(i)")], to: channels, now: Samples.now) }
                group.addTask { _ = try await deliveries.deliverDue(clock: { Samples.now }) }
            }
        }
        _ = try await deliveries.deliverDue(clock: { Samples.now })
        #expect(Set(one.requests.compactMap { $0.headers["idempotency-key"] }).count == 20)
        #expect(one.requests.count == 20)
        #expect(try file.outbox().json == (await deliveries.outbox.json))
        #expect(await deliveries.outbox.entries.count == 20)
        await one.stop()
        await other.stop()
    }
}

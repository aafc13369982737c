import FunnelModel
import Notifications
import Testing

/// The outbox as a value, with the time passed in.
struct OutboxTests {
    private static let hook = Channel(id: "hook", settings: .file(name: "a"))
    private static let alertmanager: Channel = {
        do {
            return Channel(id: "am", settings: .alertmanager(try WebTarget("https://am.example"), authorization: nil))
        } catch {
            fatalError("\(error)")
        }
    }()
    private static let second: Int64 = 1_000_000

    @Test func theSameNoticeIsTakenOnce() throws {
        var outbox = Outbox()
        #expect(outbox.add(Samples.firing, to: Self.hook, now: 0).isEmpty)
        #expect(outbox.add(Samples.firing, to: Self.hook, now: 1).isEmpty)
        #expect(outbox.entries.count == 1)
        let entry = try #require(outbox.due(now: 1).first)
        #expect(outbox.receive(.delivered, for: entry.id, now: 2, jitter: 0) == .delivered)
        #expect(outbox.receive(.delivered, for: entry.id, now: 2, jitter: 0) == .gone)
        // Also after its delivery, and after a restart.
        var restarted = try Outbox(parsing: outbox.json.encode())
        _ = restarted.add(Samples.firing, to: Self.hook, now: 3)
        #expect(restarted.entries.isEmpty && restarted.nextAttempt == nil)
        _ = restarted.add(Samples.firing, to: Channel(id: "other", settings: Self.hook.settings), now: 3)
        _ = restarted.add(Samples.resolved, to: Self.hook, now: 3)
        #expect(restarted.entries.count == 2)
    }

    @Test func nothingIsResolvedBeforeItFires() throws {
        var outbox = Outbox()
        _ = outbox.add(Samples.firing, to: Self.hook, now: 0)
        _ = outbox.add(Samples.resolved, to: Self.hook, now: 0)
        _ = outbox.add(Samples.notice("another"), to: Self.hook, now: 0)
        #expect(outbox.due(now: 0).map(\.notice) == [Samples.firing, Samples.notice("another")])
        let entry = try #require(outbox.due(now: 0).first)
        #expect(outbox.receive(.failed("x"), for: entry.id, now: 0, jitter: 1) == .retried(at: 5 * Self.second))
        #expect(outbox.due(now: 0).map(\.notice) == [Samples.notice("another")])
        #expect(outbox.receive(.delivered, for: entry.id, now: 0, jitter: 1) == .delivered)
        #expect(outbox.due(now: 0).map(\.notice) == [Samples.resolved, Samples.notice("another")])
    }

    @Test func pausesDouble() {
        let seconds = (1...10).map { Outbox.delay(attempts: $0, jitter: 1) / Self.second }
        #expect(seconds == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900])
        #expect((1...10).allSatisfy { Outbox.delay(attempts: $0, jitter: 0) == Outbox.delay(attempts: $0, jitter: 1) / 2 })
        for attempts in [Int.min, 0, Int.max] {
            for jitter in [-1, 2, .nan, .infinity] {
                #expect((2_500_000...900_000_000).contains(Outbox.delay(attempts: attempts, jitter: jitter)))
            }
        }
    }

    @Test func retryAfterIsKept() throws {
        var outbox = Outbox()
        _ = outbox.add(Samples.firing, to: Self.hook, now: 0)
        let id = try #require(outbox.entries.first).id
        #expect(outbox.receive(.failed("x", after: 100), for: id, now: 0, jitter: 0) == .retried(at: 100 * Self.second))
        #expect(outbox.receive(.failed("x", after: 1), for: id, now: 0, jitter: 1) == .retried(at: 10 * Self.second))
        #expect(outbox.receive(.failed("x", after: .max), for: id, now: 0, jitter: 1) == .retried(at: 3_600 * Self.second))
    }

    @Test func answersOfReceivers() {
        for status in [200, 202, 204] { #expect(DeliveryOutcome.answer(status: status, retryAfter: nil, text: "") == .delivered) }
        for status in [408, 425, 429, 500, 502, 503, 599] {
            #expect(DeliveryOutcome.answer(status: status, retryAfter: "7", text: "") == .failed("the answer is \(status)", after: 7))
        }
        #expect(DeliveryOutcome.answer(status: 503, retryAfter: "Wed, 21 Oct", text: "x") == .failed("the answer is 503: x"))
        #expect(DeliveryOutcome.answer(status: 429, retryAfter: "99999999", text: "") == .failed("the answer is 429", after: 3_600))
        for status in [400, 401, 404, 410, 422, 600] {
            #expect(DeliveryOutcome.answer(status: status, retryAfter: "7", text: "x") == .refused("the answer is \(status): x"))
        }
        #expect(
            DeliveryOutcome.answer(status: 307, retryAfter: nil, text: "")
                == .refused("the answer is a redirect (307), which is not followed"))
    }

    @Test func givesUpAfterADay() throws {
        var outbox = Outbox()
        _ = outbox.add(Samples.firing, to: Self.hook, now: 0)
        let id = try #require(outbox.entries.first).id
        var now: Int64 = 0
        var attempts = 0
        while true {
            attempts += 1
            let fate = outbox.receive(.failed("down"), for: id, now: now, jitter: 1)
            guard case .retried(let next) = fate else {
                #expect(fate == .lost("given up after \(attempts) attempts in 24 hours; the last one: down"))
                break
            }
            now = next
            // A restart keeps the count.
            if attempts == 3 { #expect(try Outbox(parsing: outbox.json.encode()).entries.first?.attempts == 3) }
        }
        #expect(outbox.entries.isEmpty && attempts > 90 && attempts < 120)
    }

    @Test func alertmanagerHearsOfItUntilItIsResolved() throws {
        var outbox = Outbox()
        _ = outbox.add(Samples.firing, to: Self.alertmanager, now: 0)
        for round in 0..<3 {
            let now = Int64(round) * Outbox.repeatMicroseconds
            let entry = try #require(outbox.due(now: now).first)
            #expect(entry.notice == Samples.firing)
            #expect(outbox.due(now: now - 1).isEmpty)
            #expect(outbox.receive(.delivered, for: entry.id, now: now, jitter: 0) == .delivered)
            outbox = try Outbox(parsing: outbox.json.encode())
        }
        _ = outbox.add(Samples.resolved, to: Self.alertmanager, now: 9)
        #expect(outbox.entries.map(\.notice) == [Samples.resolved])
        let entry = try #require(outbox.due(now: 9).first)
        #expect(outbox.receive(.delivered, for: entry.id, now: 9, jitter: 0) == .delivered)
        #expect(outbox.entries.isEmpty)
    }

    @Test func entriesOfADeletedChannelLeave() {
        var outbox = Outbox()
        _ = outbox.add(Samples.firing, to: Self.alertmanager, now: 0)
        _ = outbox.add(Samples.firing, to: Self.hook, now: 0)
        outbox.remove(channel: Self.alertmanager.id)
        #expect(outbox.entries.map(\.channel) == ["hook"])
        outbox.remove(channel: "hook")
        #expect(outbox.entries.isEmpty)
    }

    /// A channel that is down does not take the place of the others.
    @Test func limits() throws {
        var outbox = Outbox()
        let text = String(repeating: "\u{202E}", count: 5_000)
        _ = outbox.add(Samples.notice("quiet"), to: Channel(id: "quiet", settings: Self.hook.settings), now: 0)
        var lost = 0
        for i in 0..<2_500 { lost += outbox.add(Samples.notice("\(i)", text: i < 500 ? text : ""), to: Self.hook, now: 0).count }
        #expect(outbox.entries.count + lost == 2_501)
        #expect(outbox.entries.count <= NoticeLimits.outboxEntries && outbox.entries.contains { $0.channel == "quiet" })
        #expect(outbox.entries.last?.notice.key == "2499")
        // What the metadata store takes.
        for entry in outbox.entries { _ = outbox.receive(.failed(String(repeating: "\"", count: 1_000)), for: entry.id, now: 0, jitter: 0) }
        #expect(outbox.json.encode().count < 524_288)
        #expect(try Outbox(parsing: outbox.json.encode()).entries.count == outbox.entries.count)
        // The newest ones are remembered.
        _ = outbox.add(Samples.notice("2499"), to: Self.hook, now: 0)
        #expect(outbox.entries.last?.notice.key == "2499" && outbox.entries.count <= NoticeLimits.outboxEntries)
    }

    @Test func damagedOutboxesAreFaults() throws {
        var outbox = Outbox()
        _ = outbox.add(Samples.firing, to: Self.hook, now: 0)
        let text = String(decoding: outbox.json.encode(), as: UTF8.self)
        for bad in [
            "", "{}", String(text.dropLast()), text.replacingFirst("\"version\":1", by: "\"version\":2"),
            text.replacingFirst("\"attempts\":0", by: "\"attempts\":-1"), text.replacingFirst("\"firing\"", by: "\"burning\""),
        ] {
            #expect(throws: InvalidDocument.self, "\(bad)") { try Outbox(parsing: Array(bad.utf8)) }
        }
    }
}

extension String {
    fileprivate func replacingFirst(_ text: String, by other: String) -> String {
        guard let range = firstRange(of: text) else { return self }
        return self[..<range.lowerBound] + other + self[range.upperBound...]
    }
}

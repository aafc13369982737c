import FunnelModel
import FunnelProtocol
import IngestService
import Synchronization
import Testing

/// Small appends that go out together: each caller gets what became of its own rows.
@Suite(.timeLimit(.minutes(1)))
struct AppendGathererTests {
    /// Sends that wait for the test, and what they were sent.
    private final class Sends: Sendable {
        private let state = Mutex((batches: [EventBatch](), waiting: [CheckedContinuation<Void, Never>](), isOpen: false))
        let answer: @Sendable (EventBatch) -> AppendGatherer.Result

        init(_ answer: @escaping @Sendable (EventBatch) -> AppendGatherer.Result = { .success(AppendOutcome(accepted: $0.count)) }) {
            self.answer = answer
        }

        var batches: [[String]] { state.withLock { $0.batches.map { batch in batch.events.map { $0.user.string } } } }

        func send(_ batch: EventBatch) async -> AppendGatherer.Result {
            await withCheckedContinuation { waiting in
                let isOpen = state.withLock { state in
                    state.batches.append(batch)
                    if !state.isOpen { state.waiting.append(waiting) }
                    return state.isOpen
                }
                if isOpen { waiting.resume() }
            }
            return answer(batch)
        }

        func open() {
            let waiting = state.withLock { state in
                defer { (state.waiting, state.isOpen) = ([], true) }
                return state.waiting
            }
            for one in waiting { one.resume() }
        }
    }

    private static func batch(_ users: [String]) -> EventBatch {
        EventBatchBuilder(users.map { Event(user: ByteString($0), name: "e", time: 1) }).finish()
    }

    private final class Results: Sendable {
        private let all = Mutex<[String: AppendGatherer.Result]>([:])
        func note(_ name: String, _ result: AppendGatherer.Result) { all.withLock { $0[name] = result } }
        var count: Int { all.withLock { $0.count } }
        subscript(name: String) -> AppendGatherer.Result? { all.withLock { $0[name] } }
    }

    @Test func aloneItGoesAtOnceAndOthersWaitForIt() async throws {
        let sends = Sends()
        let gatherer = AppendGatherer(linger: .seconds(50)) { batch, _ in await sends.send(batch) }
        let results = Results()
        func append(_ name: String, project: UInt32 = 1) {
            gatherer.append(Self.batch([name]), sender: Sender(project: project)) { results.note(name, $0) }
        }
        append("a")
        try await eventually { sends.batches == [["a"]] }
        for name in ["b", "c", "d"] { append(name) }
        append("other", project: 2)
        // Another project does not wait.
        try await eventually { sends.batches == [["a"], ["other"]] }
        #expect(results.count == 0)
        sends.open()
        try await eventually { sends.batches == [["a"], ["other"], ["b", "c", "d"]] }
        try await eventually { results.count == 5 }
        for name in ["a", "b", "c", "d", "other"] { #expect(try results[name]?.get() == AppendOutcome(accepted: 1)) }
    }

    @Test func nobodyWaitsForLong() async throws {
        let sends = Sends()
        let gatherer = AppendGatherer(linger: .milliseconds(2)) { batch, _ in await sends.send(batch) }
        for name in ["a", "b"] { gatherer.append(Self.batch([name]), sender: Sender(project: 1)) { _ in } }
        // The first is still on its way.
        try await eventually { sends.batches == [["a"], ["b"]] }
        sends.open()
    }

    @Test func manyRowsDoNotWait() async throws {
        let sends = Sends()
        let gatherer = AppendGatherer(linger: .seconds(50)) { batch, _ in await sends.send(batch) }
        for _ in 0..<21 { gatherer.append(Self.batch((0..<100).map { "u\($0)" }), sender: Sender(project: 1)) { _ in } }
        try await eventually { sends.batches.map(\.count) == [100, 2_000] }
        sends.open()
    }

    @Test func eachIsToldOfItsOwnRows() async throws {
        let sends = Sends { batch in
            let rejected = batch.events.enumerated().filter { $1.user.string.hasPrefix("bad") }.map {
                AppendOutcome.RejectedRow(row: $0.offset, reason: $0.element.user.string)
            }
            return .success(AppendOutcome(accepted: batch.count - rejected.count, rejected: rejected))
        }
        let gatherer = AppendGatherer(linger: .seconds(50)) { batch, _ in await sends.send(batch) }
        let results = Results()
        let callers = [["first"], ["x", "bad 1"], ["y"], ["bad 2", "z", "bad 3"], ["bad 4"]]
        for users in callers { gatherer.append(Self.batch(users), sender: Sender(project: 1)) { results.note(users[0], $0) } }
        sends.open()
        try await eventually { results.count == callers.count }
        for users in callers {
            let bad = users.indices.filter { users[$0].hasPrefix("bad") }
            #expect(
                try results[users[0]]?.get()
                    == AppendOutcome(accepted: users.count - bad.count, rejected: bad.map { .init(row: $0, reason: users[$0]) }))
        }
    }

    /// A fault that may be of one caller's rows costs that one alone; any other is everybody's.
    @Test func oneBadCallerCostsNobodyElse() async throws {
        let sends = Sends { batch in
            let users = batch.events.map { $0.user.string }
            if users.contains("poison") { return .failure(ProtocolError(.invalidMessage, "no")) }
            if users.contains("down") { return .failure(ProtocolError(.unreachable, "gone")) }
            return .success(AppendOutcome(accepted: batch.count))
        }
        let gatherer = AppendGatherer(linger: .seconds(50)) { batch, _ in await sends.send(batch) }
        let results = Results()
        for name in ["first", "a", "poison", "b"] {
            gatherer.append(Self.batch([name]), sender: Sender(project: 1)) { results.note(name, $0) }
        }
        for name in ["third", "c", "down"] { gatherer.append(Self.batch([name]), sender: Sender(project: 3)) { results.note(name, $0) } }
        sends.open()
        try await eventually { results.count == 7 }
        for name in ["first", "a", "b", "third"] { #expect(try results[name]?.get().accepted == 1, "\(name)") }
        for (name, code) in [("poison", ProtocolError.Code.invalidMessage), ("c", .unreachable), ("down", .unreachable)] {
            #expect { try results[name]?.get() } throws: { ($0 as? ProtocolError)?.code == code }
        }
    }
}

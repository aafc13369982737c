import FunnelModel
import FunnelProtocol
import IngestService
import RPC
import TestSupport
import Testing

/// Budgets of bytes: never negative, over the limit only for a single large request, and free again however a request ends.
@Suite(.timeLimit(.minutes(2)))
struct BudgetTests {
    // MARK: Bytes on the way to shards

    @Test func aShardHasAtMostHalfAndTheOthersTheRest() {
        let budget = InFlightBudget(bytes: 1_000, shards: 3)
        let first = budget.reserve([0: 400])
        #expect(first.granted && budget.total == 400)
        let over = budget.reserve([0: 101])
        #expect(!over.granted && over.shard == 0)
        // All of a request or nothing: the part for the other shard is not taken.
        let both = budget.reserve([0: 200, 1: 10])
        #expect(!both.granted && both.shard == 0 && budget.total == 400)
        let exactHalf = budget.reserve([0: 100])
        #expect(exactHalf.granted && budget.total == 500)
        let others = budget.reserve([1: 250, 2: 250])
        #expect(others.granted && budget.total == 1_000)
        // The whole is spent, and no shard is to blame.
        let whole = budget.reserve([2: 1])
        #expect(!whole.granted && whole.shard == nil)
        budget.release([0: 400])
        budget.release([0: 100])
        let again = budget.reserve([2: 200])
        #expect(again.granted && budget.total == 700)
    }

    @Test func aRequestLargerThanTheBudgetGoesAlone() {
        let budget = InFlightBudget(bytes: 100, shards: 2)
        let huge = budget.reserve([0: 5_000, 1: 5_000])
        #expect(huge.granted && budget.total == 10_000)
        let next = budget.reserve([0: 1])
        #expect(!next.granted)
        budget.release([0: 5_000, 1: 5_000])
        let last = budget.reserve([0: 1])
        #expect(last.granted && budget.total == 1)
    }

    @Test func reservationsAgreeWithAPlainModel() {
        var random = SplitMix64(seed: 3)
        for _ in 0..<200 {
            let most = 100 + random.below(1_000)
            let budget = InFlightBudget(bytes: most, shards: 4)
            var held: [[Int: Int]] = []
            for _ in 0..<200 {
                if random.chance(45), !held.isEmpty {
                    budget.release(held.remove(at: random.below(held.count)))
                } else {
                    let wanted = (0..<4).reduce(into: [Int: Int]()) { if random.chance(40) { $0[$1] = 1 + random.below(300) } }
                    func bytes(_ shard: Int) -> Int { held.reduce(0) { $0 + ($1[shard] ?? 0) } }
                    let total = (0..<4).reduce(0) { $0 + bytes($1) }
                    let full = wanted.filter { bytes($0.key) > 0 && bytes($0.key) + $0.value > most / 2 }
                    let fits = total == 0 || total + wanted.values.reduce(0, +) <= most
                    let (granted, shard) = budget.reserve(wanted)
                    #expect(granted == (full.isEmpty && fits) && (shard == nil) == full.isEmpty)
                    if let shard { #expect(full[shard] != nil) }
                    if granted { held.append(wanted) }
                }
                #expect(budget.total == held.reduce(0) { $0 + $1.values.reduce(0, +) } && budget.total >= 0)
            }
        }
    }

    @Test func reservationsOfManyThreadsAddUp() async {
        let budget = InFlightBudget(bytes: 10_000, shards: 8)
        let most = Shared(0)
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<8 as Range<UInt64> {
                group.addTask {
                    var random = SplitMix64(seed: number)
                    for _ in 0..<2_000 {
                        let wanted = [random.below(6): 1 + random.below(4_000), 6 + random.below(2): 1 + random.below(500)]
                        guard budget.reserve(wanted).granted else { continue }
                        let total = budget.total
                        most.change { $0 = max($0, total) }
                        budget.release(wanted)
                    }
                }
            }
        }
        #expect(budget.total == 0 && most.value <= 10_000)
    }

    // MARK: The router's use of it

    private static func rows(_ users: [String], bytes: Int = 10) -> ShardRouter.Rows {
        let text = PropertyValue.string(ByteString([UInt8](repeating: 120, count: bytes)))
        let events = users.map { Event(user: ByteString($0), name: "e", time: 1_700_000_000, properties: [.init("text", text)]) }
        return .init(batch: EventBatchBuilder(events).finish(), index: Array(users.indices))
    }

    /// A user of each shard.
    private static func users(of map: ClusterMap) -> [String] {
        map.shards.indices.map { shard in
            (0...).lazy.map { "user \($0)" }.first { map.owner(ofBucket: ClusterMap.bucket(ofUser: ByteString($0))) == shard } ?? ""
        }
    }

    /// Calls that shards do not answer until the test lets them.
    private final class HeldCalls: Sendable {
        private let state = Shared((isOpen: false, waiting: [CheckedContinuation<Void, Never>]()))
        var count: Int { state.value.waiting.count }

        func pass() async {
            await withCheckedContinuation { waiting in
                let isOpen = state.change { state in
                    if !state.isOpen { state.waiting.append(waiting) }
                    return state.isOpen
                }
                if isOpen { waiting.resume() }
            }
        }

        func open() {
            let waiting = state.change { state in
                defer { state = (true, []) }
                return state.waiting
            }
            for one in waiting { one.resume() }
        }
    }

    @Test func aSlowShardIsRefusedByNameAndTheOthersGoOn() async throws {
        let held = HeldCalls()
        try await FakeShards.with(2, budgetBytes: 4_000) { sent in
            if sent.shard == 0 { await held.pass() }
            return AppendOutcome(accepted: sent.append.batch.count)
        } _: { shards in
            defer { held.open() }
            let users = Self.users(of: shards.map)
            let router = shards.router
            let slow = Task {
                try await router.append(Self.rows([users[0]], bytes: 1_500), delivery: nil, sender: Sender(project: 1), request: 1)
            }
            try await eventually { held.count == 1 }
            let before = router.inFlightBytes
            #expect(before > 1_500)
            let error = await #expect(throws: ProtocolError.self) {
                try await router.append(Self.rows(users, bytes: 1_000), delivery: nil, sender: Sender(project: 1), request: 2)
            }
            #expect(error?.code == .overloaded && error?.shards == ["shard-0"] && error?.retryAfterMilliseconds == 1_000)
            let message = error?.message ?? ""
            #expect(message.contains("in-flight-mb") && message.contains("nothing was stored"), "\(message)")
            #expect(router.inFlightBytes == before)
            let other = try await router.append(
                Self.rows([users[1]], bytes: 1_500), delivery: nil, sender: Sender(project: 1), request: 3)
            #expect(other.accepted == 1 && router.inFlightBytes == before)
            held.open()
            #expect(try await slow.value.accepted == 1)
            #expect(router.inFlightBytes == 0)
        }
    }

    @Test func aBudgetThatIsSpentNamesNoShard() async throws {
        let held = HeldCalls()
        try await FakeShards.with(3, budgetBytes: 4_000) { sent in
            await held.pass()
            return AppendOutcome(accepted: sent.append.batch.count)
        } _: { shards in
            defer { held.open() }
            let users = Self.users(of: shards.map)
            let router = shards.router
            let slow = (0...1).map { shard in
                Task {
                    try await router.append(
                        Self.rows([users[shard]], bytes: 1_800), delivery: nil, sender: Sender(project: 1), request: 1)
                }
            }
            try await eventually { held.count == 2 }
            let error = await #expect(throws: ProtocolError.self) {
                try await router.append(Self.rows([users[2]], bytes: 900), delivery: nil, sender: Sender(project: 1), request: 2)
            }
            #expect(error?.code == .overloaded && error?.shards == [] && error?.message.contains("in-flight-mb") == true, "\(error as Any)")
            held.open()
            for task in slow { #expect(try await task.value.accepted == 1) }
            #expect(router.inFlightBytes == 0)
        }
    }

    /// The bytes of an append are free once its sender has the outcome, an error too.
    @Test(arguments: [nil, .storageFull, .invalidMessage, .sequenceReused, .cancelled] as [ProtocolError.Code?], [false, true])
    func bytesAreFreeAfterEveryOutcomeOfAnAppend(code: ProtocolError.Code?, isGathered: Bool) async throws {
        try await FakeShards.with(3) { sent in
            if let code, sent.shard != 1 { throw ProtocolError(code, "no") }
            return AppendOutcome(accepted: sent.append.batch.count)
        } _: { shards in
            let rows = Self.rows((0..<60).map { "user \($0)" })
            let router = shards.router
            for _ in 0..<3 {
                if isGathered {
                    let result = await withCheckedContinuation { done in
                        let isTaken = router.gather(rows, sender: Sender(project: 1)) { done.resume(returning: $0) }
                        #expect(isTaken)
                    }
                    let outcome = try result.get()
                    #expect(outcome.accepted + outcome.retry.count == 60 && (code == nil) == outcome.retry.isEmpty)
                } else {
                    _ = try? await router.append(rows, delivery: nil, sender: Sender(project: 1), request: 1)
                }
                #expect(router.inFlightBytes == 0)
            }
        }
    }

    @Test func appendsTooLargeToBeGatheredLeaveNothingBehind() async throws {
        try await FakeShards.with(2) { shards in
            let many = Self.rows((0..<201).map { "user \($0)" })
            let large = Self.rows(["a", "b"], bytes: 70 << 10)
            for rows in [many, large] {
                let isTaken = shards.router.gather(rows, sender: Sender(project: 1)) { _ in _ = Issue.record("an outcome came") }
                #expect(!isTaken && shards.router.inFlightBytes == 0)
            }
            try await Task.sleep(for: .milliseconds(1))
            #expect(shards.sent.isEmpty)
        }
    }

    // MARK: Memory of bodies and of answers

    private static let second: UInt64 = 1_000_000_000

    /// A body that ends in several ways at once gives its bytes back once.
    @Test func aBodyGivesItsBytesBackOnce() {
        let budget = BodyBudget(bytes: 1_000)
        let project = BodyBudget.Account(most: 600)
        let evicted = Shared(0)
        let slow = budget.lease(in: [project], now: 0) { evicted.add() }
        #expect(slow.take(500, now: Self.second))
        let fast = budget.lease(in: [project], now: 20 * Self.second) {}
        // The slow one is evicted; what it does after that changes nothing.
        #expect(fast.take(300, now: 20 * Self.second))
        #expect(evicted.value == 1 && budget.bytes == 300 && project.bytes == 300)
        #expect(!slow.take(1, now: 21 * Self.second) && !slow.finish())
        for _ in 0..<3 { slow.end() }
        #expect(budget.bytes == 300 && project.bytes == 300 && slow.bytes == 0)
        // A whole body keeps its bytes until its end.
        #expect(fast.finish() && budget.bytes == 300)
        for _ in 0..<3 { fast.end() }
        #expect(budget.bytes == 0 && project.bytes == 0)
    }

    @Test func aBodyThatIsRefusedKeepsWhatItHadAndNoMore() {
        let budget = BodyBudget(bytes: 100)
        let project = BodyBudget.Account(most: 50)
        let body = budget.lease(in: [project], now: 0) {}
        #expect(body.take(40, now: 2 * Self.second))
        #expect(!body.take(20, now: 3 * Self.second))
        #expect(body.bytes == 40 && project.bytes == 40 && budget.bytes == 40)
        body.end()
        #expect(project.bytes == 0 && budget.bytes == 0)
    }

    /// Bodies that are evicted while they take more.
    @Test func takesAndEvictionsRaceWithoutALeak() async {
        let budget = BodyBudget(bytes: 20_000)
        let project = BodyBudget.Account(most: 15_000)
        let least = Shared(0)
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<8 as Range<UInt64> {
                group.addTask {
                    var random = SplitMix64(seed: number)
                    for round in 0..<400 as Range<UInt64> {
                        let now = round * 3 * Self.second
                        let body = budget.lease(in: [project], isProven: random.chance(10), now: now) {}
                        for step in 1...4 as ClosedRange<UInt64> where body.take(1 + random.below(6_000), now: now + step * Self.second) {
                            let bytes = min(budget.bytes, project.bytes)
                            least.change { $0 = min($0, bytes) }
                        }
                        if random.chance(50) { _ = body.finish() }
                        body.end()
                        if random.chance(20) { body.end() }
                    }
                }
            }
        }
        #expect(budget.bytes == 0 && project.bytes == 0 && least.value == 0)
    }

    @Test func answersAgreeWithAPlainModel() {
        var random = SplitMix64(seed: 5)
        for _ in 0..<100 {
            let most = 100 + random.below(900)
            let budget = AnswerBudget(bytes: most)
            // By ticket.
            let held = Shared([UInt64: Int]())
            var tickets: [UInt64] = []
            for _ in 0..<200 {
                let known = tickets.isEmpty || random.chance(60) ? nil : random.pick(tickets)
                switch random.below(4) {
                case 0, 1:
                    let bytes = random.below(300)
                    let evicted = Shared(false)
                    let ticket = budget.take(bytes, ticket: known) { evicted.change { $0 = true } }
                    #expect(known == nil || held.value[known ?? 0] == nil || ticket == known)
                    held.change { held in
                        held[ticket, default: 0] += bytes
                        while held.values.reduce(0, +) > most, let oldest = held.keys.min() { held[oldest] = nil }
                    }
                    tickets.append(ticket)
                case 2:
                    let (ticket, bytes) = (known ?? 1_000_000, random.below(400))
                    budget.giveBack(bytes, of: ticket)
                    held.change { held in
                        guard let had = held[ticket] else { return }
                        held[ticket] = had <= bytes ? nil : had - bytes
                    }
                default:
                    budget.release(known ?? 1_000_000)
                    held.change { $0[known ?? 1_000_000] = nil }
                }
                #expect(budget.bytes == held.value.values.reduce(0, +) && budget.bytes >= 0 && budget.bytes <= most)
            }
            for ticket in tickets { budget.release(ticket) }
            #expect(budget.bytes == 0)
        }
    }
}

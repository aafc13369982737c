import CoordinatorService
import Foundation
import FunnelModel
import FunnelProtocol
import Metadata
import Notifications
import ServiceRuntime
import Testing

/// Cohorts with the real metadata store and a clock that the test moves. Users and receiver are made up.
@Suite(.timeLimit(.minutes(2)))
struct CohortSyncTests {
    /// A store that fails all writes once it made a number of them, as if the process had ended.
    private struct EndingStore: MetadataStore {
        struct Ended: Error {}

        let base: SQLiteMetadataStore
        /// Writes that still succeed.
        let left = Shared(Int.max)

        func get(_ key: String) async throws -> Versioned? { try await base.get(key) }
        func list(prefix: String) async throws -> [(key: String, entry: Versioned)] { try await base.list(prefix: prefix) }
        func raise(above revision: UInt64) async throws { try await base.raise(above: revision) }
        func watch(after revision: UInt64, patience: Duration) async -> UInt64 { await base.watch(after: revision, patience: patience) }
        func compareAndSet(_ writes: [MetadataWrite]) async throws -> UInt64 {
            let may = left.change { left -> Bool in
                left -= 1
                return left >= 0
            }
            guard may else { throw Ended() }
            return try await base.compareAndSet(writes)
        }
    }

    private struct Bench {
        let folder: URL
        let store: EndingStore
        let clock = Shared<Int64>(1_772_431_200_000_000)
        let users = Shared<[String]>([])
        let outcome = Shared(DeliveryOutcome.delivered)
        /// The users of the receiver, by channel, and the body of each key.
        let held = Shared<[String: Set<String>]>([:])
        let bodies = Shared<[String: [UInt8]]>([:])
        let posts = Shared<[JSONValue]>([])
        let asked = Shared(0)

        /// A second one over the same store is the process after a restart.
        func process(membersMax: Int = SyncedCohort.membersMax) -> CohortSync {
            let (clock, users, outcome, held, bodies, posts, asked) = (clock, users, outcome, held, bodies, posts, asked)
            let source = CohortSync.Source(
                check: { _, _ in },
                users: { _, _ in
                    asked.add()
                    let sorted = users.value.map { ByteString($0) }.sorted()
                    let half = sorted.count / 2
                    return .init(users: Array(sorted[..<half])) { .init(users: Array(sorted[half...])) }
                },
                channel: { id, _ in
                    id == "none" ? nil : try Channel.parse(["kind": "webhook", "settings": ["url": "https://localhost/"]], id: id)
                },
                post: { body, key, channel, _ in
                    guard outcome.value == .delivered, let page = try? JSONParser.parse(body) else { return outcome.value }
                    // A key never comes with other users.
                    #expect(bodies.change { $0.updateValue(body, forKey: key) }.map { $0 == body } ?? true)
                    posts.change { $0.append(page) }
                    func list(_ name: ByteString) -> [String] { (page[name]?.asArray ?? []).compactMap { $0.asString?.string } }
                    #expect(list("added").count + list("removed").count <= SyncedCohort.pageUsers)
                    held.change { held in
                        held[channel.id, default: []].formUnion(list("added"))
                        held[channel.id]?.subtract(list("removed"))
                    }
                    return .delivered
                })
            return CohortSync(
                CohortBook(store, logger: FakeShards.quiet), source, membersMax: membersMax, metrics: Metrics(), logger: FakeShards.quiet,
                clock: { clock.value })
        }

        func save(_ more: [JSONValue.Member] = [], channel: String = "crm") async throws {
            let members: [JSONValue.Member] = [
                .init("id", "left"), .init("funnel_id", "shop"), .init("step", 2), .init("days", 2), .init("channel", .text(channel)),
            ]
            let cohort = try SyncedCohort.parseWithQuestion(.object(members + more))
            _ = try await process().book.put(cohort, project: 1, now: clock.value)
        }

        func state() async throws -> CohortState? { try await process().book.get("left", project: 1)?.state }

        /// Lists that are stored.
        func lists() async throws -> Set<String> {
            Set(try await store.list(prefix: "cohort-members/").map { String($0.key.split(separator: "/")[3]) })
        }

        func pass(days: Int64) { clock.change { $0 += days * 86_400_000_000 } }
    }

    private func withBench(_ body: (Bench) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-cohorts-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let base = try SQLiteMetadataStore(path: folder.appendingPathComponent("metadata.sqlite").path)
        try await body(Bench(folder: folder, store: EndingStore(base: base)))
    }

    private func names(_ numbers: Range<Int>) -> [String] { numbers.map { "user-\($0)" } }

    @Test func firstAllThenDifferences() async throws {
        try await withBench { bench async throws -> Void in
            bench.users.change { $0 = names(0..<2_500) }
            try await bench.save()
            await bench.process().syncDue()
            #expect(bench.posts.value.map { $0["page"] } == [1, 2, 3] && bench.posts.value.map { $0["last"] } == [false, false, true])
            #expect(bench.held.value["crm"] == Set(names(0..<2_500)))
            // Nothing is due, and then nothing differs.
            await bench.process().syncDue()
            bench.pass(days: 1)
            await bench.process().syncDue()
            #expect(bench.posts.value.count == 3 && bench.asked.value == 2)
            bench.users.change { $0 = names(10..<2_505) }
            bench.pass(days: 1)
            await bench.process().syncDue()
            #expect(bench.posts.value.count == 4 && bench.held.value["crm"] == Set(names(10..<2_505)))
            #expect(bench.posts.value.last?["removed"]?.asArray?.count == 10 && bench.posts.value.last?["added"]?.asArray?.count == 5)
            #expect(try await bench.lists().count == 1)
            #expect(try await bench.state()?.problem == nil)
        }
    }

    /// The process ends after each number of writes; the next one goes on.
    @Test func anEndAtEachWriteLosesNothing() async throws {
        var ends = 0
        while true {
            var hasEnded = false
            try await withBench { bench async throws -> Void in
                bench.users.change { $0 = names(0..<1_500) }
                try await bench.save()
                await bench.process().syncDue()
                bench.users.change { $0 = names(1_400..<4_000) }
                bench.pass(days: 1)
                bench.store.left.change { $0 = ends }
                await bench.process().syncDue()
                hasEnded = bench.store.left.change { left in
                    defer { left = .max }
                    return left < 0
                }
                bench.pass(days: 1)
                await bench.process().syncDue()
                #expect(bench.held.value["crm"] == Set(names(1_400..<4_000)), "after \(ends) writes")
                #expect(try await bench.lists().count == 1, "after \(ends) writes")
                #expect(try await bench.state()?.delivery == nil)
            }
            if !hasEnded { break }
            ends += 1
        }
        // The run's begin, its list, and a page each.
        #expect(ends >= 5)
    }

    @Test func aFailedPageIsSentAgainBeforeTheNextRun() async throws {
        try await withBench { bench async throws -> Void in
            bench.users.change { $0 = names(0..<1_500) }
            try await bench.save()
            bench.outcome.change { $0 = .refused("the answer is 404") }
            await bench.process().syncDue()
            #expect(try await bench.state()?.problem == "the answer is 404")
            bench.pass(days: 3)
            bench.outcome.change { $0 = .failed("the answer is 503", after: 600) }
            await bench.process().syncDue()
            let state = try await bench.state()
            #expect(bench.asked.value == 1 && state?.attempts == 2 && state?.next == bench.clock.value + 600_000_000)
            bench.outcome.change { $0 = .delivered }
            await bench.process().syncDue()
            #expect(bench.posts.value.isEmpty)
            _ = try await bench.process().want("left", project: 1)
            await bench.process().syncDue()
            #expect(bench.held.value["crm"]?.count == 1_500)
            // The wish was for another run, which follows.
            await bench.process().syncDue()
            #expect(bench.asked.value == 2)
        }
    }

    @Test func aChangeKeepsTheListAndAnotherChannelGetsAll() async throws {
        try await withBench { bench async throws -> Void in
            bench.users.change { $0 = names(0..<10) }
            try await bench.save()
            await bench.process().syncDue()
            try await bench.save([.init("title", "New")])
            await bench.process().syncDue()
            #expect(bench.asked.value == 1)
            bench.users.change { $0 = names(5..<12) }
            try await bench.save([.init("outcome", "dropped")])
            await bench.process().syncDue()
            #expect(bench.posts.value.last?["added"]?.asArray?.count == 2 && bench.held.value["crm"] == Set(names(5..<12)))
            try await bench.save(channel: "mail")
            await bench.process().syncDue()
            #expect(bench.held.value["mail"] == Set(names(5..<12)))
            #expect(Set(bench.posts.value.map { $0["run"]?.asInteger ?? 0 }).count == 3)
            try await bench.process().book.delete("left", project: 1)
            #expect(try await bench.store.list(prefix: "cohort").isEmpty)
        }
    }

    @Test func tooManyUsersAndAMissingChannelAreProblems() async throws {
        try await withBench { bench async throws -> Void in
            bench.users.change { $0 = names(0..<11) }
            try await bench.save()
            await bench.process(membersMax: 10).syncDue()
            #expect(try await bench.state()?.problem == "the cohort has more than 10 users, the limit")
            #expect(bench.posts.value.isEmpty)
            try await bench.save(channel: "none")
            await bench.process().syncDue()
            #expect(try await bench.state()?.problem == "the channel none does not exist")
            #expect(try await bench.lists().isEmpty)
        }
    }
}

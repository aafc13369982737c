import EventStorage
import FunnelModel
import Testing

/// Pages of an export against the store's own scan, while seals, merges, restarts and appends come between them.
struct ExportPageTests {
    private static let all = ExportQuestion(times: .min..<Int64.max)

    /// Sizes of pages and the rows from which a user is read piece by piece.
    private struct Sizes {
        var events: Int
        var bytes: Int
        var longUser: Int
    }

    private static func sizes(_ random: inout SeededGenerator) -> Sizes {
        Sizes(
            events: Int.random(in: 1...40, using: &random), bytes: [1, 300, 8 << 20].randomElement(using: &random) ?? 1,
            longUser: [1, 7, 1 << 18].randomElement(using: &random) ?? 1)
    }

    /// Reads all pages; `between` is called after each.
    private func export(
        _ store: () throws -> SimulatedStore, _ question: ExportQuestion, _ random: inout SeededGenerator,
        between: (inout SeededGenerator) throws -> Void = { _ in }
    ) throws -> [Event] {
        var events: [Event] = []
        var after: ExportPosition?
        for _ in 0..<100_000 {
            let sizes = Self.sizes(&random)
            let page = try store().view(project: 1).exportPage(
                question, after: after, eventsMax: sizes.events, bytesMax: sizes.bytes, longUserRows: sizes.longUser,
                rowsMax: [1, 20_000_000].randomElement(using: &random) ?? 1)
            #expect(page.batch.count <= sizes.events)
            events += page.batch.events
            guard let next = page.next else { return events }
            after = next
            try between(&random)
        }
        Issue.record("the export does not end")
        return events
    }

    /// Events by user, in the order in which they came; a user must come in one piece.
    private func histories(_ events: [Event]) -> [History] {
        var all: [History] = []
        for event in events {
            if all.last?.user == event.user {
                all[all.count - 1].events.append(event)
            } else {
                all.append(History(user: event.user, events: [event]))
            }
        }
        #expect(Set(all.map(\.user)).count == all.count)
        return all.sorted { $0.user < $1.user }
    }

    private func fill(_ store: SimulatedStore, _ random: inout SeededGenerator, from first: Int = 0) throws {
        for sequence in first..<(first + 30) {
            let events = randomEvents(Int.random(in: 0..<40, using: &random), &random)
            _ = try store.put([request(events, sequence: UInt64(sequence + 1))])
        }
    }

    @Test(arguments: 0..<24)
    func pagesAreTheStoredEvents(seed: Int) throws {
        var random = SeededGenerator(UInt64(seed))
        let files = SimulatedFileSystem()
        var options = StoreOptions()
        options.sealRows = [40, 300, 100_000][seed % 3]
        var store = try openStore(files, testIdentity, options)
        try fill(store, &random)
        if seed % 4 == 0 { try store.suppress(project: 1, users: ["longish-user-3"]) }
        let whole = try store.view(project: 1).histories()
        let found = try export({ store }, Self.all, &random) { random in
            switch Int.random(in: 0..<6, using: &random) {
            case 0: try store.seal()
            case 1: while store.maintain() {}
            case 2: try store.compact(everything: true)
            case 3:
                store.close()
                store = try openStore(files, testIdentity, options)
            default: break
            }
        }
        #expect(histories(found) == whole, "seed \(seed)")
    }

    @Test(arguments: 0..<12)
    func whatWasStoredBeforeIsThereOnce(seed: Int) throws {
        var random = SeededGenerator(UInt64(100 + seed))
        var options = StoreOptions()
        options.sealRows = [40, 300, 100_000][seed % 3]
        let store = try openStore(SimulatedFileSystem(), testIdentity, options)
        func put(_ count: Int, _ sequence: Int, _ random: inout SeededGenerator) throws {
            // Without times of the server, whose repeats move events.
            let events = randomEvents(count, &random).map { event in
                var event = event
                event.serverTimed = false
                return event
            }
            _ = try store.put([request(events, sequence: UInt64(sequence))])
        }
        for sequence in 1...30 { try put(Int.random(in: 0..<40, using: &random), sequence, &random) }
        let before = try store.view(project: 1).allEvents()
        var sequence = 31
        let found = try export({ store }, Self.all, &random) { random in
            guard sequence < 80 else { return }
            try put(Int.random(in: 1..<20, using: &random), sequence, &random)
            sequence += 1
            if Int.random(in: 0..<8, using: &random) == 0 { try store.compact(everything: true) }
        }
        let after = try store.view(project: 1).allEvents()
        #expect(missing(before, from: found).isEmpty, "seed \(seed)")
        #expect(missing(found, from: after).isEmpty, "seed \(seed)")
    }

    /// The events of `some` that are not among `all`, each counted.
    private func missing(_ some: [Event], from all: [Event]) -> [String] {
        var counts: [String: Int] = [:]
        for event in all { counts["\(event)", default: 0] += 1 }
        return some.map { "\($0)" }.filter { event in
            counts[event, default: 0] -= 1
            return counts[event, default: 0] < 0
        }
    }

    @Test(arguments: 0..<12)
    func timesNamesAndUsersChoose(seed: Int) throws {
        var random = SeededGenerator(UInt64(200 + seed))
        var options = StoreOptions()
        options.sealRows = 100
        let store = try openStore(SimulatedFileSystem(), testIdentity, options)
        try fill(store, &random)
        let whole = try store.view(project: 1).allEvents()
        let times = (1_700_000_000_000_002 as Int64)..<1_700_000_000_000_005
        let names: [ByteString] = ["name1", "name4", "nobody-sent-this"]
        let chosen = try export({ store }, ExportQuestion(times: times, events: names, user: "longish-user-5"), &random)
        #expect(chosen == whole.filter { times.contains($0.time) && names.contains($0.name) && $0.user == "longish-user-5" })
        let named = try export({ store }, ExportQuestion(times: times, events: names), &random)
        #expect(histories(named).flatMap(\.events) == whole.filter { times.contains($0.time) && names.contains($0.name) })
        #expect(try export({ store }, ExportQuestion(times: .min..<Int64.max, user: "nobody"), &random).isEmpty)
    }

    /// Months in several files: those outside the range are not read, but of names with times from the server.
    @Test func filesOfOtherMonths() throws {
        let month = 31 * 86_400_000_000 as Int64
        let store = try openStore(SimulatedFileSystem())
        var events: [Event] = []
        for i in 0..<6 {
            let time = 1_700_000_000_000_000 + Int64(i) * month
            events.append(event("u", "plain", time, id: "\(i)", p: Int64(i)))
            events.append(event("u", "timed", time, id: "same", serverTimed: true))
        }
        _ = try store.put([request(events, sequence: 1)])
        try store.seal()
        var random = SeededGenerator(1)
        let last = events[10].time..<Int64.max
        #expect(try export({ store }, ExportQuestion(times: last), &random) == [events[10]])
        #expect(try export({ store }, ExportQuestion(times: .min..<events[2].time), &random) == [events[0], events[1]])
    }

    @Test func equalEventsWithoutIDsAreCounted() throws {
        let store = try openStore(SimulatedFileSystem())
        let events = (0..<50).map { event("u", "a", 7, p: Int64($0 % 3)) }
        _ = try store.put([request(events, sequence: 1)])
        var random = SeededGenerator(3)
        let found = try export({ store }, Self.all, &random) { _ in try store.seal() }
        #expect(found == (0..<3).flatMap { p in events.filter { $0.properties == [.init("p", .integer(Int64(p)))] } })
    }

    @Test func claimsComeWithAllNamesAlone() throws {
        let store = try openStore(SimulatedFileSystem())
        let claim = Claim(kind: .identify, child: "device", parent: "user", time: 5)
        _ = try store.put([request([event("device", "a", 5), claim.row], sequence: 1)])
        var random = SeededGenerator(4)
        #expect(try export({ store }, Self.all, &random) == [claim.row, event("device", "a", 5)])
        let named = ExportQuestion(times: .min..<Int64.max, events: ["a", EventName.claim(.identify)])
        #expect(try export({ store }, named, &random) == [event("device", "a", 5)])
    }
}

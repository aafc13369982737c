import EventStorage
import FunnelModel
import Testing

struct RoundTripTests {
    @Test(arguments: [false, true])
    func eventsComeBackInOrderAfterReopening(sealed: Bool) throws {
        let files = SimulatedFileSystem()
        var model = StoreModel()
        var random = SeededGenerator(1)
        do {
            let store = try openStore(files)
            for sequence in 0..<5 {
                let events = randomEvents(200, &random)
                let results = try store.put([request(events, sequence: UInt64(sequence))])
                #expect(try results.map { try $0.get() } == [AppendResult(accepted: 200)])
                model.rows += EventBatchBuilder(events).finish().events
            }
            if sealed { try store.seal() }
            #expect(try store.view(project: 1).histories() == model.histories())
            store.close()
        }
        let store = try openStore(files)
        #expect(try store.view(project: 1).histories() == model.histories())
        // A seal drops the repeats it meets, unless a server's time leaves it open which row stands.
        let events = model.histories().reduce(0) { $0 + $1.events.count }
        #expect(sealed ? (events..<1_000).contains(store.stats.rows) : store.stats.rows == 1_000)
        #expect(store.stats.segments == (sealed ? 1 : 0))
        #expect(store.stats.replayedRecords == (sealed ? 0 : 5))
        #expect(try store.view(project: 1).newestTime == model.rows.map(\.time).max())
    }

    @Test func realFilesHoldTheSame() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/shard-0"
        let identity = StoreIdentity(clusterID: 1, shard: 0, shardCount: 1, epoch: 1)
        var random = SeededGenerator(2)
        var model = StoreModel()
        for round in 0..<3 {
            let store = try ShardStore.open(
                directory: path, files: POSIXFileSystem(), identity: identity, options: StoreOptions())
            let events = randomEvents(300, &random)
            _ = try store.put([request(events, sequence: UInt64(round))])
            model.rows += EventBatchBuilder(events).finish().events
            if round == 1 { try store.seal() }
            #expect(try store.view(project: 1).histories() == model.histories())
            #expect(throws: StoreError.self) {
                try ShardStore.open(
                    directory: path, files: POSIXFileSystem(), identity: identity, options: StoreOptions())
            }
            store.close()
        }
        var lines: [String] = []
        #expect(StoreVerifier.verify(directory: path, files: POSIXFileSystem()) { lines.append($0) })
        #expect(lines.contains { $0.hasPrefix("seg-00000002: project 1, ") })
        #expect(lines.contains { $0.hasPrefix("log-00000002: 1 records") })
    }

    @Test func usersWithManyRowsCrossBlocks() throws {
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        let big = (0..<9_000).map { event("big", $0 % 2 == 0 ? "even" : "odd", 10_000 + Int64($0 / 4), id: "\($0)") }
        let others = (0..<50).map { event("user\($0)", "even", Int64($0)) }
        _ = try store.put([request(big + others, sequence: 1)])
        try store.seal()
        _ = try store.put([request(Array(big[4_050..<4_150]), sequence: 2)])
        try store.seal()
        let view = try store.view(project: 1)
        let model = StoreModel(rows: big + others)
        #expect(try view.histories() == model.histories())
        #expect(try view.histories(events: ["odd"]) == model.histories(events: ["odd"]))
        var found = 0
        try view.scan(user: "big") { rows in
            found = rows.count
            return true
        }
        #expect(found == 9_000)
        #expect(StoreVerifier.verify(directory: "data", files: files.copy()) { _ in })
    }

    @Test func scansStopWhenTold() throws {
        let store = try openStore(SimulatedFileSystem())
        _ = try store.put([request((0..<5_000).map { event("u\($0)", "a", 1) }, sequence: 1)])
        var users = 0
        try store.view(project: 1).scan { _ in
            users += 1
            return users < 3
        }
        #expect(users == 3)
        let cancelled = #expect(throws: StoreError.self) {
            try store.view(project: 1).scan(isCancelled: { true }) { _ in true }
        }
        #expect(cancelled?.code == .cancelled)
    }

    @Test func usersAreToldApartByEveryByte() throws {
        let stems = ["", "a", "a\u{0}", "a\u{0}\u{0}", "ab", "b", "é"]
        let tails = ["", "\u{0}", "0123456789abcde", "0123456789abcdef", "0123456789abcdef\u{0}", "0123456789abcdefg"]
        let users = Set(stems.flatMap { stem in tails.map { ByteString(stem + $0) } }).filter { !$0.isEmpty }.sorted()
        let store = try openStore(SimulatedFileSystem())
        for round in 0..<3 {
            for part in 0..<2 {
                let mine = users.enumerated().filter { ($0.offset + round) % 2 == part }.map(\.element)
                let events = mine.map { Event(user: $0, name: "a", time: Int64(round)) }
                _ = try store.put([request(events, sequence: UInt64(round), part: UInt32(part))])
            }
            if round == 1 { try store.seal() }
        }
        let histories = try store.view(project: 1).histories()
        #expect(histories.map(\.user) == users)
        #expect(histories.allSatisfy { $0.events.map(\.time) == [0, 1, 2] })
    }

    @Test func projectsAreApart() throws {
        let store = try openStore(SimulatedFileSystem())
        _ = try store.put([
            request([event("u", "a", 1)], sequence: 1, project: 1),
            request([event("u", "b", 2)], sequence: 1, part: 1, project: 2),
        ])
        try store.seal()
        #expect(try store.view(project: 1).allEvents() == [event("u", "a", 1)])
        #expect(try store.view(project: 2).allEvents() == [event("u", "b", 2)])
        #expect(try store.view(project: 3).allEvents().isEmpty)
        #expect(try store.view(project: 2).eventNames() == ["b"])
    }

    @Test func valuesKeepEveryBit() throws {
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        let numbers: [Double] = [-0.0, 0, 0.1, -0.1, 1e15, 1e16, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 1 / 3, 123_456.789]
        for (i, number) in numbers.enumerated() {
            // Each alone in a page, and all together.
            let one = Event(
                user: "u", name: ByteString("e\(i)"), time: 1,
                properties: [.init("x", .double(number)), .init(ByteString("y\(i)"), .double(number))])
            _ = try store.put([request([one], sequence: UInt64(i))])
        }
        try store.seal()
        try store.compact(everything: true)
        let found = try store.view(project: 1).allEvents()
        for (event, number) in zip(found, numbers) {
            for property in event.properties {
                var bits: UInt64?
                if case .double(let value) = property.value { bits = value.bitPattern }
                #expect(bits == number.bitPattern, "\(number)")
            }
        }
        #expect(found.count == numbers.count)
    }

    /// `PROTOCOL.md` section 6: a property key may come twice in a row, also under two codes, and the last counts.
    @Test func theLastOfTwoPropertiesWithOneKeyIsStored() throws {
        let pair = Event(user: "u", name: "a", time: 1, properties: [.init("k", .integer(1)), .init("l", .integer(2))])
        var sameCode = EventBatchBuilder([pair]).finish()
        sameCode.propertyKey[1] = sameCode.propertyKey[0]
        var sameText = EventBatchBuilder([pair]).finish()
        sameText.keys = StringTable()
        for _ in 0..<2 { sameText.keys.append("k") }
        for batch in [sameCode, sameText] {
            let store = try openStore(SimulatedFileSystem())
            let results = try store.put([AppendRequest(project: 1, producer: 1, sequence: 1, part: 0, batch: batch)])
            #expect(try results.map { try $0.get() } == [AppendResult(accepted: 1)])
            #expect(try store.view(project: 1).allEvents().map(\.properties) == [[.init("k", .integer(2))]])
        }
    }

    @Test func batchesThatCouldNotBeReadBackAreRefused() throws {
        let store = try openStore(SimulatedFileSystem())
        var broken = EventBatchBuilder([event("u", "a", 1)]).finish()
        broken.name[0] = 7
        let long = Event(user: ByteString(String(repeating: "x", count: 513)), name: "a", time: 1)
        let results = try store.put([
            AppendRequest(project: 1, producer: 1, sequence: 1, part: 0, batch: broken),
            request([long], sequence: 2), request([event("u", "a", 1)], sequence: 3),
        ])
        #expect(results.map(\.errorCode) == [.invalid, .invalid, nil])
        let others = [
            event("u", "a", -1), event("u", "a", 1 << 60), event("", "a", 1), event("u", "", 1),
            Event(user: "u", name: "a", time: 1, properties: [.init("x", .double(.nan))]),
        ]
        for (i, other) in others.enumerated() {
            #expect(try store.put([request([other], sequence: UInt64(10 + i))]).map(\.errorCode) == [.invalid], "\(other)")
        }
        #expect(try store.view(project: 1).allEvents().count == 1)
        try store.seal()
        store.close()
    }
}

import EventStorage
import FunnelModel
import Testing

/// Random operations against a naive model; a failure names its seed.
struct RandomOperationTests {
    @Test(arguments: 0..<24)
    func storeAgreesWithTheModel(seed: Int) throws {
        var random = SeededGenerator(UInt64(seed))
        let files = SimulatedFileSystem()
        var options = StoreOptions()
        options.sealRows = [40, 300, 100_000][seed % 3]
        var store = try openStore(files, testIdentity, options)
        var models: [UInt32: StoreModel] = [:]
        var sent: [(AppendRequest, AppendResult)] = []
        for sequence in 0..<60 {
            let project = UInt32(Int.random(in: 1...2, using: &random))
            switch Int.random(in: 0..<12, using: &random) {
            case 0: try store.seal()
            case 1:
                store.close()
                store = try openStore(files, testIdentity, options)
            case 2 where !sent.isEmpty:
                let (old, result) = sent[Int.random(in: 0..<sent.count, using: &random)]
                var repeated = result
                repeated.repeated = true
                #expect(try store.put([old]).map { try $0.get() } == [repeated])
            case 3 where sequence % 4 == 0:
                let user = ByteString("longish-user-\(Int.random(in: 0..<12, using: &random))")
                try store.suppress(project: project, users: [user])
                models[project, default: StoreModel()].suppressed.insert(user)
            default:
                let group = (0..<Int.random(in: 1...3, using: &random)).map { part in
                    request(
                        randomEvents(Int.random(in: 0..<30, using: &random), &random), sequence: UInt64(sequence),
                        part: UInt32(part), project: project)
                }
                let results = try store.put(group).map { try $0.get() }
                for (request, result) in zip(group, results) {
                    models[project, default: StoreModel()].rows += request.batch.events
                    sent.append((request, result))
                }
            }
            if sequence % 6 == 5 { try compare(store, models, &random, seed) }
        }
        try compare(store, models, &random, seed)
        store.close()
        #expect(StoreVerifier.verify(directory: "data", files: files) { _ in }, "seed \(seed)")
    }

    private func compare(
        _ store: SimulatedStore, _ models: [UInt32: StoreModel], _ random: inout SeededGenerator, _ seed: Int
    ) throws {
        for (project, model) in models {
            let view = try store.view(project: project)
            let whole = model.histories()
            #expect(try view.histories() == whole, "seed \(seed)")
            var wanted = (0..<6).map { ByteString("name\($0)") }.shuffled(using: &random)
            wanted.removeLast(4)
            let some = model.histories(events: wanted)
            #expect(try view.histories(events: wanted) == some, "seed \(seed)")
            let place = ByteString("longish-user-\(Int.random(in: 0..<12, using: &random))")
            #expect(try view.histories(after: place) == model.histories(after: place), "seed \(seed)")
            let kept = try view.histories(keep: { $0 < place })
            #expect(kept == whole.filter { $0.user < place }, "seed \(seed)")
            var one: [Event] = []
            try view.scan(user: place) { rows in
                one = try (0..<rows.count).map(rows.row)
                for i in 0..<rows.count {
                    #expect(try rows.property(i, "n") == one[i].properties.first { $0.key == "n" }?.value)
                    #expect(try rows.property(i, "plan") == one[i].properties.first { $0.key == "plan" }?.value)
                    #expect(view.eventNames()[rows.event(i)] == one[i].name)
                }
                return true
            }
            #expect(one == whole.first { $0.user == place }?.events ?? [], "seed \(seed)")
        }
    }

    @Test func snapshotsDoNotChange() throws {
        let store = try openStore(SimulatedFileSystem())
        _ = try store.put([request([event("u", "a", 1)], sequence: 1)])
        let before = try store.view(project: 1)
        _ = try store.put([request([event("u", "b", 2)], sequence: 2)])
        try store.seal()
        try store.suppress(project: 1, users: ["u"])
        #expect(try before.allEvents() == [event("u", "a", 1)])
        #expect(before.eventNames() == ["a"])
        #expect(try store.view(project: 1).allEvents().isEmpty)
    }

    @Test func readersAndTheWriterGoOnTogether() async throws {
        var options = StoreOptions()
        options.sealRows = 200
        let store = try openStore(SimulatedFileSystem(), testIdentity, options)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                for sequence in 0..<60 {
                    let events = (0..<10).map { event("u\($0)", "a", Int64(sequence), id: "\(sequence)") }
                    _ = try store.put([request(events, sequence: UInt64(sequence))])
                }
            }
            for _ in 0..<2 {
                tasks.addTask {
                    var before = 0
                    while before < 600 {
                        let events = try store.view(project: 1).allEvents()
                        #expect(events.count % 10 == 0 && events.count >= before)
                        before = events.count
                        await Task.yield()
                    }
                }
            }
            try await tasks.waitForAll()
        }
        #expect(store.stats.seals == 3)
    }

    @Test func mergingRunsInMemoryKeepsEveryRow() throws {
        let store = try openStore(SimulatedFileSystem())
        var random = SeededGenerator(5)
        var model = StoreModel()
        for sequence in 0..<120 {
            let events = randomEvents(Int.random(in: 1...20, using: &random), &random)
            _ = try store.put([request(events, sequence: UInt64(sequence))])
            model.rows += EventBatchBuilder(events).finish().events
        }
        #expect(try store.view(project: 1).histories() == model.histories())
        #expect(store.stats.memtableRows == model.rows.count)
    }
}

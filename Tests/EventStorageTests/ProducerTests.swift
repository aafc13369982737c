import EventStorage
import FunnelModel
import Testing

/// Retries inside the system, and the limits of a project.
struct ProducerTests {
    @Test(arguments: [false, true], [false, true])
    func aRepeatIsToldTheFirstResultAndStoresNothing(sealed: Bool, reopened: Bool) throws {
        let files = SimulatedFileSystem()
        var options = StoreOptions()
        options.eventNamesMax = 1
        var store = try openStore(files, testIdentity, options)
        let first = request([event("u", "a", 1), event("u", "b", 2), event("u", "a", 3)], sequence: 5)
        let result = AppendResult(accepted: 2, rejected: [RejectedRow(row: 1, code: .tooManyEventNames)])
        #expect(try store.put([first]).map { try $0.get() } == [result])
        if sealed { try store.seal() }
        if reopened {
            store.close()
            store = try openStore(files, testIdentity, options)
        }
        var again = result
        again.repeated = true
        #expect(try store.put([first, first]).map { try $0.get() } == [again, again])
        #expect(try store.view(project: 1).allEvents() == [event("u", "a", 1), event("u", "a", 3)])
        #expect(store.stats.repeats == 2)
        // Another part or sequence is another append.
        let others = [request([event("u", "a", 1)], sequence: 5, part: 1), request([event("u", "a", 1)], sequence: 4)]
        #expect(try store.put(others).map { try $0.get().repeated } == [false, false])
        #expect(try store.view(project: 1).allEvents().count == 4)
    }

    @Test func aRepeatWithinOneGroupIsOne() throws {
        let store = try openStore(SimulatedFileSystem())
        let one = request([event("u", "a", 1)], sequence: 5)
        #expect(try store.put([one, one]).map { try $0.get().repeated } == [false, true])
        #expect(try store.view(project: 1).allEvents().count == 1)
        #expect(store.stats.syncs == 1)
    }

    @Test(arguments: [false, true])
    func rowsOfNewNamesBeyondTheLimitAreRejectedAndPropertiesOfNewKeysLeftOut(sealed: Bool) throws {
        let files = SimulatedFileSystem()
        var options = StoreOptions()
        options.eventNamesMax = 3
        options.propertyKeysMax = 2
        var store = try openStore(files, testIdentity, options)
        func keyed(_ name: String, _ keys: [String]) -> Event {
            let properties = keys.map { Event.Property(ByteString($0), .bool(true)) }
            return Event(user: "u", name: ByteString(name), time: 1, properties: properties)
        }
        let first = [
            keyed("a", ["k1"]), keyed("b", []), keyed("c", ["k2", "k3"]), keyed("c", ["k2"]), keyed("d", []),
            keyed("a", ["k2", "k1"]), keyed("a", ["k4"]),
        ]
        #expect(
            try store.put([request(first, sequence: 1)]).first?.get().rejected == [
                RejectedRow(row: 4, code: .tooManyEventNames)
            ])
        #expect(store.stats.propertiesLeftOut == 2 && store.stats.rejectedRows == [.tooManyEventNames: 1])
        if sealed { try store.seal() }
        store.close()
        store = try openStore(files, testIdentity, options)
        let second = [keyed("d", []), keyed("c", ["k1"]), keyed("c", ["k5"])]
        #expect(
            try store.put([request(second, sequence: 2)]).first?.get()
                == AppendResult(
                    accepted: 2, rejected: [RejectedRow(row: 0, code: .tooManyEventNames)]))
        #expect(store.stats.propertiesLeftOut == 1)
        #expect(try store.view(project: 1).eventNames() == ["a", "b", "c"])
        let keys = try store.view(project: 1).allEvents().map { $0.properties.map(\.key.string) }
        #expect(keys.map { $0.joined(separator: " ") }.sorted() == ["", "", "", "k1", "k1", "k1 k2", "k2", "k2"])
        // Another project has limits of its own, and a store opened with less keeps what it has.
        #expect(try store.put([request([keyed("z", [])], sequence: 3, project: 2)]).first?.get().accepted == 1)
        options.eventNamesMax = 1
        store.close()
        store = try openStore(files, testIdentity, options)
        #expect(try store.view(project: 1).allEvents().count == 8)
    }

    @Test func namesOfAFailedAppendDoNotCount() throws {
        let files = SimulatedFileSystem()
        var options = StoreOptions()
        options.eventNamesMax = 1
        let store = try openStore(files, testIdentity, options)
        files.inject(.fullFromWrite(0, partial: 5))
        #expect(throws: StoreError.self) { try store.put([request([event("u", "a", 1)], sequence: 1)]) }
        files.heal()
        #expect(try store.put([request([event("u", "b", 1)], sequence: 2)]).first?.get().accepted == 1)
        #expect(try store.view(project: 1).eventNames() == ["b"])
    }
}

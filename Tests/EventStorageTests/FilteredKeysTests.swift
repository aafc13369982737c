import EventStorage
import FunnelModel
import Testing

/// Keys under conditions, over segments of many pages and the memtable, against the rows of the model one by one.
struct FilteredKeysTests {
    private static let conditions: [[Predicate]] = [
        [Predicate(property: "plan", comparison: .equal, values: [.string("pro")])],
        [Predicate(property: "plan", comparison: .notEqual, values: [.string("pro")])],
        [Predicate(property: "n", comparison: .greater, values: [.integer(0)])],
        [
            Predicate(property: "n", comparison: .exists, values: []),
            Predicate(property: "plan", comparison: .isIn, values: [.string("free"), .integer(1)]),
        ],
        [Predicate(property: "ok", comparison: .notExists, values: [])],
        [Predicate(property: "none", comparison: .exists, values: [])],
        [Predicate(property: "none", comparison: .notIn, values: [.bool(true)])],
    ]

    private static func meets(_ event: Event, _ conditions: [Predicate]) -> Bool {
        conditions.allSatisfy { condition in condition.accepts(event.properties.last { $0.key == condition.property }?.value) }
    }

    /// Repeats with other properties lie in one page, in two segments, and in segment and memtable.
    @Test(arguments: 0..<8)
    func keysAreThoseOfTheRowsThatStand(seed: Int) throws {
        var random = SeededGenerator(40 + UInt64(seed))
        let store = try openStore(SimulatedFileSystem())
        var model = StoreModel()
        let serverTimed = seed % 4 == 3
        let size = seed % 2 == 0 ? 300 : 6_000
        for part in 0..<(1 + seed % 4) {
            var events = randomEvents(size, users: size / 5, &random)
            for i in events.indices {
                if !serverTimed { events[i].serverTimed = false }
                events[i].time += Int64(part % 2) * 2
            }
            _ = try store.append([request(events, sequence: UInt64(part))])
            model.rows += EventBatchBuilder(events).finish().events
            if part != 2, seed != 4 { try store.seal() }
        }
        if seed == 5 {
            try store.suppress(project: 1, users: ["longish-user-3", "longish-user-4"])
            model.suppressed = ["longish-user-3", "longish-user-4"]
        }
        let view = try store.view(project: 1)
        let histories = model.histories()
        let names = view.eventNames()
        let scan = view.selection(names)
        let times = try #require(scan.times)
        let layout = KeyLayout(unit: 1, base: times.lowerBound, timeBits: 8)
        for conditions in Self.conditions {
            let keyReader = scan.reader(layout)
            let mine = RowConditions(scan, conditions)
            for (number, name) in names.enumerated() {
                var found: Set<UInt64> = []
                for start in stride(from: 0, to: view.places.users, by: size / 9) {
                    let slice = start..<min(view.places.users, start + size / 9)
                    var rows = try keyReader.loadRows(number, places: slice, isOrdered: false)
                    try mine.filter(&rows)
                    let keys = (0..<rows.count).map { rows.keys[$0] }
                    if !scan.isServerTimed(number) {
                        var list = KeyList()
                        try keyReader.load(number, places: slice, where: mine, into: &list)
                        let quick = (0..<list.count).map { list[$0] }
                        #expect(quick == quick.sorted() && Set(quick) == Set(keys), "\(name) \(conditions) \(slice)")
                    }
                    found.formUnion(keys.map { $0 + UInt64(start) << UInt64(layout.timeBits) })
                }
                var want: Set<UInt64> = []
                for history in histories {
                    let place = try #require(view.place(of: history.user))
                    for event in history.events where event.name == name && Self.meets(event, conditions) {
                        want.insert(UInt64(place) << UInt64(layout.timeBits) + UInt64(event.time - layout.base))
                    }
                }
                #expect(found == want, "seed \(seed) \(name) \(conditions)")
            }
        }
    }
}

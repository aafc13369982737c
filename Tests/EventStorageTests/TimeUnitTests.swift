import EventStorage
import FunnelModel
import Testing

/// Names whose times are whole in different units share pages, packs and files.
struct TimeUnitTests {
    private static let start: Int64 = 1_700_000_000_000_000

    /// Rows of a name for each unit, few enough that all share one page, or so many that only the borders are shared.
    private static func events(rows: Int) -> [Event] {
        let units: [(name: String, unit: Int64)] = [("a", 1_000_000), ("b", 1), ("c", 1_000), ("d", 1_000_000), ("e", 1_000)]
        return units.flatMap { name, unit in
            (0..<rows).map { i in
                // Far apart now and then, so that times take more than 32 bits.
                event("u\(i % 7)", name, start / unit * unit + unit * Int64(i) + (unit == 1 && i % 5 == 0 ? 5_000_000_007 : 0), id: "\(i)")
            }
        }
    }

    @Test(arguments: [3, 700])
    func namesOfOneUnitAreReadRightBesideThoseOfAnother(rows: Int) throws {
        let files = SimulatedFileSystem()
        var store = try openStore(files)
        let events = Self.events(rows: rows)
        _ = try store.put([request(Array(events[..<(events.count / 2)]), sequence: 1)])
        try store.seal()
        _ = try store.put([request(Array(events[(events.count / 2)...]), sequence: 2)])
        try store.seal()
        let model = StoreModel(rows: events)
        for round in 0..<3 {
            let view = try store.view(project: 1)
            for name: ByteString in ["a", "b", "c", "d", "e"] {
                #expect(try view.histories(events: [name]) == model.histories(events: [name]), "\(name), round \(round)")
            }
            #expect(try view.histories() == model.histories(), "round \(round)")
            if round == 0 { try store.compact(everything: true) }
            store.close()
            store = try openStore(files)
        }
        #expect(store.stats.segments == 1)
    }

    @Test func monthsBeginAndEndAtMidnight() throws {
        let month: Int64 = 1_706_745_600_000_000  // 2024-02-01
        let leap: Int64 = 1_709_251_200_000_000  // 2024-03-01
        let store = try openStore(SimulatedFileSystem())
        let times = [month - 1, month, month + 1, leap - 1, leap, leap + 1_000, month - 1_000_000, leap - 1_000_000]
        let events = times.enumerated().map { event("u\($0 % 2)", "a", $1, id: "\($0)") }
        _ = try store.put([request(events, sequence: 1)])
        try store.seal()
        #expect(store.stats.segments == 3 && store.stats.segmentRows == events.count)
        #expect(try store.view(project: 1).histories() == StoreModel(rows: events).histories())
        try store.compact(everything: true)
        #expect(store.stats.segments == 3)
        #expect(try store.view(project: 1).histories() == StoreModel(rows: events).histories())
    }
}

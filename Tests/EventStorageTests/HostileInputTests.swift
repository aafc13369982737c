import EventStorage
import FunnelModel
import Testing

/// Input that is allowed but meant to hurt is stored and read right. What once took quadratic time shows here as a suite
/// that does not end.
struct HostileInputTests {
    @Test func thousandsOfNamesAreSealedAndRead() throws {
        let store = try openStore(SimulatedFileSystem())
        for part in 0..<4 {
            let events = (0..<1_500).map { event("u\($0 % 50)", "name\(part * 1_500 + $0)", Int64($0)) }
            _ = try store.put([request(events, sequence: 1, part: UInt32(part))])
        }
        let view = try store.view(project: 1)
        let names = view.eventNames().count
        #expect(names == 6_000)
        try store.seal()
        let scan = try store.view(project: 1).selection(nil)
        let keyReader = scan.reader(KeyLayout(unit: scan.unit, base: 0, timeBits: 20))
        var list = KeyList()
        try keyReader.load(Array(0..<names), places: 0..<50, into: &list)
        #expect(list.count == 6_000 && (1..<6_000).allSatisfy { list[$0 - 1] <= list[$0] })
    }

    @Test func manyListsAreMergedWithoutSortingThemAnew() {
        var buffers = KeyBuffers()
        var keys = SeededGenerator(4)
        var all: [UInt64] = []
        for _ in 0..<20_000 {
            let mine = (0..<Int.random(in: 0...2, using: &keys)).map { _ in UInt64.random(in: 0..<(1 << 40), using: &keys) }.sorted()
            all += mine
            buffers.add(KeyList(mine))
        }
        var list = KeyList()
        buffers.merge(into: &list)
        #expect((0..<list.count).map { list[$0] } == all.sorted())
    }

    @Test func aUserWithAllRowsAtOneTimeAndBatchesInReverseAreRead() throws {
        let store = try openStore(SimulatedFileSystem())
        var model = StoreModel()
        for part in 0..<3 {
            let events = (0..<1_000).map { i in
                let time: Int64 = i % 3 == 0 ? 9_000 - Int64(i) : 5
                return event("u", i % 2 == 0 ? "a" : "b", time, id: i % 5 == 0 ? "" : "\(part)-\(i)")
            }
            _ = try store.put([request(events, sequence: 1, part: UInt32(part))])
            model.rows += events
            if part == 1 { try store.seal() }
        }
        #expect(try store.view(project: 1).histories() == model.histories())
        try store.seal()
        try store.compact(everything: true)
        #expect(try store.view(project: 1).histories() == model.histories())
    }

    /// A user's rows go from name to name, and each name has pages of its own.
    @Test func rowsThatGoFromPageToPageAreReadOnce() throws {
        let store = try openStore(SimulatedFileSystem())
        let events = (0..<8_000).map { event("u", $0 % 2 == 0 ? "even" : "odd", Int64($0), p: Int64($0)) }
        _ = try store.put([request(events, sequence: 1)])
        try store.seal()
        var sum: Int64 = 0
        try store.view(project: 1).scan { rows in
            for i in 0..<rows.count { if case .integer(let p)? = try rows.property(i, "p") { sum += p } }
            return true
        }
        #expect(sum == 8_000 * 7_999 / 2)
    }

    /// Batches keep a text once, however many rows have it; so must a seal and a merge.
    @Test func aLongTextOfManyRowsIsNotCopiedForEach() throws {
        let store = try openStore(SimulatedFileSystem())
        let text = PropertyValue.string(ByteString([UInt8](repeating: 120, count: 8_000)))
        for part in 0..<2 {
            let events = (0..<9_000).map { Event(user: "u", name: "a", time: Int64($0), properties: [.init("x", text)]) }
            _ = try store.put([request(events, sequence: 1, part: UInt32(part))])
            try store.seal()
        }
        try store.compact(everything: true)
        #expect(store.stats.segmentBytes < 400_000 && store.stats.segmentRows == 18_000)
        #expect(try store.view(project: 1).userRows(["a"]).each(in: 0..<1) { try $0.property(17_000, "x") == text })
    }
}

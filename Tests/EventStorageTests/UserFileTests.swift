import EventStorage
import FunnelModel
import Testing

/// Ids come back from user files as they were, and are found there, whatever form the file gives them.
struct UserFileTests {
    /// All ids are found at the places that have them, and ids like them are not.
    private func expectSound(_ store: SimulatedStore, _ ids: [ByteString], absent: [ByteString], _ what: String) throws {
        let view = try store.view(project: 1)
        #expect(view.places.users == ids.count, "\(what)")
        #expect(Set(view.ids(ofPlaces: 0..<view.places.users)) == Set(ids), "\(what)")
        for id in ids {
            let place = view.place(of: id)
            #expect(place.map { view.ids(ofPlaces: [$0]) } == [id], "\(what): \(id)")
        }
        for id in absent { #expect(view.place(of: id) == nil, "\(what): \(id)") }
        expectFirst(view, ids.sorted(), what)
    }

    /// Of all ids, told in two parts.
    private func expectFirst(_ view: StoreView, _ sorted: [ByteString], _ what: String) {
        let middle = sorted.count / 2
        for (after, limit) in [("", 0), ("", 1), ("", 10_000), (sorted[middle], 3), (sorted[middle / 2], 100)] as [(ByteString, Int)] {
            var first = FirstIDs(view, after: after, limit: limit)
            first.add(Array(middle..<sorted.count))
            first.add(Array(0..<middle))
            #expect(first.finish() == Array(sorted.filter { $0 > after }.prefix(limit)), "\(what): \(limit) after \(after)")
        }
    }

    /// In memory, from one file, from the file opened anew, from two, and from those merged; with the bytes of the one.
    @discardableResult
    private func check(_ ids: [ByteString], absent: [ByteString] = [], _ what: String) throws -> Int {
        let files = SimulatedFileSystem()
        let events = ids.map { Event(user: $0, name: "a", time: 1) }
        var store = try openStore(files)
        _ = try store.put([request(events, sequence: 1)])
        try expectSound(store, ids, absent: absent, what)
        try store.seal()
        let bytes = store.stats.userFileBytes
        try expectSound(store, ids, absent: absent, what)
        store.close()
        store = try openStore(files)
        try expectSound(store, ids, absent: absent, what)
        let more = (0..<10).map { ByteString("another \($0)") }
        _ = try store.put([request(more.map { Event(user: $0, name: "a", time: 2) }, sequence: 2)])
        try store.seal()
        #expect(store.stats.userFiles == 2)
        try expectSound(store, ids + more, absent: absent, what)
        try store.compact(everything: true)
        #expect(store.stats.userFiles == 1)
        try expectSound(store, ids + more, absent: absent, what)
        store.close()
        try expectSound(try openStore(files), ids + more, absent: absent, what)
        return bytes
    }

    private static func text(_ count: Int, of symbols: String, _ random: inout SeededGenerator) -> ByteString {
        let symbols = Array(symbols.utf8)
        return ByteString((0..<count).map { _ in symbols[Int.random(in: symbols.indices, using: &random)] })
    }

    private static func uuid(_ random: inout SeededGenerator) -> String {
        [8, 4, 4, 4, 12].map { text($0, of: "0123456789abcdef", &random).string }.joined(separator: "-")
    }

    @Test func idsOfEveryLengthAndAlphabet() throws {
        var random = SeededGenerator(1)
        let base = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
        for symbols in [1, 2, 16, 17, 32, 33, 64].map({ String(base.prefix($0)) }) + [base + "äöü.@", "\u{1}\u{7F}\u{10FFFF}"] {
            let ids = Set((1...512).map { Self.text($0, of: symbols, &random) })
            try check(Array(ids), absent: [Self.text(600, of: symbols, &random), "", "#"], symbols)
        }
    }

    @Test func uuidsOfEitherCaseAndTextsLikeThem() throws {
        var random = SeededGenerator(2)
        let lower = (0..<300).map { _ in Self.uuid(&random) }
        let all = lower.map { ByteString($0) }
        try check(all, absent: lower.map { ByteString($0.uppercased()) }, "lower")
        try check(lower.map { ByteString($0.uppercased()) }, absent: all, "upper")
        let digits = lower.map { ByteString($0.filter { !$0.isLetter }) }
        try check(all + lower.map { ByteString($0.uppercased()) } + digits, "both")
        let sample = "01234567-89ab-4cde-8f01-23456789abcd"
        let like = [
            sample, sample.uppercased(), "01234567-89aB-4cde-8f01-23456789abcd", "01234567-89ag-4cde-8f01-23456789abcd",
            "01234567-89ab-4cde-8f01023456789abcd", "0123456-789ab-4cde-8f01-23456789abcd", sample + "0", String(sample.dropLast()),
            "00000000-0000-0000-0000-000000000000", "0123456789ab4cde8f0123456789abcd", "0123456789abcdef", "u1",
        ].map { ByteString($0) }
        try check(like, absent: ["01234567-89ab-4cde-8f01-23456789abce", "01234567 89ab-4cde-8f01-23456789abcd"], "like")
        for id in like { try check([id], absent: like.filter { $0 != id }, "alone") }
    }

    @Test(arguments: [1, 2, 3, 1_000, 20_000])
    func numbersOfUsers(count: Int) throws {
        let bytes = try check(
            (0..<count).map { ByteString("u\($0)") }, absent: (count..<(count + 50)).map { ByteString("u\($0)") }, "\(count)")
        if count == 20_000 { #expect(bytes < 20_000 * 8) }
    }

    /// A bucket of a thousand has wider tables than one of few.
    @Test func manyUsersOfOneBucket() throws {
        let ids = (0..<1_300_000).lazy.map { ByteString("u\($0)") }.filter { ClusterMap.bucket(ofUser: $0) == 7 }
        let all = Array(ids.prefix(1_124))
        try check(Array(all[..<1_024]), absent: Array(all[1_024...]), "one bucket")
    }

    /// Sizes that step, so that offsets lie far from a line.
    @Test func idsOfOneBucketFromShortToLong() throws {
        let ids = (0..<300_000).lazy.map { ByteString("v\($0)" + String(repeating: "x", count: $0 > 150_000 ? 500 : 0)) }
        try check(Array(ids.filter { ClusterMap.bucket(ofUser: $0) == 8 }.prefix(400)), "steps")
    }
}

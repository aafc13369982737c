import FunnelModel
import FunnelProtocol
import TestSupport
import Testing

struct ExactTimesTests {
    private static func result(_ lists: [[UInt64]]) -> PartialResult {
        var result = PartialResult(steps: lists.count + 1, times: true, buckets: [0..<Limits.buckets])
        result.counts = Array(repeating: 1 << 20, count: lists.count + 1)
        for (i, list) in lists.enumerated() {
            result.fromFirst[i + 1] = TimeSummary(
                count: UInt64(list.count), sum: list.reduce(0) { $0 + UInt128($1) }, values: .exact([list]))
        }
        return result
    }

    @Test func asManyAsAreKeptComeBackInOrder() throws {
        var random = SplitMix64(seed: 51)
        let lists = [0, 1, 9, 10, 11, 3_000, Limits.exactTimesPerStep].map { count in
            (0..<count).map { _ in random.next() >> UInt64(4 + random.below(60)) }.sorted()
        }
        let sent = Self.result(lists)
        #expect(try PartialResult(body: sent.body) == sent)
    }

    @Test func everyCutIsAnError() {
        var random = SplitMix64(seed: 52)
        let body = Self.result([(0..<60).map { _ in random.next() >> UInt64(10 + random.below(50)) }.sorted(), [], [3]]).body
        for end in 0..<body.count { #expect(throws: ByteError.self) { try PartialResult(body: Array(body[..<end])) } }
        #expect(throws: ByteError.self) { try PartialResult(body: body + [0]) }
    }

    /// In the middle of many, where bounds are not checked one by one, and at the end.
    @Test(arguments: [0, 20, 49])
    func timesOutOfRangeAreRefused(place: Int) {
        var list = (0..<50).map { UInt64($0) }
        for i in place..<50 { list[i] = 1 << 60 }
        #expect(throws: ByteError.self) { try PartialResult(body: Self.result([list]).body) }
        for i in place..<50 { list[i] = .max }
        #expect(throws: ByteError.self) { try PartialResult(body: Self.result([list]).body) }
        for i in place..<50 { list[i] = (1 << 60) - 1 }
        #expect(throws: Never.self) { try PartialResult(body: Self.result([list]).body) }
    }

    @Test func randomBytesBehindTheHeaderNeverTrap() {
        var random = SplitMix64(seed: 53)
        let body = Self.result([(0..<200).map { _ in random.next() >> 20 }.sorted()]).body
        for _ in 0..<3_000 {
            var mutant = body
            for _ in 0...random.below(4) { mutant[random.below(mutant.count)] = UInt8(random.below(256)) }
            guard let read = try? PartialResult(body: mutant) else { continue }
            #expect((try? PartialResult(body: read.body)) == read)
        }
    }
}

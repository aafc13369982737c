import FunnelModel
import TestSupport
import Testing

struct KeyBuffersTests {
    /// Lists of any sizes beside each other, equal keys among them.
    @Test func mergedListsAreSorted() {
        var random = SplitMix64(seed: 3)
        for _ in 0..<2_000 {
            let bound = random.pick([3, 50, 1_000_000])
            let lists = (0..<(1 + random.below(4))).map { _ in
                (0..<random.pick([0, 1, 2, 7, 40, 400])).map { _ in UInt64(random.below(bound)) }.sorted()
            }
            var buffers = KeyBuffers()
            for list in lists { buffers.add(KeyList(list)) }
            var merged = KeyList()
            buffers.merge(into: &merged)
            #expect((0..<merged.count).map { merged[$0] } == lists.flatMap(\.self).sorted())
        }
    }

    @Test func whatLiesBetweenFewKeysIsTold() {
        var random = SplitMix64(seed: 4)
        for _ in 0..<2_000 {
            let few = (0..<random.below(5)).map { _ in UInt64(random.below(30)) }.sorted()
            let many = (0..<random.below(100)).map { _ in UInt64(random.below(30)) }.sorted()
            for afterEqual in [false, true] {
                var places: [Int] = []
                var end = 0
                KeyList(few).interleave(with: KeyList(many), afterEqual: afterEqual) { n, range in
                    #expect(n == places.count && range.lowerBound == end)
                    places.append(range.upperBound)
                    end = range.upperBound
                }
                let wanted = few.map { key in many.count { afterEqual ? $0 <= key : $0 < key } }
                #expect(places == wanted + [many.count])
            }
        }
    }
}

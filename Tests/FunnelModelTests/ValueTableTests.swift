import FunnelModel
import TestSupport
import Testing

struct ValueTableTests {
    /// Values of all kinds: equal texts of different kinds, prefixes of each other, zero bytes, and common beginnings over several
    /// words.
    static func value(_ random: inout SplitMix64) -> PropertyValue {
        switch random.below(8) {
        case 0: .bool(random.chance(50))
        case 1: .integer(random.pick([.min, .max, 0, -1, 10, Int64(random.below(200))]))
        case 2: .double(random.pick([0.5, -0.5, 1e300, 2, -0.0, Double(random.below(100)) / 4]))
        case 3: .string(ByteString(String(random.below(200))))
        case 4: .string(random.pick(["", "true", "0.5", "1e+300", "\u{E9}", "-1"]))
        case 5: .string(ByteString((0..<random.below(20)).map { _ in UInt8(random.below(2)) }))
        default: .string(ByteString(String(repeating: "common", count: random.below(5)) + String(random.below(50))))
        }
    }

    private static func isBefore(_ a: PropertyValue, _ b: PropertyValue) -> Bool {
        if a.textBytes != b.textBytes { return a.textBytes.lexicographicallyPrecedes(b.textBytes) }
        if case .string = a { return false }
        if case .string = b { return true }
        return false
    }

    @Test func valuesAreSortedAsTextAndFound() {
        var random = SplitMix64(seed: 0x7AB1)
        for _ in 0..<300 {
            let values = (0..<random.below(200)).map { _ in Self.value(&random).canonical }
            let table = ValueTable(values)
            #expect(table.indices.map { table[$0] } == values)
            #expect(table.indices.allSatisfy { table.wireBytes($0) == values[$0].wireBytes })
            // Equal values keep their order.
            let order = values.indices.sorted { Self.isBefore(values[$0], values[$1]) }
            #expect(table.sorted() == order)
            #expect(values.sortedAsText() == order.map { values[$0] })
            #expect(table.isAscending() == zip(values, values.dropFirst()).allSatisfy { Self.isBefore($0, $1) })

            let sorted = ValueTable(Set(values).sortedAsText())
            #expect(sorted.isAscending())
            for value in values + (0..<20).map({ _ in Self.value(&random) }) {
                #expect(sorted.index(of: value) == sorted.indices.first { sorted[$0] == value.canonical })
            }
            let picked = (0..<random.below(10)).compactMap { _ in values.indices.randomElement(using: &random) }
            #expect(table.gather(picked) == ValueTable(picked.map { values[$0] }))
        }
    }

    @Test func longTextsThatDifferAtTheEndAreSorted() {
        let prefix = String(repeating: "x", count: Limits.propertyValueBytes - 3)
        let values = (100..<200).map { PropertyValue.string(ByteString(prefix + String($0))) }
        #expect(ValueTable(values.reversed()).sorted() == Array((0..<100).reversed()))
        #expect(values.reversed().sortedAsText() == values)
    }

    @Test func theLeadingAreTheLargestAndOfEqualOnesTheFirst() {
        var random = SplitMix64(seed: 0x7AB2)
        for _ in 0..<300 {
            let most = random.pick([1, 3, 1_000])
            let users = (0..<random.below(random.pick([20, 5_000]))).map { _ in UInt64(random.below(most)) }
            let sorted = users.indices.sorted { users[$0] != users[$1] ? users[$0] > users[$1] : $0 < $1 }
            let n = random.below(30)
            #expect(users.leading(n) == Array(sorted.prefix(n)))
            #expect(users.nthLargest(n + 1) == sorted.prefix(n + 1).last.map { users[$0] })
        }
        #expect([UInt64]().nthLargest(1) == nil && [3, 4].leading(0) == [])
    }

    @Test func codesAreThoseOfADictionary() {
        var random = SplitMix64(seed: 0x7AB3)
        var (one, two) = (ValueInterner(), ValueInterner())
        var codes: [PropertyValue: Int] = [:]
        for _ in 0..<20_000 {
            let value = Self.value(&random)
            if random.chance(20) { #expect(one.find(value) == codes[value.canonical]) }
            let expected = codes[value.canonical] ?? codes.count
            codes[value.canonical] = expected
            #expect(one.code(value) == expected)
        }
        #expect(one.count == codes.count && one.wireBytes == codes.keys.reduce(0) { $0 + $1.wireBytes })
        var table = ValueTable()
        for code in 0..<one.count {
            one.append(code, to: &table)
            #expect(codes[table[code]] == code)
            // The other interner has them in reverse.
            _ = two.code(one.count - 1 - code, of: one)
        }
        #expect(codes.allSatisfy { two.find($0.key) == one.count - 1 - $0.value } && two.wireBytes == one.wireBytes)
    }
}

import EventStorage
import FunnelModel
import Testing

/// A condition on a column page's bytes against the same condition on its values one by one.
struct ColumnTestTests {
    /// Values that make a writer choose each of its forms.
    enum Kind: String, CaseIterable {
        case oneString, runsOfStrings, packedStrings, distinctStrings, hexStrings, uuids, longStrings
        case oneInteger, runsOfIntegers, packedIntegers, wideIntegers, integersAtTheEnd
        case decimals, runsOfDecimals, doubles, oddDoubles
        case oneBoolean, booleans
        case mixed, mixedInRuns

        func value(_ i: Int, _ random: inout SeededGenerator) -> PropertyValue {
            func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }
            switch self {
            case .oneString: return .string("only")
            case .runsOfStrings: return .string(ByteString("run\(i / 17 % 5)"))
            case .packedStrings: return .string(ByteString("s\(below(300))"))
            case .distinctStrings: return .string(ByteString(String(repeating: "~", count: below(9)) + "\(i)"))
            case .hexStrings: return .string(ByteString(String(0x1000 + below(40), radix: 16)))
            case .uuids: return .string(ByteString("01234567-89ab-cdef-0123-456789abcde\(below(10))"))
            case .longStrings: return .string(ByteString(String(repeating: "path/", count: 30) + "\(below(20))"))
            case .oneInteger: return .integer(7)
            case .runsOfIntegers: return .integer(Int64(i / 9 % 4) - 2)
            case .packedIntegers: return .integer(Int64(below(1_000)) - 500)
            case .wideIntegers: return .integer([.min, .max, 0, -1, Int64(below(9)), 1 << 53, 1 << 53 + 1][below(7)])
            case .integersAtTheEnd: return .integer(.max - Int64(below(5)))
            case .decimals: return .double(Double(below(10_000)) / 100)
            case .runsOfDecimals: return .double(Double(i / 11 % 3) / 2)
            case .doubles: return .double(Double.random(in: -1...1, using: &random))
            case .oddDoubles:
                let odd: [Double] = [0, -0.0, .infinity, -.infinity, .nan, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 0x1p53, 1]
                return .double(odd[below(odd.count)])
            case .oneBoolean: return .bool(true)
            case .booleans: return .bool(below(2) == 0)
            case .mixed: return Kind.allCases[below(Self.plainKinds)].value(i, &random)
            case .mixedInRuns: return [Kind.booleans, .decimals, .runsOfIntegers, .runsOfStrings][i / 100 % 4].value(i, &random)
            }
        }

        private static let plainKinds = 18
    }

    static func page(_ kind: Kind, rows: Int, gaps: Bool, _ random: inout SeededGenerator) -> (bytes: [UInt8], values: ColumnValues) {
        var values = ColumnValues()
        for row in 0..<rows where !gaps || row == 0 || Bool.random(using: &random) {
            let row32 = UInt32(row)
            switch kind.value(row, &random) {
            case .string(let text): values.append(row: row32, string: text.bytes[...])
            case .integer(let number): values.append(row: row32, tag: EventBatch.Tag.integer, bits: UInt64(bitPattern: number))
            case .double(let number): values.append(row: row32, tag: EventBatch.Tag.double, bits: number.bitPattern)
            case .bool(let flag): values.append(row: row32, tag: EventBatch.Tag.bool, bits: flag ? 1 : 0)
            }
        }
        return (ColumnPage.encode(values, 0..<values.rows.count, firstRow: 0, pageRows: rows), values)
    }

    /// Operands from the page, beside its values, and of other kinds.
    static func predicates(_ values: ColumnValues, _ random: inout SeededGenerator) -> [Predicate] {
        var operands: [PropertyValue] = [
            .string(""), .string("run3"), .integer(0), .double(0.5), .double(.nan), .bool(true), .double(1e300),
        ]
        for _ in 0..<4 {
            let value = values.value(Int.random(in: 0..<values.rows.count, using: &random))
            operands.append(value)
            switch value {
            case .string(let text): operands += [.string(ByteString(text.bytes.prefix(3))), .string(ByteString(text.bytes + [0]))]
            case .integer(let number): operands += [.integer(number &+ 1), .double(Double(number)), .double(Double(number) + 0.5)]
            case .double(let number): operands += [.double(number.nextUp), .integer(Int64(exactly: number.rounded()) ?? 3)]
            case .bool(let flag): operands.append(.bool(!flag))
            }
        }
        return Predicate.Comparison.allCases.flatMap { comparison -> [Predicate] in
            switch comparison {
            case .exists, .notExists: return [Predicate(property: "p", comparison: comparison, values: [])]
            case .isIn, .notIn:
                return (0..<4).map { _ in
                    let values = (0..<6).map { _ in operands.randomElement(using: &random) ?? .bool(true) }
                    return Predicate(property: "p", comparison: comparison, values: values)
                }
            default: return operands.map { Predicate(property: "p", comparison: comparison, values: [$0]) }
            }
        }
    }

    /// Each value by itself.
    static func plainly(_ predicate: Predicate, _ values: ColumnValues, rows: Int) -> [UInt8] {
        var flags = [UInt8](repeating: predicate.accepts(nil) ? 1 : 0, count: rows)
        for i in values.rows.indices { flags[Int(values.rows[i])] = predicate.accepts(values.value(i)) ? 1 : 0 }
        return flags
    }

    @Test(arguments: Kind.allCases)
    func everyFormAndOperatorAgreesWithTheValues(kind: Kind) throws {
        var random = SeededGenerator(31)
        for rows in [1, 2, 31, 255, 256, 257, 1_000, 4_095, 4_096] {
            for gaps in [false, true] {
                let (bytes, values) = Self.page(kind, rows: rows, gaps: gaps, &random)
                let decoded = try ColumnPage.decode(bytes, pageRows: rows)
                #expect(decoded.rows == values.rows)
                for predicate in Self.predicates(values, &random) {
                    let flags = try ColumnTest(predicate).flags(bytes, pageRows: rows)
                    let want = Self.plainly(predicate, decoded, rows: rows)
                    #expect(Array(flags.prefix(rows)) == want, "\(kind) \(rows) \(gaps) \(predicate)")
                }
            }
        }
    }

    /// A damaged page is an error to both readers, or has the same values to both.
    @Test(arguments: Kind.allCases)
    func damagedPagesAreErrorsAsTheyAreToAReaderOfValues(kind: Kind) {
        var random = SeededGenerator(32)
        for round in 0..<60 {
            let rows = [1, 40, 300, 4_096][round % 4]
            let (sound, values) = Self.page(kind, rows: rows, gaps: round % 8 > 3, &random)
            let predicates = Self.predicates(values, &random)
            for _ in 0..<20 {
                var bytes = sound
                if Int.random(in: 0..<5, using: &random) == 0 { bytes.removeLast(Int.random(in: 1...bytes.count, using: &random)) }
                for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
                    // Mostly where the forms stand.
                    let bound = Bool.random(using: &random) ? min(24, bytes.count) : bytes.count
                    let byte = [0, 1, 2, 0xFF, UInt8.random(in: 0...255, using: &random)].randomElement(using: &random) ?? 0
                    bytes[Int.random(in: 0..<bound, using: &random)] = byte
                }
                let decoded = try? ColumnPage.decode(bytes, pageRows: rows)
                let predicate = predicates.randomElement(using: &random) ?? Predicate(property: "p", comparison: .exists, values: [])
                let flags = try? ColumnTest(predicate).flags(bytes, pageRows: rows)
                #expect(
                    flags.map { Array($0.prefix(rows)) } == decoded.map { Self.plainly(predicate, $0, rows: rows) }, "\(kind) \(predicate)")
            }
        }
    }
}

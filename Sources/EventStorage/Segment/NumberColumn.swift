import Codec
import FunnelModel

/// Numbers of a column page. Integers are 32-bit offsets from their min, or stored as they are. Doubles are whole numbers
/// divided by a power of ten if that is exact to the last bit (after A. Afroozeh et al., "ALP: Adaptive Lossless
/// floating-Point Compression", 2023), or stored as they are.
enum NumberColumn {
    private enum Form: UInt8 { case above, plain }
    private static let powers: [Double] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000]

    static func encode(_ values: [Int64], into out: inout [UInt8]) {
        var writer = ByteWriter()
        let least = values.min() ?? 0
        if let most = values.max(), UInt64(bitPattern: most &- least) <= UInt64(UInt32.max) {
            writer.integer(Form.above.rawValue)
            writer.integer(least)
            out.append(contentsOf: writer.bytes)
            IntegerColumn.encode(values.map { UInt32(truncatingIfNeeded: $0 &- least) }, into: &out)
        } else {
            writer.integer(Form.plain.rawValue)
            for value in values { writer.integer(value) }
            out.append(contentsOf: writer.bytes)
        }
    }

    /// Numbers as they are stored.
    enum Values {
        /// The min, and what is to be added to it, modulo 2^64.
        case above(Int64, IntegerColumn.Values)
        case plain([Int64])

        func expanded(count: Int) -> [Int64] {
            switch self {
            case .above(let least, let values): IntegerColumn.expand(values, count: count).map { least &+ Int64($0) }
            case .plain(let values): values
            }
        }
    }

    static func read(_ reader: inout ByteReader, count: Int) throws(ByteError) -> Values {
        let form: UInt8 = try reader.integer("integers")
        switch Form(rawValue: form) {
        case .above: return .above(try reader.integer("least integer"), try IntegerColumn.read(&reader, count: count, "integers"))
        case .plain:
            var values: [Int64] = []
            values.reserveCapacity(count)
            for _ in 0..<count { values.append(try reader.integer("integers")) }
            return .plain(values)
        case nil: throw ByteError(offset: reader.offset, reason: "integer form \(form) is unknown")
        }
    }

    static func decode(_ reader: inout ByteReader, count: Int) throws(ByteError) -> [UInt64] {
        try read(&reader, count: count).expanded(count: count).map { UInt64(bitPattern: $0) }
    }

    /// Encodes doubles with the min power of ten that is exact for all of them, or else their bits.
    static func encode(doubles values: [Double], into out: inout [UInt8]) {
        for (exponent, power) in powers.enumerated() {
            guard let scaled = scaled(values, power) else { continue }
            out.append(UInt8(exponent))
            return encode(scaled, into: &out)
        }
        out.append(.max)
        encode(values.map { Int64(bitPattern: $0.bitPattern) }, into: &out)
    }

    private static func scaled(_ values: [Double], _ power: Double) -> [Int64]? {
        var scaled: [Int64] = []
        scaled.reserveCapacity(values.count)
        for value in values {
            let multiple = (value * power).rounded()
            guard multiple.magnitude < 1e15 else { return nil }
            // Tested on the integer, which has no minus zero.
            let integer = Int64(multiple)
            guard (Double(integer) / power).bitPattern == value.bitPattern else { return nil }
            scaled.append(integer)
        }
        return scaled
    }

    /// Reads the power of ten that the numbers after it are divided by; nil if they are the bits of doubles.
    static func power(_ reader: inout ByteReader) throws(ByteError) -> Double? {
        let exponent: UInt8 = try reader.integer("doubles")
        if exponent == .max { return nil }
        guard exponent < powers.count else { throw ByteError(offset: reader.offset, reason: "exponent \(exponent) of doubles") }
        return powers[Int(exponent)]
    }

    static func decodeDoubles(_ reader: inout ByteReader, count: Int) throws(ByteError) -> [UInt64] {
        let power = try power(&reader)
        let values = try decode(&reader, count: count)
        guard let power else { return values }
        return values.map { (Double(Int64(bitPattern: $0)) / power).bitPattern }
    }
}

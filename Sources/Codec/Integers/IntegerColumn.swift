import FunnelModel

/// A column of 32-bit integers in the shortest of three forms: all equal, a block width for each 256 values, or runs of
/// equal values. Layout: `Protocol/SEGMENT.md`, "Integers".
package enum IntegerColumn {
    private enum Form: UInt8 { case constant, packed, runs }

    /// Appends a column in the shortest form.
    package static func encode(_ values: [UInt32], into out: inout [UInt8]) {
        guard let first = values.first else {
            out.append(Form.constant.rawValue)
            return append(UInt32(0), &out)
        }
        var runs = 1
        for i in 1..<values.count where values[i] != values[i - 1] { runs += 1 }
        if runs == 1 {
            out.append(Form.constant.rawValue)
            return append(first, &out)
        }
        if runs * 2 < values.count {
            let (heads, lengths) = self.runs(of: values, runs)
            if 4 + packedBytes(heads) + packedBytes(lengths) < packedBytes(values) {
                out.append(Form.runs.rawValue)
                append(UInt32(truncatingIfNeeded: heads.count), &out)
                pack(heads, &out)
                return pack(lengths, &out)
            }
        }
        out.append(Form.packed.rawValue)
        pack(values, &out)
    }

    private static func runs(of values: [UInt32], _ count: Int) -> (heads: [UInt32], lengths: [UInt32]) {
        var heads: [UInt32] = []
        var lengths: [UInt32] = []
        heads.reserveCapacity(count)
        lengths.reserveCapacity(count)
        var start = 0
        for i in 1...values.count where i == values.count || values[i] != values[start] {
            heads.append(values[start])
            lengths.append(UInt32(truncatingIfNeeded: i - start))
            start = i
        }
        return (heads, lengths)
    }

    /// A column as it is stored.
    package enum Values: Sendable {
        /// The value of all.
        case constant(UInt32)
        /// One entry per value.
        case packed([UInt32])
        /// Value and length of each run; the lengths add up to the count.
        case runs(heads: [UInt32], lengths: [UInt32])

        /// Whether all values are below a bound.
        package func areBelow(_ bound: UInt32) -> Bool {
            switch self {
            case .constant(let value): value < bound
            case .packed(let values), .runs(let values, _): values.reduce(0) { max($0, $1) } < bound || values.isEmpty
            }
        }
    }

    /// Reads a column as it is stored; `what` names it in errors.
    /// - Parameter count: number of values; the caller has checked it against a limit.
    package static func read(_ reader: inout ByteReader, count: Int, _ what: String) throws(ByteError) -> Values {
        let raw: UInt8 = try reader.integer(what)
        switch Form(rawValue: raw) {
        case .constant: return .constant(try reader.integer(what))
        case .packed: return .packed(try unpack(&reader, count, what))
        case .runs:
            let runs: UInt32 = try reader.integer(what)
            guard runs <= count else { throw ByteError(offset: reader.offset, reason: "\(what): \(runs) runs of \(count) values") }
            let heads = try unpack(&reader, Int(runs), what)
            let lengths = try unpack(&reader, Int(runs), what)
            guard lengths.reduce(0, { $0 + Int($1) }) == count else {
                throw ByteError(offset: reader.offset, reason: "\(what): runs don't add up to \(count)")
            }
            return .runs(heads: heads, lengths: lengths)
        case nil: throw ByteError(offset: reader.offset, reason: "\(what): form \(raw) is unknown")
        }
    }

    /// Reads a column, one entry per value.
    package static func decode(_ reader: inout ByteReader, count: Int, _ what: String) throws(ByteError) -> [UInt32] {
        expand(try read(&reader, count: count, what), count: count)
    }

    /// One entry per value.
    /// - Parameter count: the `count` that `read` was called with.
    package static func expand(_ values: Values, count: Int) -> [UInt32] {
        switch values {
        case .constant(let value): return [UInt32](repeating: value, count: count)
        case .packed(let values): return values
        case .runs(let heads, let lengths): return expand(heads, lengths, count)
        }
    }

    /// Writes runs eight values at a time, since most are short; the next run overwrites what is too much. The lengths must
    /// add up to `count`.
    private static func expand(_ heads: [UInt32], _ lengths: [UInt32], _ count: Int) -> [UInt32] {
        var values = [UInt32](repeating: 0, count: count + 8)
        unsafe values.withUnsafeMutableBytes { target in
            var at = 0
            for i in heads.indices {
                let end = at + Int(lengths[i])
                guard end <= count else { break }
                let head = SIMD8(repeating: heads[i])
                repeat {
                    unsafe target.storeBytes(of: head, toByteOffset: 4 &* at, as: SIMD8<UInt32>.self)
                    at &+= 8
                } while at < end
                at = end
            }
        }
        values.removeLast(8)
        return values
    }

    private static func width(_ values: [UInt32], _ start: Int) -> Int {
        var all: UInt32 = 0
        for i in start..<min(values.count, start + PackedIntegers.blockValues) { all |= values[i] }
        return PackedIntegers.width(of: all)
    }

    private static func packedBytes(_ values: [UInt32]) -> Int {
        stride(from: 0, to: values.count, by: PackedIntegers.blockValues).reduce(0) { sum, start in
            let rows = (min(PackedIntegers.blockValues, values.count - start) + 31) / 32
            return sum + 1 + rows * 4 * width(values, start)
        }
    }

    /// Writes each block of 256 values: its width, then the packed block. `packTail` writes a shorter last block.
    private static func pack(_ values: [UInt32], _ out: inout [UInt8]) {
        for start in stride(from: 0, to: values.count, by: PackedIntegers.blockValues) {
            let width = width(values, start)
            out.append(UInt8(width))
            let count = min(PackedIntegers.blockValues, values.count - start)
            if count == PackedIntegers.blockValues {
                PackedIntegers.pack(values, from: start, width: width, into: &out)
            } else {
                packTail(values, start, count, width, &out)
            }
        }
    }

    /// A short last block: value after value, bit by bit, with zeros up to a multiple of 32 values.
    private static func packTail(_ values: [UInt32], _ start: Int, _ count: Int, _ width: Int, _ out: inout [UInt8]) {
        var bits: UInt64 = 0
        var held = 0
        let padded = (count + 31) / 32 * 32
        for i in 0..<padded {
            bits |= UInt64(i < count ? values[start + i] : 0) << UInt64(held)
            held += width
            while held >= 32 {
                append(UInt32(truncatingIfNeeded: bits), &out)
                bits >>= 32
                held -= 32
            }
        }
    }

    private static func unpack(_ reader: inout ByteReader, _ count: Int, _ what: String) throws(ByteError) -> [UInt32] {
        var values = [UInt32](
            repeating: 0, count: (count + PackedIntegers.blockValues - 1) / PackedIntegers.blockValues * PackedIntegers.blockValues)
        for start in stride(from: 0, to: count, by: PackedIntegers.blockValues) {
            let width: UInt8 = try reader.integer(what)
            guard width <= 32 else { throw ByteError(offset: reader.offset, reason: "\(what): width \(width)") }
            let here = min(PackedIntegers.blockValues, count - start)
            if here == PackedIntegers.blockValues {
                let range = try reader.take(PackedIntegers.bytes(width: Int(width)), what)
                unpackBlock(reader.bytes, range, Int(width), &values, start)
            } else {
                let range = try reader.take((here + 31) / 32 * 4 * Int(width), what)
                unpackTail(reader.bytes, range, Int(width), &values, start, here)
            }
        }
        values.removeLast(values.count - count)
        return values
    }

    private static func unpackBlock(_ bytes: [UInt8], _ range: Range<Int>, _ width: Int, _ values: inout [UInt32], _ start: Int) {
        unsafe values.withUnsafeMutableBufferPointer { target in
            unsafe bytes.withUnsafeBytes { source in
                guard let base = source.baseAddress, let out = target.baseAddress else { return }
                if range.upperBound + PackedIntegers.slack <= source.count {
                    unsafe PackedIntegers.unpack(base + range.lowerBound, width: width, to: out + start)
                } else {
                    // Too near to the end, since the unpacker reads ahead.
                    let copy = bytes[range] + [UInt8](repeating: 0, count: PackedIntegers.slack)
                    unsafe copy.withUnsafeBytes { unsafe PackedIntegers.unpack($0.baseAddress ?? base, width: width, to: out + start) }
                }
            }
        }
    }

    private static func unpackTail(
        _ bytes: [UInt8], _ range: Range<Int>, _ width: Int, _ values: inout [UInt32], _ start: Int, _ count: Int
    ) {
        var bits: UInt64 = 0
        var held = 0
        var at = range.lowerBound
        let mask = width == 32 ? UInt64(UInt32.max) : (1 << UInt64(width)) - 1
        for i in 0..<count {
            while held < width, at + 4 <= range.upperBound {
                var word: UInt32 = 0
                for k in 0..<4 { word |= UInt32(bytes[at + k]) << (8 * UInt32(k)) }
                bits |= UInt64(word) << UInt64(held)
                held += 32
                at += 4
            }
            values[start + i] = UInt32(truncatingIfNeeded: bits & mask)
            bits >>= UInt64(width)
            held -= width
        }
    }

    private static func append(_ value: UInt32, _ out: inout [UInt8]) {
        for i in 0..<4 { out.append(UInt8(truncatingIfNeeded: value >> (8 * UInt32(i)))) }
    }
}

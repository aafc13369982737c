import FunnelModel

// Each loop has two halves. The fast one runs while the longest item would still fit, so that it needs no bounds checks, and
// stops *before* anything invalid. The careful one, a `ByteReader`, then reads one item: near the end it succeeds, and for
// invalid bytes it throws what is wrong and where.

extension EventBatchCodec {
    /// Reads the whole content of one section; `strings` is the max number of strings of a table.
    static func read(
        _ kind: Kind, _ reader: inout ByteReader, rows: Int, strings: Int, into batch: inout EventBatch
    ) throws(ByteError) {
        switch kind {
        case .users: batch.users = try readTable(&reader, limit: rows, each: Limits.userIDBytes, "users")
        case .names: batch.names = try readTable(&reader, limit: rows, each: Limits.eventNameBytes, "names")
        case .rows:
            batch.user = try readCodes(&reader, count: rows, bound: batch.users.count, "user codes")
            batch.name = try readCodes(&reader, count: rows, bound: batch.names.count, "name codes")
            batch.time = try readTimes(&reader, count: rows)
            batch.flags = try readFlags(&reader, count: rows)
        case .ids:
            batch.ids = try readTable(&reader, limit: rows, each: Limits.eventIDBytes, "event ids")
            guard batch.ids.count == rows else { throw ByteError(offset: 0, reason: "event ids: \(batch.ids.count) for \(rows) rows") }
        case .keys:
            let most = min(strings, rows * Limits.propertiesPerEvent)
            batch.keys = try readTable(&reader, limit: most, each: Limits.propertyKeyBytes, "property keys")
            batch.strings = try readTable(&reader, limit: most, each: Limits.propertyValueBytes, "property strings")
        case .properties: try readProperties(&reader, rows: rows, into: &batch)
        }
    }

    private static func readTable(
        _ reader: inout ByteReader, limit: Int, each: Int, _ what: String
    ) throws(ByteError) -> StringTable {
        let count = try reader.count(limit: limit, what)
        // Each string takes at least its length byte, so a false count is found before allocation.
        guard count <= reader.remaining else { throw ByteError(offset: reader.offset, reason: "\(what): cut short") }
        let (offsets, total) = try readSteps(&reader, count: count, each: each, what)
        guard total <= Int(UInt32.max) else { throw ByteError(offset: reader.offset, reason: "\(what): too many bytes") }
        let range = try reader.take(total, what)
        guard let table = StringTable(heap: Array(reader.bytes[range]), offsets: offsets) else {
            throw ByteError(offset: range.lowerBound, reason: "\(what): lengths don't add up")
        }
        return table
    }

    /// Reads `count` varints, none above `each`, and returns their running sums, from 0 to the total.
    static func readSteps(
        _ reader: inout ByteReader, count: Int, each: Int, _ what: String
    ) throws(ByteError) -> (offsets: [UInt32], total: Int) {
        var total = 0
        let bytes = reader.bytes
        let offsets = try [UInt32](capacity: count + 1) { out throws(ByteError) in
            out.append(0)
            while out.count <= count {
                let span = bytes.span
                let at = unsafe quickSteps(span.bytes, reader.offset, reader.end, each, count, &total, &out)
                reader.move(to: at)
                guard out.count <= count else { break }
                total += try reader.count(limit: each, what)
                out.append(UInt32(truncatingIfNeeded: total))
            }
        }
        return (offsets, total)
    }

    /// The fast loop.
    /// - Returns: the offset where it stopped.
    @inline(__always)
    private static func quickSteps(
        _ bytes: RawSpan, _ start: Int, _ end: Int, _ each: Int, _ count: Int, _ total: inout Int,
        _ out: inout OutputSpan<UInt32>
    ) -> Int {
        let last = end &- Varint.bytesMax
        var at = start
        var sum = total
        while out.count <= count, at <= last {
            var next = at
            guard let step = unsafe bytes.uncheckedVarint(&next), step <= UInt64(each) else { break }
            sum &+= Int(truncatingIfNeeded: step)
            out.append(UInt32(truncatingIfNeeded: sum))
            at = next
        }
        total = sum
        return at
    }

    private static func readTimes(_ reader: inout ByteReader, count: Int) throws(ByteError) -> [Int64] {
        let bytes = reader.bytes
        return try [Int64](capacity: count) { out throws(ByteError) in
            var previous: Int64 = 0
            while out.count < count {
                let span = bytes.span
                reader.move(to: unsafe quickTimes(span.bytes, reader.offset, reader.end, count, &previous, &out))
                guard out.count < count else { break }
                previous = previous &+ (try reader.zigzag("times"))
                guard Limits.storableTimes.contains(previous) else {
                    throw ByteError(offset: reader.offset, reason: "time \(previous) is out of range")
                }
                out.append(previous)
            }
        }
    }

    @inline(__always)
    private static func quickTimes(
        _ bytes: RawSpan, _ start: Int, _ end: Int, _ count: Int, _ previous: inout Int64, _ out: inout OutputSpan<Int64>
    ) -> Int {
        let last = end &- Varint.bytesMax
        let times = Limits.storableTimes
        var at = start
        while out.count < count, at <= last {
            var next = at
            guard let step = unsafe bytes.uncheckedVarint(&next) else { break }
            let time = previous &+ Varint.unzigzag(step)
            guard times.contains(time) else { break }
            out.append(time)
            previous = time
            at = next
        }
        return at
    }

    private static func readFlags(_ reader: inout ByteReader, count: Int) throws(ByteError) -> [UInt8] {
        let range = try reader.take(count, "flags")
        let flags = Array(reader.bytes[range])
        let span = flags.span
        var all: UInt8 = 0
        var i = 0
        while i < span.count {
            all |= span[i]
            i &+= 1
        }
        if all > EventBatch.serverTimedFlag, let bad = flags.first(where: { $0 > EventBatch.serverTimedFlag }) {
            throw ByteError(offset: range.lowerBound, reason: "row flags \(bad) are unknown")
        }
        return flags
    }

    private static func readCodes(
        _ reader: inout ByteReader, count: Int, bound: Int, _ what: String
    ) throws(ByteError) -> [UInt32] {
        let width = width(ofCodesBelow: bound)
        let range = try reader.take(count * width, what)
        let span = reader.bytes.span
        let bytes = unsafe span.bytes.extracting(range)
        var largest: UInt32 = 0
        let codes =
            switch width {
            case 1: readIntegers(bytes, as: UInt8.self, count, &largest)
            case 2: readIntegers(bytes, as: UInt16.self, count, &largest)
            default: readIntegers(bytes, as: UInt32.self, count, &largest)
            }
        guard count == 0 || Int(largest) < bound else {
            throw ByteError(offset: range.lowerBound, reason: "\(what): code \(largest) of \(bound)")
        }
        return codes
    }

    /// Reads `count` integers, which `bytes` must hold.
    @inline(__always)
    private static func readIntegers<T: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
        _ bytes: RawSpan, as type: T.Type, _ count: Int, _ largest: inout UInt32
    ) -> [UInt32] {
        var most: T = 0
        let codes = unsafe [UInt32](unsafeUninitializedCapacity: count) { out, filled in
            var i = 0
            while i < count {
                let code: T = unsafe bytes.uncheckedInteger(i &* MemoryLayout<T>.size)
                most = max(most, code)
                unsafe out[i] = UInt32(truncatingIfNeeded: code)
                i &+= 1
            }
            filled = count
        }
        largest = UInt32(truncatingIfNeeded: most)
        return codes
    }
}

import FunnelModel

/// The three property columns while they are filled.
@safe private struct PropertyColumns {
    let keys: UnsafeMutablePointer<UInt32>
    let tags: UnsafeMutablePointer<UInt8>
    let bits: UnsafeMutablePointer<UInt64>
    /// Max properties of each column.
    let capacity: Int
    private(set) var count = 0

    init(
        _ keys: UnsafeMutablePointer<UInt32>, _ tags: UnsafeMutablePointer<UInt8>, _ bits: UnsafeMutablePointer<UInt64>,
        capacity: Int
    ) {
        unsafe self.keys = keys
        unsafe self.tags = tags
        unsafe self.bits = bits
        self.capacity = capacity
    }

    /// Appends a property; does nothing if the columns are full.
    @inline(__always)
    mutating func append(_ key: UInt32, _ tag: UInt8, _ value: UInt64) {
        guard count < capacity else { return }
        unsafe keys[count] = key
        unsafe tags[count] = tag
        unsafe bits[count] = value
        count &+= 1
    }
}

extension EventBatchCodec {
    static func readProperties(
        _ reader: inout ByteReader, rows: Int, into batch: inout EventBatch
    ) throws(ByteError) {
        let (start, total) = try readSteps(&reader, count: rows, each: Limits.propertiesPerEvent, "properties of a row")
        // A property takes three bytes or more.
        guard total * 3 <= reader.remaining else { throw ByteError(offset: reader.offset, reason: "properties: cut short") }
        batch.propertyStart = start
        let (keyCount, stringCount) = (batch.keys.count, batch.strings.count)
        var (tags, bits): ([UInt8], [UInt64]) = ([], [])
        batch.propertyKey = try unsafe [UInt32](unsafeUninitializedCapacity: total) { keyOut, filled throws(ByteError) in
            tags = try unsafe [UInt8](unsafeUninitializedCapacity: total) { tagOut, filled throws(ByteError) in
                bits = try unsafe [UInt64](unsafeUninitializedCapacity: total) { bitsOut, filled throws(ByteError) in
                    if let keys = keyOut.baseAddress, let tags = tagOut.baseAddress, let bits = bitsOut.baseAddress {
                        var columns = unsafe PropertyColumns(keys, tags, bits, capacity: total)
                        try read(&reader, &columns, keys: keyCount, strings: stringCount)
                        filled = columns.count
                    }
                }
                filled = bits.count
            }
            filled = tags.count
        }
        batch.propertyTag = tags
        batch.propertyBits = bits
    }

    private static func read(
        _ reader: inout ByteReader, _ columns: inout PropertyColumns, keys: Int, strings: Int
    ) throws(ByteError) {
        let bytes = reader.bytes
        while columns.count < columns.capacity {
            let span = bytes.span
            reader.move(to: unsafe quickProperties(span.bytes, reader.offset, reader.end, &columns, UInt64(keys), UInt64(strings)))
            guard columns.count < columns.capacity else { break }
            let key = try reader.count(limit: max(0, keys - 1), "property key code")
            guard key < keys else { throw ByteError(offset: reader.offset, reason: "property key code \(key) of 0") }
            let tag: UInt8 = try reader.integer("property tag")
            columns.append(UInt32(key), tag, try readBits(tag, &reader, strings: strings))
        }
    }

    /// The fast loop.
    /// - Returns: the offset where it stopped: after the last property, near the end, or before invalid bytes.
    private static func quickProperties(
        _ bytes: RawSpan, _ start: Int, _ end: Int, _ out: inout PropertyColumns, _ keys: UInt64, _ strings: UInt64
    ) -> Int {
        let last = end &- propertyBytesMax
        var columns = out
        var at = start
        while columns.count < columns.capacity, at <= last {
            var next = at
            guard let key = unsafe bytes.uncheckedVarint(&next), key < keys else { break }
            let tag: UInt8 = unsafe bytes.uncheckedInteger(next)
            next &+= 1
            guard let value = unsafe quickBits(bytes, tag, &next, strings) else { break }
            columns.append(UInt32(truncatingIfNeeded: key), tag, value)
            at = next
        }
        out = columns
        return at
    }

    /// nil if `readBits` must read the value.
    @unsafe @inline(__always)
    private static func quickBits(_ bytes: RawSpan, _ tag: UInt8, _ at: inout Int, _ strings: UInt64) -> UInt64? {
        if tag == EventBatch.Tag.double {
            let bits: UInt64 = unsafe bytes.uncheckedInteger(at)
            at &+= 8
            return Double(bitPattern: bits).isFinite ? bits : nil
        }
        guard let raw = unsafe bytes.uncheckedVarint(&at) else { return nil }
        switch tag {
        case EventBatch.Tag.string: return raw < strings ? raw : nil
        case EventBatch.Tag.integer: return UInt64(bitPattern: Varint.unzigzag(raw))
        case EventBatch.Tag.bool: return raw <= 1 ? raw : nil
        default: return nil
        }
    }

    private static func readBits(_ tag: UInt8, _ reader: inout ByteReader, strings: Int) throws(ByteError) -> UInt64 {
        switch tag {
        case EventBatch.Tag.string:
            let code = try reader.varint("string code")
            guard code < UInt64(strings) else {
                throw ByteError(offset: reader.offset, reason: "string code \(code) of \(strings)")
            }
            return code
        case EventBatch.Tag.integer: return UInt64(bitPattern: try reader.zigzag("integer property"))
        case EventBatch.Tag.double:
            let bits: UInt64 = try reader.integer("double property")
            // NaN has no order, and JSON has no text for infinities: neither may be stored.
            guard Double(bitPattern: bits).isFinite else {
                throw ByteError(offset: reader.offset, reason: "double property is not a finite number")
            }
            return bits
        case EventBatch.Tag.bool:
            let flag = try reader.varint("boolean property")
            guard flag <= 1 else { throw ByteError(offset: reader.offset, reason: "boolean property is \(flag)") }
            return flag
        default: throw ByteError(offset: reader.offset, reason: "property tag \(tag) is unknown")
        }
    }
}

import FunnelModel

extension EventBatchCodec {
    /// Estimated bytes of the uncompressed batch, usually a little too many.
    package static func estimate(_ batch: EventBatch) -> Int {
        let tables = [batch.users, batch.names, batch.keys, batch.strings, batch.ids]
        let strings = tables.reduce(0) { $0 + $1.heap.count + $1.count * 2 }
        let row = width(ofCodesBelow: batch.users.count) + width(ofCodesBelow: batch.names.count) + 7
        let exact = strings + batch.count * row + batch.propertyKey.count * 5 + wideValues(batch.propertyTag) * 5
        return exact + exact / 16 + 256
    }

    private static func wideValues(_ tags: [UInt8]) -> Int {
        let span = tags.span
        let count = span.count
        var wide = 0
        var i = 0
        while i < count {
            wide &+= span[i] == EventBatch.Tag.double || span[i] == EventBatch.Tag.integer ? 1 : 0
            i &+= 1
        }
        return wide
    }

    /// Appends the content of one section.
    static func write(_ kind: Kind, of batch: EventBatch, _ out: inout ByteWriter) {
        switch kind {
        case .users: writeTable(batch.users, &out)
        case .names: writeTable(batch.names, &out)
        case .rows:
            writeCodes(batch.user, bound: batch.users.count, &out)
            writeCodes(batch.name, bound: batch.names.count, &out)
            writeTimes(batch.time, &out)
            out.append(batch.flags)
        case .ids: writeTable(batch.ids, &out)
        case .keys:
            writeTable(batch.keys, &out)
            writeTable(batch.strings, &out)
        case .properties:
            writeSteps(batch.propertyStart, &out)
            writeProperties(batch, &out)
        }
    }

    /// Writes the count, then each length as a varint, then all bytes.
    private static func writeTable(_ table: StringTable, _ out: inout ByteWriter) {
        out.varint(UInt64(table.count))
        writeSteps(table.offsets, &out)
        out.append(table.heap)
    }

    /// Writes the difference from each number to the next, as varints.
    private static func writeSteps(_ offsets: [UInt32], _ out: inout ByteWriter) {
        let span = offsets.span
        out.varints(count: max(0, span.count &- 1)) { UInt64(span[$0 &+ 1] &- span[$0]) }
    }

    private static func writeTimes(_ times: [Int64], _ out: inout ByteWriter) {
        let span = times.span
        var previous: Int64 = 0
        out.varints(count: span.count) { i in
            let time = span[i]
            defer { previous = time }
            return Varint.zigzag(time &- previous)
        }
    }

    /// Bytes of a code below `bound`.
    static func width(ofCodesBelow bound: Int) -> Int { bound <= 256 ? 1 : (bound <= 65_536 ? 2 : 4) }

    /// Writes codes below `bound` in 1, 2 or 4 bytes each; only the bound decides which.
    private static func writeCodes(_ codes: [UInt32], bound: Int, _ out: inout ByteWriter) {
        switch width(ofCodesBelow: bound) {
        case 1: writeIntegers(codes, as: UInt8.self, &out)
        case 2: writeIntegers(codes, as: UInt16.self, &out)
        default: writeIntegers(codes, as: UInt32.self, &out)
        }
    }

    @inline(__always)
    private static func writeIntegers<T: FixedWidthInteger & BitwiseCopyable>(
        _ codes: [UInt32], as type: T.Type, _ out: inout ByteWriter
    ) {
        let span = codes.span
        let count = span.count
        out.append(atMost: count &* MemoryLayout<T>.size) { sink in
            var i = 0
            while i < count {
                unsafe sink.integer(T(truncatingIfNeeded: span[i]))
                i &+= 1
            }
        }
    }

    /// Bytes of the longest property: two varints and a tag.
    static let propertyBytesMax = Varint.bytesMax * 2 + 1

    private static func writeProperties(_ batch: EventBatch, _ out: inout ByteWriter) {
        let (keys, tags, bits) = (batch.propertyKey.span, batch.propertyTag.span, batch.propertyBits.span)
        let count = keys.count
        var p = 0
        while p < count {
            out.append(atMost: min(count &- p, 4_096) &* 8 &+ propertyBytesMax) { sink in
                while p < count, sink.room >= propertyBytesMax {
                    unsafe sink.varint(UInt64(keys[p]))
                    let tag = tags[p]
                    unsafe sink.integer(tag)
                    switch tag {
                    case EventBatch.Tag.integer: unsafe sink.varint(Varint.zigzag(Int64(bitPattern: bits[p])))
                    case EventBatch.Tag.double: unsafe sink.integer(bits[p])
                    default: unsafe sink.varint(bits[p])
                    }
                    p &+= 1
                }
            }
        }
    }
}

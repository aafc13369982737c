import FunnelModel

extension PropertyValue {
    func write(to out: inout ByteWriter) {
        switch self {
        case .string(let text):
            out.integer(EventBatch.Tag.string)
            out.string(text)
        case .integer(let value):
            out.integer(EventBatch.Tag.integer)
            out.zigzag(value)
        case .double(let value):
            out.integer(EventBatch.Tag.double)
            out.integer(value.bitPattern)
        case .bool(let value):
            out.integer(EventBatch.Tag.bool)
            out.integer(UInt8(value ? 1 : 0))
        }
    }

    /// Reads a value. It must be canonical, so that equal values of several shards are found equal.
    static func read(_ reader: inout ByteReader) throws(ByteError) -> PropertyValue {
        let start = reader.offset
        let tag: UInt8 = try reader.integer("value tag")
        return tag == EventBatch.Tag.string
            ? .string(try reader.string(limit: Limits.propertyValueBytes, "value")) : try read(tag, &reader, start)
    }

    /// Reads a number or boolean, of which only the tag was read.
    fileprivate static func read(_ tag: UInt8, _ reader: inout ByteReader, _ start: Int) throws(ByteError) -> PropertyValue {
        switch tag {
        case EventBatch.Tag.integer: return .integer(try reader.zigzag("value"))
        case EventBatch.Tag.double:
            let value = Double(bitPattern: try reader.integer("value"))
            guard value.isFinite, PropertyValue.double(value).canonical == .double(value) else { break }
            return .double(value)
        case EventBatch.Tag.bool:
            let value: UInt8 = try reader.integer("value")
            if value <= 1 { return .bool(value == 1) }
        default: break
        }
        throw ByteError(offset: start, reason: "not a canonical property value")
    }
}

extension ValueTable {
    func write(_ index: Int, to out: inout ByteWriter) {
        guard isString(index) else { return self[index].write(to: &out) }
        out.integer(EventBatch.Tag.string)
        out.string(heap.span.extracting(range(index)))
    }

    /// Reads a value, as `PropertyValue.read` does, and appends it.
    mutating func read(_ reader: inout ByteReader) throws(ByteError) {
        let start = reader.offset
        let tag: UInt8 = try reader.integer("value tag")
        guard tag == EventBatch.Tag.string else { return append(try PropertyValue.read(tag, &reader, start)) }
        let text = try reader.take(try reader.count(limit: Limits.propertyValueBytes, "value"), "value")
        append(string: reader.bytes.span.extracting(text))
    }
}

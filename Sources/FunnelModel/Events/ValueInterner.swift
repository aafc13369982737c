/// Gives each distinct property value a code: 0, 1, 2 … in order of first appearance. Numbers that are equal are one value.
package struct ValueInterner: Sendable {
    /// Of each value the tag, then a string's bytes or the bits of another value.
    private var keys = StringInterner()
    /// Memory for one key.
    private var key: [UInt8] = []
    /// Sum of `PropertyValue.wireBytes` of the values.
    package private(set) var wireBytes = 0

    package init() {}

    package var count: Int { keys.count }

    /// The code of a value, which is added if it is new.
    package mutating func code(_ value: PropertyValue) -> Int {
        Self.write(value, to: &key)
        let key = key
        return Self.code(key.span, &keys, &wireBytes)
    }

    /// The code here of a value that has `code` in another interner.
    package mutating func code(_ code: Int, of other: ValueInterner) -> Int {
        Self.code(other.keys.table.heap.span.extracting(other.keys.table.range(code)), &keys, &wireBytes)
    }

    private static func code(_ key: Span<UInt8>, _ keys: inout StringInterner, _ wireBytes: inout Int) -> Int {
        let known = keys.count
        let code = Int(keys.code(key))
        if code == known { wireBytes += key[0] == EventBatch.Tag.string ? key.count + 3 : PropertyValue.scalarWireBytes }
        return code
    }

    /// The code of a value; nil if it has none.
    package func find(_ value: PropertyValue) -> Int? {
        var key: [UInt8] = []
        Self.write(value, to: &key)
        return keys.find(key.span).map { Int($0) }
    }

    /// Appends the value of a code to a table.
    package func append(_ code: Int, to table: inout ValueTable) {
        let key = keys.table.heap.span.extracting(keys.table.range(code))
        let payload = key.extracting(droppingFirst: 1)
        switch key[0] {
        case EventBatch.Tag.string: table.append(string: payload)
        case EventBatch.Tag.integer: table.append(.integer(Int64(bitPattern: payload.word(0))))
        case EventBatch.Tag.double: table.append(.double(Double(bitPattern: payload.word(0))))
        default: table.append(.bool(payload.word(0) != 0))
        }
    }

    private static func write(_ value: PropertyValue, to key: inout [UInt8]) {
        let value = value.canonical
        key.removeAll(keepingCapacity: true)
        key.append(value.tag)
        let bits: UInt64
        switch value {
        case .string(let text): return key.append(text.bytes.span)
        case .integer(let number): bits = UInt64(bitPattern: number)
        case .double(let number): bits = number.bitPattern
        case .bool(let flag): bits = flag ? 1 : 0
        }
        for shift in stride(from: 0 as UInt64, to: 64, by: 8) { key.append(UInt8(truncatingIfNeeded: bits >> shift)) }
    }
}

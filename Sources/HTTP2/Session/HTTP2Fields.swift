import CNghttp2

/// Header fields in one flat byte array: two allocations for a whole block and no `String` per field.
package struct HTTP2Fields: Sendable {
    private struct Entry {
        var start: Int
        var nameEnd: Int
        var valueEnd: Int
    }

    private var bytes: [UInt8] = []
    private var entries: [Entry] = []

    /// No fields.
    package init() {}

    /// The number of fields.
    package var count: Int { entries.count }

    /// Adds a field. Names must be lower case already.
    package mutating func append(_ name: String, _ value: String) {
        let start = bytes.count
        bytes.append(contentsOf: name.utf8)
        let nameEnd = bytes.count
        bytes.append(contentsOf: value.utf8)
        entries.append(Entry(start: start, nameEnd: nameEnd, valueEnd: bytes.count))
    }

    mutating func append(name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) {
        let start = bytes.count
        if start == 0 { bytes.reserveCapacity(256) }
        bytes.append(contentsOf: name)
        let nameEnd = bytes.count
        bytes.append(contentsOf: value)
        entries.append(Entry(start: start, nameEnd: nameEnd, valueEnd: bytes.count))
    }

    /// The first value of a field, bytes that are not UTF-8 replaced. O(fields).
    package subscript(_ name: StaticString) -> String? {
        guard let entry = entry(name) else { return nil }
        return String(decoding: bytes[entry.nameEnd..<entry.valueEnd], as: UTF8.self)
    }

    /// A value of decimal digits only; nil if it is absent, something else, or does not fit.
    package func decimal(_ name: StaticString) -> Int? {
        guard let entry = entry(name) else { return nil }
        let digits = bytes[entry.nameEnd..<entry.valueEnd]
        guard !digits.isEmpty, digits.count <= 15 else { return nil }
        var value = 0
        for digit in digits {
            guard digit >= 0x30, digit <= 0x39 else { return nil }
            value = value * 10 + Int(digit - 0x30)
        }
        return value
    }

    private func entry(_ name: StaticString) -> Entry? {
        name.withUTF8Buffer { wanted in
            entries.first { bytes[$0.start..<$0.nameEnd].elementsEqual(wanted) }
        }
    }

    /// Lends the fields as nghttp2 wants them; it copies them before it returns.
    func withNameValues<R>(_ body: (UnsafePointer<nghttp2_nv>?, Int) -> R) -> R {
        // nghttp2 takes mutable pointers but does not write through them.
        var copy = bytes
        return copy.withUnsafeMutableBufferPointer { storage in
            let list = entries.map { entry in
                nghttp2_nv(
                    name: storage.baseAddress.map { $0 + entry.start },
                    value: storage.baseAddress.map { $0 + entry.nameEnd },
                    namelen: entry.nameEnd - entry.start,
                    valuelen: entry.valueEnd - entry.nameEnd,
                    flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue)
                )
            }
            return list.withUnsafeBufferPointer { body($0.baseAddress, $0.count) }
        }
    }
}

/// Whether `bytes` are well-formed UTF-8 (no overlong forms, no surrogates, up to U+10FFFF; RFC 3629).
package func isValidUTF8(_ bytes: some RandomAccessCollection<UInt8>) -> Bool { isValidUTF8(Array(bytes)) }

package func isValidUTF8(_ bytes: [UInt8]) -> Bool {
    let span = bytes.span
    return unsafe isValidUTF8(span.bytes)
}

package func isValidUTF8(_ bytes: ArraySlice<UInt8>) -> Bool {
    let span = bytes.span
    return unsafe isValidUTF8(span.bytes)
}

package func isValidUTF8(_ bytes: RawSpan) -> Bool {
    let end = bytes.byteCount
    var at = 0
    while at < end {
        // Most text is ASCII: eight bytes at once.
        if end &- at >= 8, unsafe bytes.uncheckedInteger(at, as: UInt64.self) & 0x8080_8080_8080_8080 == 0 {
            at &+= 8
            continue
        }
        let lead: UInt8 = unsafe bytes.uncheckedInteger(at)
        at &+= 1
        if lead >= 0x80, !following(lead, bytes, &at) { return false }
    }
    return true
}

/// Whether the continuation bytes of `lead` are at `at`, which then moves past them.
private func following(_ lead: UInt8, _ bytes: RawSpan, _ at: inout Int) -> Bool {
    let count: Int
    var low: UInt8 = 0x80
    var high: UInt8 = 0xBF
    switch lead {
    case 0xC2...0xDF: count = 1
    case 0xE0: (count, low) = (2, 0xA0)
    case 0xED: (count, high) = (2, 0x9F)
    case 0xE1...0xEF: count = 2
    case 0xF0: (count, low) = (3, 0x90)
    case 0xF4: (count, high) = (3, 0x8F)
    case 0xF1...0xF3: count = 3
    default: return false
    }
    guard bytes.byteCount &- at >= count else { return false }
    for i in 0..<count {
        let byte: UInt8 = unsafe bytes.uncheckedInteger(at &+ i)
        guard byte >= low, byte <= high else { return false }
        low = 0x80
        high = 0xBF
    }
    at &+= count
    return true
}

/// The order of two strings by bytes: negative, 0 or positive.
package func compareBytes(_ a: ArraySlice<UInt8>, _ b: ArraySlice<UInt8>) -> Int {
    let (left, right) = (a.span, b.span)
    return unsafe compareBytes(left.bytes, right.bytes)
}

package func compareBytes(_ a: [UInt8], _ b: [UInt8]) -> Int {
    let (left, right) = (a.span, b.span)
    return unsafe compareBytes(left.bytes, right.bytes)
}

/// Compares eight bytes at a time: the order of big-endian words is that of their bytes.
package func compareBytes(_ a: RawSpan, _ b: RawSpan) -> Int {
    let shared = min(a.byteCount, b.byteCount)
    var at = 0
    while shared &- at >= 8 {
        let (x, y) = unsafe (a.uncheckedInteger(at, as: UInt64.self), b.uncheckedInteger(at, as: UInt64.self))
        if x != y { return x.byteSwapped < y.byteSwapped ? -1 : 1 }
        at &+= 8
    }
    while at < shared {
        let (x, y) = unsafe (a.uncheckedInteger(at, as: UInt8.self), b.uncheckedInteger(at, as: UInt8.self))
        if x != y { return x < y ? -1 : 1 }
        at &+= 1
    }
    return a.byteCount &- b.byteCount
}

/// Whether two strings have the same bytes.
package func equalBytes(_ a: RawSpan, _ b: RawSpan) -> Bool {
    let count = a.byteCount
    guard count == b.byteCount else { return false }
    var at = 0
    while count &- at >= 8 {
        if unsafe a.uncheckedInteger(at, as: UInt64.self) != b.uncheckedInteger(at, as: UInt64.self) { return false }
        at &+= 8
    }
    if at == count { return true }
    if count >= 8 {
        // The last eight bytes, some of which were compared already.
        return unsafe a.uncheckedInteger(count &- 8, as: UInt64.self) == b.uncheckedInteger(count &- 8, as: UInt64.self)
    }
    while at < count {
        if unsafe a.uncheckedInteger(at, as: UInt8.self) != b.uncheckedInteger(at, as: UInt8.self) { return false }
        at &+= 1
    }
    return true
}

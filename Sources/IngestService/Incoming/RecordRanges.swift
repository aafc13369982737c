import FunnelModel

/// Finds events in the body of a request by their indexes. Used only if some were rejected.
package enum RecordRanges {
    /// The ranges of the elements of a list, or of an object with a list `events`.
    package static func list(_ bytes: [UInt8]) -> [Range<Int>] { (try? JSONElements.ranges(in: bytes, member: "events")) ?? [] }

    /// The ranges of the lines that are not empty, as `EventScanner.lines` counts them.
    package static func lines(_ bytes: [UInt8]) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var start = ByteOrderMark.length(in: bytes)
        while start < bytes.count {
            let end = bytes[start...].firstIndex { $0 == 10 || $0 == 13 } ?? bytes.count
            if bytes[start..<end].contains(where: { $0 != 32 && $0 != 9 }) { ranges.append(start..<end) }
            start = end + 1
        }
        return ranges
    }
}

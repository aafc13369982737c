/// Half of a surrogate pair, written as an escape such as `\ud800`. A lenient parser reads it as U+FFFD, so that different names and
/// ids would become one.
package enum HalfSurrogate {
    private static let replacement: [UInt8] = [0xEF, 0xBF, 0xBD]

    /// Whether a text may have had half of a surrogate pair.
    package static func maybeIn(_ text: ByteString) -> Bool {
        let bytes = text.bytes
        return bytes.indices.contains { bytes[$0] == replacement[0] && bytes[$0...].starts(with: replacement) }
    }

    /// Whether a JSON text has such an escape.
    package static func isIn(_ json: [UInt8], _ range: Range<Int>) -> Bool {
        var at = range.lowerBound
        while at < range.upperBound {
            guard json[at] == UInt8(ascii: "\\") else {
                at += 1
                continue
            }
            guard let first = unit(json, at, range) else {
                // Another escape, of two characters.
                at += 2
                continue
            }
            switch first {
            case 0xD800..<0xDC00:
                guard let second = unit(json, at + 6, range), (0xDC00..<0xE000).contains(second) else { return true }
                at += 12
            case 0xDC00..<0xE000: return true
            default: at += 6
            }
        }
        return false
    }

    /// The code unit of a `\u` escape; nil if there is none.
    private static func unit(_ json: [UInt8], _ at: Int, _ range: Range<Int>) -> Int? {
        guard at + 6 <= range.upperBound, json[at] == UInt8(ascii: "\\"), json[at + 1] == UInt8(ascii: "u") else { return nil }
        return Int(String(decoding: json[(at + 2)..<(at + 6)], as: UTF8.self), radix: 16)
    }
}

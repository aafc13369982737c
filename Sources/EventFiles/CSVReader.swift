import FunnelModel

/// Splits text with separators into records (RFC 4180), with the recovery rules of `FILES.md` section 2.
struct CSVReader {
    static let recordBytes = Limits.eventTextBytes

    struct Field {
        var start: Int
        var end: Int
        /// Whether the field is in `scratch`, with doubled quotes resolved; else it is in the window.
        var isDecoded: Bool
    }

    enum Step {
        /// A record; `fields` are its fields.
        case record(FileLines)
        case bad(FileLines, String)
        case needsMore
        case end
    }

    private enum Cut {
        case record(end: Int, lines: Int)
        case bad(String)
        case needsMore
    }

    let separator: UInt8
    let hasQuotes: Bool
    /// Bytes that may still be scanned without finding a record. An unclosed quote is only found at the limit, so a file with
    /// one in every line would be scanned a million times over. As the credit falls, records are scanned less far.
    private var credit = CSVReader.creditMax
    private static let creditMax = 64 << 20
    private static let leastBytes = 4 << 10
    /// Where the record that was read last begins in the window.
    private(set) var start = 0
    private(set) var fields: [Field] = []
    private(set) var scratch: [UInt8] = []

    init(separator: UInt8, hasQuotes: Bool) {
        self.separator = separator
        self.hasQuotes = hasQuotes
    }

    private static let quote = UInt8(ascii: "\"")

    mutating func next(_ window: inout TextWindow) -> Step {
        guard window.goOnSkipping() else { return window.isWhole ? .end : .needsMore }
        while window.at < window.bytes.count, window.bytes[window.at] == LineEnd.lf || window.bytes[window.at] == LineEnd.cr {
            guard window.passLineEnd(at: window.at) else { return .needsMore }
        }
        guard window.at < window.bytes.count else { return window.isWhole ? .end : .needsMore }
        let line = window.line
        start = window.at
        switch cut(window) {
        case .needsMore: return .needsMore
        case .record(let end, let lines):
            credit = min(Self.creditMax, credit + 16 * (end - window.at))
            guard window.passLineEnd(at: end) else { return .needsMore }
            window.add(lines: lines)
            return .record(line...(line + lines))
        case .bad(let reason):
            // Only the first line is rejected; the next record begins after it.
            window.skipLine()
            return .bad(line...line, reason)
        }
    }

    /// Splits the record that begins here.
    /// - Returns: the end of the record, and the number of line ends in it.
    private mutating func cut(_ window: borrowing TextWindow) -> Cut {
        fields.removeAll(keepingCapacity: true)
        scratch.removeAll(keepingCapacity: true)
        let bytes = window.bytes.span
        let most = min(Self.recordBytes, max(Self.leastBytes, credit))
        let limit = min(bytes.count, window.at + most)
        var i = window.at
        var lines = 0
        while true {
            if hasQuotes, i < limit, bytes[i] == Self.quote {
                switch quoted(bytes, from: i, limit, window.isWhole, most) {
                case .bad(let reason):
                    credit -= limit - window.at
                    return .bad(reason)
                case .needsMore: return .needsMore
                case .record(let end, let inside):
                    i = end
                    lines += inside
                }
            } else {
                let start = i
                while i < limit, bytes[i] != separator, bytes[i] != LineEnd.lf, bytes[i] != LineEnd.cr { i &+= 1 }
                if i >= limit {
                    let isEnd = i == limit && i < bytes.count && (bytes[i] == separator || bytes[i] == LineEnd.lf || bytes[i] == LineEnd.cr)
                    if i == bytes.count, !window.isWhole { return .needsMore }
                    if i < bytes.count, !isEnd {
                        credit -= limit - window.at
                        return .bad("the record is longer than \(most) bytes")
                    }
                }
                fields.append(Field(start: start, end: i, isDecoded: false))
            }
            guard i < bytes.count, bytes[i] == separator else { return .record(end: i, lines: lines) }
            i += 1
        }
    }

    /// Reads the quoted field at `start`.
    /// - Returns: its end, which is at a separator, a line end or the end of the file; and the number of line ends in it.
    private mutating func quoted(_ bytes: Span<UInt8>, from start: Int, _ limit: Int, _ isWhole: Bool, _ most: Int) -> Cut {
        let mark = scratch.count
        var isDoubled = false
        var copied = start + 1
        var lines = 0
        var i = start + 1
        while true {
            while i < limit, bytes[i] != Self.quote {
                if bytes[i] == LineEnd.lf || (bytes[i] == LineEnd.cr && !(i + 1 < bytes.count && bytes[i + 1] == LineEnd.lf)) {
                    lines &+= 1
                }
                i &+= 1
            }
            guard i < limit else {
                if limit < bytes.count { return .bad("the quote does not close within \(most) bytes") }
                return isWhole ? .bad("the quote does not close before the end of the file") : .needsMore
            }
            if i + 1 == bytes.count, !isWhole { return .needsMore }
            guard i + 1 < bytes.count, bytes[i + 1] == Self.quote else { break }
            scratch.append(bytes.extracting(copied..<(i + 1)))
            isDoubled = true
            i += 2
            copied = i
        }
        let end = i + 1
        guard end == bytes.count || bytes[end] == separator || bytes[end] == LineEnd.lf || bytes[end] == LineEnd.cr else {
            return .bad("text after a closing quote; if the file does not quote its fields, give --no-quotes")
        }
        if isDoubled {
            scratch.append(bytes.extracting(copied..<i))
            fields.append(Field(start: mark, end: scratch.count, isDecoded: true))
        } else {
            fields.append(Field(start: start + 1, end: i, isDecoded: false))
        }
        return .record(end: end, lines: lines)
    }
}

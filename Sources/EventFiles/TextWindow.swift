/// White space within a line.
enum Blank {
    static func isBlank(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 }
}

/// Line ends, as editors count them: LF, CRLF and CR.
enum LineEnd {
    static let lf: UInt8 = 10
    static let cr: UInt8 = 13

    static func isOne(_ byte: UInt8) -> Bool { byte == lf || byte == cr }

    /// The first CR or LF in a range.
    static func first(in bytes: [UInt8], _ range: Range<Int>) -> Int? {
        let span = bytes.span
        var i = range.lowerBound
        while i < range.upperBound {
            let byte = span[i]
            if byte == lf || byte == cr { return i }
            i += 1
        }
        return nil
    }
}

/// A range of lines of a file, 1-based.
package typealias FileLines = ClosedRange<Int>

/// Bytes that were received and are not read yet, with the number of their first line.
struct TextWindow {
    private(set) var bytes: [UInt8] = []
    var at = 0
    private(set) var line = 1
    /// Whether there are no more bytes.
    var isWhole = false
    /// Whether all bytes up to the next line end are being skipped.
    private(set) var isSkipping = false

    var rest: Range<Int> { at..<bytes.count }

    mutating func feed(_ more: [UInt8]) {
        if at > 0 {
            bytes.removeFirst(at)
            at = 0
        }
        bytes += more
    }

    /// Advances past the line end at `end`, or to the end of the bytes; false if more bytes are needed to see the whole line
    /// end.
    mutating func passLineEnd(at end: Int) -> Bool {
        guard end < bytes.count else {
            at = bytes.count
            return true
        }
        if bytes[end] == LineEnd.cr {
            if end + 1 == bytes.count, !isWhole { return false }
            at = end + 1 < bytes.count && bytes[end + 1] == LineEnd.lf ? end + 2 : end + 1
        } else {
            at = end + 1
        }
        line += 1
        return true
    }

    mutating func add(lines: Int) { line += lines }

    /// Skips the line that begins here, of any length.
    mutating func skipLine() {
        isSkipping = true
        goOnSkipping()
    }

    /// Continues to skip a line.
    /// - Returns: whether its end or the end of the file was found.
    @discardableResult
    mutating func goOnSkipping() -> Bool {
        guard isSkipping else { return true }
        guard let end = LineEnd.first(in: bytes, rest) else {
            at = bytes.count
            isSkipping = !isWhole
            return isWhole
        }
        if passLineEnd(at: end) {
            isSkipping = false
            return true
        }
        at = end
        return false
    }
}

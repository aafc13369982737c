import EventFiles
import FunnelModel

/// The lines of a text with their numbers from 1, read piece by piece. A line ends with LF, CRLF or CR, as in a body of ingest.
struct EventLines {
    private let source: TextSource
    private var piece: [UInt8] = []
    private var at = 0
    private var number = 1
    /// Whether the last byte was CR: then LF does not end another line.
    private var isAfterCR = false
    private var isStarted = false

    init(_ source: TextSource) { self.source = source }

    /// Bytes of a line that are kept. A longer one is no event, and its end is not kept.
    private static let lineBytes = Limits.eventTextBytes + 1

    /// The next line that is not empty; nil at the end.
    mutating func next() throws -> (number: Int, line: [UInt8])? {
        var line: [UInt8] = []
        while true {
            if at == piece.count {
                guard let read = try source.next() else { return Self.isEmpty(line) ? nil : (number, line) }
                (piece, at) = (read, 0)
                if !isStarted {
                    isStarted = true
                    at = ByteOrderMark.length(in: piece)
                }
                continue
            }
            let end = piece[at...].firstIndex { $0 == 10 || $0 == 13 } ?? piece.count
            if end > at { isAfterCR = false }
            line += piece[at..<end].prefix(max(0, Self.lineBytes - line.count))
            at = end
            guard end < piece.count else { continue }
            let isLF = piece[end] == 10
            at += 1
            if isLF, isAfterCR {
                isAfterCR = false
                continue
            }
            isAfterCR = !isLF
            defer { number += 1 }
            if !Self.isEmpty(line) { return (number, line) }
            line = []
        }
    }

    private static func isEmpty(_ line: [UInt8]) -> Bool { line.allSatisfy { $0 == 32 || $0 == 9 } }
}

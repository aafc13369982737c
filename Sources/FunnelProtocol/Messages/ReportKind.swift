import FunnelModel

/// A report is sent as the number of its kind, 0 for none, and its fields (`PROTOCOL.md` section 11).
enum ReportKind {
    static let none: UInt8 = 0
    static let breakdown: UInt8 = 1
    static let trend: UInt8 = 2
    static let entrySpan: UInt8 = 3
    static let between: UInt8 = 4
    static let explain: UInt8 = 8
    static let paired: UInt8 = 7
    static let paths: UInt8 = 5
    static let predictors: UInt8 = 6
    static let variants: UInt8 = 9

    static func read(_ reader: inout ByteReader) throws(ByteError) -> UInt8 { try reader.integer("report") }

    static func unknown(_ kind: UInt8, _ reader: ByteReader) -> ByteError {
        ByteError(offset: reader.offset, reason: "report \(kind) is unknown")
    }
}

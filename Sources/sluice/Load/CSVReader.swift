import FunnelModel

/// Cuts CSV records (RFC 4180: quotes, doubled quotes, line breaks inside quotes) out of bytes as they arrive.
struct CSVReader {
    /// A record that never closes its quote must not fill the memory.
    private static let recordMax = 4 << 20

    struct Fault: Error { var reason: String }

    private var buffer: [UInt8] = []
    private var at = 0

    mutating func feed(_ bytes: [UInt8]) {
        if at > 0 {
            buffer.removeFirst(at)
            at = 0
        }
        buffer += bytes
    }

    /// The fields of the next record; nil where more bytes are needed. Empty lines are passed over.
    mutating func next(atEnd: Bool) throws(Fault) -> [[UInt8]]? {
        while at < buffer.count, buffer[at] == 10 || buffer[at] == 13 { at += 1 }
        var fields: [[UInt8]] = []
        var field: [UInt8] = []
        var i = at
        var quoted = false
        while i < buffer.count {
            let byte = buffer[i]
            if quoted {
                if byte != UInt8(ascii: "\"") {
                    field.append(byte)
                } else if i + 1 < buffer.count, buffer[i + 1] == UInt8(ascii: "\"") {
                    field.append(byte)
                    i += 1
                } else if i + 1 == buffer.count, !atEnd {
                    break
                } else {
                    quoted = false
                }
            } else if byte == UInt8(ascii: "\""), field.isEmpty {
                quoted = true
            } else if byte == UInt8(ascii: ",") {
                fields.append(field)
                field.removeAll(keepingCapacity: true)
            } else if byte == 10 {
                fields.append(Self.withoutReturn(field))
                at = i + 1
                return fields
            } else {
                field.append(byte)
            }
            i += 1
        }
        if atEnd, at < buffer.count {
            guard !quoted else { throw Fault(reason: "the last record does not close its quote") }
            fields.append(Self.withoutReturn(field))
            at = buffer.count
            return fields
        }
        guard buffer.count - at <= Self.recordMax else { throw Fault(reason: "a record is longer than \(Self.recordMax) bytes") }
        return nil
    }

    private static func withoutReturn(_ field: [UInt8]) -> [UInt8] { field.last == 13 ? Array(field.dropLast()) : field }
}

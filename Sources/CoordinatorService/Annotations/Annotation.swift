import FunnelModel

/// A mark on charts over time, such as a release (`Protocol/PROTOCOL.md`, "Annotations").
package struct Annotation: Equatable, Sendable {
    package static let documentBytes = 4 << 10
    package static let textBytes = 200

    package let id: String
    /// One line.
    package let text: String
    /// Microseconds since 1970.
    package let start: Int64
    /// Not before `start`; nil for an instant.
    package let end: Int64?
    /// The funnel whose charts show it; nil for all.
    package let funnelID: ByteString?

    /// Reads and checks a document. Throws all faults at once.
    package static func parse(_ document: JSONValue) throws(InvalidDocument) -> Annotation {
        var reader = FieldReader(document)
        guard document.asObject != nil else { throw InvalidDocument(reader.faults) }
        let id = readID("id", &reader)
        if id == nil, reader.value("id") == nil { reader.faultAt("id", "is required") }
        let text = AccessName.read("text", limit: textBytes, &reader)
        if reader.value("text") == nil { reader.faultAt("text", "is required: one line of at most \(textBytes) bytes") }
        let start = readTime("start", &reader)
        if reader.value("start") == nil { reader.faultAt("start", "is required: an RFC 3339 instant") }
        let end = readTime("end", &reader)
        if let start, let end, end < start { reader.faultAt("end", "is before start") }
        let funnelID = readID("funnel_id", &reader)
        reader.rejectUnknown()
        guard let id, let text, let start, reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return Annotation(id: id.string, text: text, start: start, end: end, funnelID: funnelID)
    }

    private static func readID(_ key: ByteString, _ reader: inout FieldReader) -> ByteString? {
        guard let id = reader.string(key) else { return nil }
        if FunnelDefinition.isValidID(id) { return id }
        reader.faultAt(key, "must match [A-Za-z0-9_.-]{1,\(Limits.funnelIDBytes)}")
        return nil
    }

    /// A date alone, or a time without an offset, could be meant in any time zone.
    private static func readTime(_ key: ByteString, _ reader: inout FieldReader) -> Int64? {
        guard let text = reader.string(key) else { return nil }
        if let read = try? Timestamp.read(text), read.hasZone, text.bytes.contains(UInt8(ascii: "-")),
            Limits.storableTimes.contains(read.time)
        {
            return read.time
        }
        reader.faultAt(key, "must be an RFC 3339 instant, such as 2026-01-31T12:00:00Z; \"\(text.string.printable.prefix(40))\" is not")
        return nil
    }

    package var json: JSONValue {
        var members: [JSONValue.Member] = [
            .init("id", .text(id)), .init("text", .text(text)), .init("start", .text(Timestamp.format(start))),
        ]
        if let end { members.append(.init("end", .text(Timestamp.format(end)))) }
        if let funnelID { members.append(.init("funnel_id", .string(funnelID))) }
        return .object(members)
    }

    /// Whether any time of it is in the range.
    package func isWithin(_ range: Range<Int64>) -> Bool { start < range.upperBound && (end ?? start) >= range.lowerBound }

    /// Reads the parameters `start`, `end` and `time_zone` of a URL. Throws all faults at once.
    package static func readRange(_ parameters: JSONValue) throws(InvalidDocument) -> Range<Int64> {
        var reader = FieldReader(parameters)
        let zone = reader.string("time_zone")
        let range = QueryRequest.readRange(&reader, zone: zone, from: "start", to: "end")
        reader.rejectUnknown("parameter")
        guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return range ?? Int64.min..<Int64.max
    }
}

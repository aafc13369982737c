import FunnelModel

/// One record of a body: its value, and the text that it was parsed from, for numbers that a double does not hold exactly.
package struct SourceRecord {
    package var value: JSONValue
    package var text: [UInt8] = []
    package var range = 0..<0

    package init(value: JSONValue, text: [UInt8] = [], range: Range<Int> = 0..<0) {
        (self.value, self.text, self.range) = (value, text, range)
    }
}

/// The records of a body. They are found first and parsed one by one: a broken record does not break the others, and their values
/// are never in memory as a whole.
package struct BodyRecords {
    private let text: [UInt8]
    private let ranges: [Range<Int>]
    /// Whether the body is one record.
    package let isSingle: Bool
    /// The body without the records of its list; null if the body is one record, or lines.
    package let envelope: JSONValue

    /// One record that was not sent as JSON.
    package init(single record: JSONValue) {
        let text = record.encode()
        self.init(text, [0..<text.count], isSingle: true, envelope: .null)
    }

    private init(_ text: [UInt8], _ ranges: [Range<Int>], isSingle: Bool, envelope: JSONValue) {
        (self.text, self.ranges, self.isSingle, self.envelope) = (text, ranges, isSingle, envelope)
    }

    package var count: Int { ranges.count }

    /// A list, or an object with a list as its member `name`.
    /// - Parameters:
    ///   - takesSingle: whether an object without the list is itself a record.
    ///   - limit: max number of records.
    package static func list(_ text: [UInt8], named name: ByteString, takesSingle: Bool, limit: Int) throws(SDKFault) -> BodyRecords {
        let ranges: [Range<Int>]
        do throws(EventBodyError) {
            ranges = try JSONElements.ranges(in: text, member: name, most: limit)
        } catch {
            switch error {
            case .json(let error): throw .malformed(error.description)
            case .tooMany: throw .tooManyEvents(limit: limit)
            case .noList:
                guard takesSingle else { throw .malformed("the body has no list \"\(name)\"") }
                return single(text)
            }
        }
        return BodyRecords(text, ranges, isSingle: false, envelope: try envelope(text, ranges))
    }

    /// A body that is one record.
    package static func single(_ text: [UInt8]) -> BodyRecords {
        BodyRecords(text, [ByteOrderMark.length(in: text)..<text.count], isSingle: true, envelope: .null)
    }

    /// Whether a body is a list, or an object with a list as its member `name`.
    package static func hasList(_ text: [UInt8], named name: ByteString) -> Bool {
        do throws(EventBodyError) {
            _ = try JSONElements.ranges(in: text, member: name, most: 0)
            return true
        } catch {
            if case .tooMany = error { return true }
            return false
        }
    }

    /// The body without the elements of its list is still JSON.
    private static func envelope(_ text: [UInt8], _ ranges: [Range<Int>]) throws(SDKFault) -> JSONValue {
        var rest = text
        if let first = ranges.first, let last = ranges.last {
            rest = Array(text[..<first.lowerBound])
            rest += text[last.upperBound...]
        }
        do {
            return try JSONParser.parse(rest)
        } catch {
            throw .malformed("the object around the events is not JSON: \(error.reason)")
        }
    }

    /// One record per line; empty lines are skipped.
    package static func lines(_ text: [UInt8], limit: Int) throws(SDKFault) -> BodyRecords {
        var ranges: [Range<Int>] = []
        var at = ByteOrderMark.length(in: text)
        while at < text.count {
            let end = text[at...].firstIndex { $0 == 10 || $0 == 13 } ?? text.count
            if text[at..<end].contains(where: { $0 > 32 }) {
                guard ranges.count < limit else { throw .tooManyEvents(limit: limit) }
                ranges.append(at..<end)
            }
            at = end + 1
        }
        return BodyRecords(text, ranges, isSingle: false, envelope: .null)
    }

    /// The text at a place of a record that is not parsed, such as one that is too long.
    func text(at place: MemberPlace, of index: Int) -> ByteString? { place.text(in: text, ranges[index]) }

    /// Parses a record. Of members with one name the last counts; `NaN` and infinities read as null.
    package func record(_ index: Int) throws(EventFault) -> SourceRecord {
        let range = ranges[index]
        guard range.count <= Limits.eventTextBytes else {
            throw EventFault("body", "the event's text has \(range.count) bytes; the limit is \(Limits.eventTextBytes)", "too_long")
        }
        do {
            return SourceRecord(value: try JSONParser.parse(text, range: range), text: text, range: range)
        } catch {
            throw EventFault(
                "body", "malformed JSON at byte \(error.offset - range.lowerBound) of the event: \(error.reason)", "json_invalid")
        }
    }
}

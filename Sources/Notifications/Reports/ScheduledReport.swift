import FunnelModel

/// A question about a saved funnel that is asked by schedule, and where the answers go (`Protocol/REPORTS.md`).
package struct ScheduledReport: Equatable, Sendable {
    package static let documentBytes = 16 << 10
    package static let channels = 10
    package static let days: ClosedRange<Int64> = 1...366
    /// Members of `POST /v1/query` that a report may have.
    private static let questionMembers: [ByteString] = [
        "breakdown", "trend", "segments", "compare", "count_by", "session_gap", "cohort",
    ]

    package let id: String
    package let title: String
    package let funnelID: ByteString
    package let schedule: ReportSchedule
    /// Complete days before the day of the report.
    package let days: Int
    /// Further members of the query.
    package let question: [JSONValue.Member]
    package let channels: [String]

    /// Reads and checks a document. Throws all faults at once.
    /// - Parameter faultsOfQuery: what is wrong with a body of `POST /v1/query`.
    package static func parse(
        _ document: JSONValue, faultsOfQuery: (JSONValue) -> [FieldFault] = { _ in [] }
    ) throws(InvalidDocument) -> ScheduledReport {
        var reader = FieldReader(document)
        guard document.asObject != nil else { throw InvalidDocument(reader.faults) }
        let id = readID(&reader, "id", "the id to save it under")
        let title = reader.string("title")
        if let title, !(1...NoticeLimits.titleBytes).contains(title.count) {
            reader.faultAt("title", "must have 1 to \(NoticeLimits.titleBytes) bytes")
        }
        let funnelID = readID(&reader, "funnel_id", "the id of a saved funnel")
        let schedule = ReportSchedule.read(&reader)
        let days = reader.integer("days", in: Self.days)
        let channels = readChannels(&reader)
        let question = questionMembers.compactMap { key in reader.value(key).map { JSONValue.Member(key, $0) } }
        reader.rejectUnknown()
        let report = ScheduledReport(
            id: id.string, title: title?.string ?? id.string, funnelID: funnelID,
            schedule: schedule ?? ReportSchedule(minute: 0), days: Int(days ?? (schedule?.weekday == nil ? 1 : 7)), question: question,
            channels: channels)
        // Any day does: what can be wrong is the rest of the question.
        if reader.faults.isEmpty { reader.merge(faultsOfQuery(report.query(ofDay: 20_000))) }
        guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return report
    }

    static func readID(_ reader: inout FieldReader, _ key: ByteString, _ what: String) -> ByteString {
        guard reader.value(key) != nil else {
            reader.faultAt(key, "is required: \(what)")
            return ""
        }
        guard let id = reader.string(key) else { return "" }
        if !FunnelDefinition.isValidID(id) { reader.faultAt(key, "must match [A-Za-z0-9_.-]{1,\(Limits.funnelIDBytes)}") }
        return id
    }

    private static func readChannels(_ reader: inout FieldReader) -> [String] {
        guard let value = reader.value("channels") else { return [] }
        guard let list = value.asArray, list.count <= channels else {
            reader.faultAt("channels", "must be a list of at most \(channels) ids of channels")
            return []
        }
        var ids: [String] = []
        for (i, entry) in list.enumerated() {
            guard let id = entry.asString, FunnelDefinition.isValidID(id) else {
                reader.fault("channels[\(i)]", "must match [A-Za-z0-9_.-]{1,\(Limits.funnelIDBytes)}")
                continue
            }
            if ids.contains(id.string) { reader.fault("channels[\(i)]", "is given twice") }
            ids.append(id.string)
        }
        return ids
    }

    /// The document with all defaults.
    package var json: JSONValue {
        .object(
            [
                .init("id", .text(id)), .init("title", .text(title)), .init("funnel_id", .string(funnelID)),
                .init("schedule", schedule.json), .init("days", .count(days)),
            ] + question + [.init("channels", .array(channels.map { .text($0) }))])
    }

    /// The first and the last day that the report of a day covers.
    package func range(ofDay day: Int64) -> (start: String, end: String) { (Self.date(day - Int64(days)), Self.date(day - 1)) }

    /// The body of `POST /v1/query` for the report of a day.
    package func query(ofDay day: Int64) -> JSONValue {
        let range = range(ofDay: day)
        return .object(
            [
                .init("funnel_id", .string(funnelID)), .init("start", .text(range.start)), .init("end", .text(range.end)),
                .init("time_zone", .string(schedule.zone)),
            ] + question)
    }

    /// `2026-01-31`, of a day in days since 1970.
    static func date(_ day: Int64) -> String {
        let (year, month, day) = Timestamp.civil(day: day)
        func padded(_ number: Int64, _ digits: Int) -> String {
            let text = "\(number)"
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
    }
}

import FunnelModel
import TimeZones

/// A list of users that a webhook gets and is kept up to date with (`Protocol/COHORTS.md`).
package struct SyncedCohort: Equatable, Sendable {
    package static let documentBytes = 16 << 10
    package static let days: ClosedRange<Int64> = 1...366
    package static let every: ClosedRange<Microseconds> = 900_000_000...604_800_000_000
    package static let everyDefault: Microseconds = 86_400_000_000
    package static let membersMax = 1_000_000
    /// Users of a page, added and removed together.
    package static let pageUsers = 1_000
    /// Members of `POST /v1/query/users` that choose users.
    private static let questionMembers: [ByteString] = ["step", "group", "cohort", "count_by", "session_gap", "heavy_users"]

    package let id: String
    package let title: String
    package let funnelID: ByteString
    package let outcome: ListOutcome
    /// Days of step 1, today included.
    package let days: Int
    /// IANA name.
    package let zone: ByteString
    /// From the begin of a run to that of the next one.
    package let every: Microseconds
    package let channel: String
    /// Further members of the query.
    package let question: [JSONValue.Member]

    /// Reads and checks a document. Throws all faults at once.
    /// - Parameter faultsOfQuery: what is wrong with a body of `POST /v1/query/users`.
    package static func parse(
        _ document: JSONValue, faultsOfQuery: (JSONValue) -> [FieldFault] = { _ in [] }
    ) throws(InvalidDocument) -> SyncedCohort {
        var reader = FieldReader(document)
        guard document.asObject != nil else { throw InvalidDocument(reader.faults) }
        let id = ScheduledReport.readID(&reader, "id", "the id to save it under")
        let title = reader.string("title")
        if let title, !(1...NoticeLimits.titleBytes).contains(title.count) {
            reader.faultAt("title", "must have 1 to \(NoticeLimits.titleBytes) bytes")
        }
        let funnelID = ScheduledReport.readID(&reader, "funnel_id", "the id of a saved funnel")
        let outcome: ListOutcome? = reader.choice("outcome")
        let days = reader.integer("days", in: Self.days)
        if reader.value("days") == nil { reader.faultAt("days", "is required: the number of days, today included") }
        let zone = reader.string("time_zone") ?? "UTC"
        if NamedZone(zone.string) == nil { reader.faultAt("time_zone", "\"\(zone.string.prefix(60))\" is not an IANA time zone") }
        let every = readEvery(&reader)
        let channel = ScheduledReport.readID(&reader, "channel", "the id of a channel of the kind webhook")
        let question = questionMembers.compactMap { key in reader.value(key).map { JSONValue.Member(key, $0) } }
        if reader.value("step") == nil { reader.faultAt("step", "is required: a step's number from 1, or its name") }
        reader.rejectUnknown()
        let cohort = SyncedCohort(
            id: id.string, title: title?.string ?? id.string, funnelID: funnelID, outcome: outcome ?? .reached, days: Int(days ?? 1),
            zone: zone, every: every, channel: channel.string, question: question)
        // Any day does: what can be wrong is the rest of the question.
        if reader.faults.isEmpty { reader.merge(faultsOfQuery(cohort.query(ofDay: 20_000))) }
        guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return cohort
    }

    private static func readEvery(_ reader: inout FieldReader) -> Microseconds {
        guard let text = reader.string("every") else { return everyDefault }
        if let value = Microseconds(parsing: text), every.contains(value) { return value }
        reader.faultAt("every", "must be 15m to 7d, such as 1h; \"\(text.string.prefix(40))\" is not")
        return everyDefault
    }

    /// The document with all defaults.
    package var json: JSONValue {
        .object(
            [
                .init("id", .text(id)), .init("title", .text(title)), .init("funnel_id", .string(funnelID)),
                .init("outcome", .text(outcome.rawValue)),
            ] + question + [
                .init("days", .count(days)), .init("time_zone", .string(zone)), .init("every", .text("\(every)")),
                .init("channel", .text(channel)),
            ])
    }

    /// The body of `POST /v1/query/users` now; nil only for a zone that is not known.
    package func query(at now: Int64) -> JSONValue? { ReportSchedule(minute: 0, zone: zone).day(at: now).map(query(ofDay:)) }

    /// The same on a day, in days since 1970.
    package func query(ofDay day: Int64) -> JSONValue {
        .object(
            [
                .init("funnel_id", .string(funnelID)), .init("start", .text(ScheduledReport.date(day - Int64(days) + 1))),
                .init("end", .text(ScheduledReport.date(day))), .init("time_zone", .string(zone)),
                .init("outcome", .text(outcome.rawValue)),
            ] + question)
    }

    /// Whether the two ask for the same users, as often.
    package func asksLike(_ other: SyncedCohort) -> Bool { query(ofDay: 0) == other.query(ofDay: 0) && every == other.every }
}

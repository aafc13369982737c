import FunnelModel
import Notifications
import ReportTables

/// What one report found, as it is kept for deliveries and as webhooks get it.
package struct ReportAnswer: Equatable, Sendable {
    /// Bytes of the answer as JSON.
    static let bytesMax = 200_000
    /// Parts that an answer can lose, in this order.
    private static let parts: [ByteString] = ["breakdown", "trend", "segments"]

    let id: String
    let title: String
    /// Microseconds since 1970 UTC.
    let time: Int64
    /// The first and the last day, such as `2026-01-31`.
    let start: String
    let end: String
    let zone: ByteString
    /// Of `POST /v1/query`.
    let answer: JSONValue
    /// Parts of the answer that were too long.
    let leftOut: [String]

    /// - Parameter answer: loses parts if it is too long.
    /// - Returns: nil if it is too long without them as well.
    package init?(_ report: ScheduledReport, for due: ReportSchedule.Due, answer: JSONValue) {
        id = report.id
        title = report.title
        time = due.time
        (start, end) = report.range(ofDay: due.day)
        zone = report.schedule.zone
        var left: [String] = []
        var members = answer.asObject ?? []
        for part in Self.parts where members.contains(where: { $0.key == part }) {
            guard JSONValue.object(members).encode().count > Self.bytesMax else { break }
            members.removeAll { $0.key == part }
            left.append(part.string)
        }
        guard JSONValue.object(members).encode().count <= Self.bytesMax else { return nil }
        self.answer = .object(members)
        leftOut = left
    }

    package var json: JSONValue {
        [
            "id": .text(id), "title": .text(title), "time": .text(Timestamp.format(time)), "start": .text(start), "end": .text(end),
            "time_zone": .string(zone), "left_out": .array(leftOut.map { .text($0) }), "answer": answer,
        ]
    }

    /// Reads what `json` wrote; nil if it has another form.
    init?(_ value: JSONValue) {
        guard let id = value["id"]?.asString, let title = value["title"]?.asString,
            let time = value["time"]?.asString.flatMap({ try? Timestamp.parse($0) }), let start = value["start"]?.asString,
            let end = value["end"]?.asString, let zone = value["time_zone"]?.asString, let answer = value["answer"],
            let left = value["left_out"]?.asArray
        else { return nil }
        self.id = id.string
        self.title = title.string
        self.time = time
        self.start = start.string
        self.end = end.string
        self.zone = zone
        self.answer = answer
        leftOut = left.compactMap { $0.asString?.string }
    }

    // MARK: - Forms

    /// For mails and webhooks.
    package var content: NoticeContent {
        let drawing = ReportDrawing(self)
        let files = ReportTable.funnel(answer).filter { !$0.isEmpty }.map { table in
            NoticeContent.File(name: "\(id)-\(table.name).csv", type: "text/csv", bytes: table.csv(for: .spreadsheet))
        }
        return NoticeContent(report: json, html: drawing.html, text: drawing.text, files: files)
    }

    /// - Parameters:
    ///   - content: where this answer is kept.
    ///   - publicURL: of the dashboard; empty: there is no link.
    func notice(project: UInt32, content: String, publicURL: String) -> Notice {
        let names: [(String, ByteString)] = [("entered", "entered"), ("converted", "converted"), ("conversion", "conversion")]
        let funnel = answer["funnel"]?["funnel_id"]?.asString?.string
        return Notice(
            key: Self.key(id, time), rule: id, project: project, title: "\(title), \(start == end ? start : "\(start) to \(end)")",
            text: ReportDrawing(self).stepLines.joined(separator: "\n"),
            numbers: names.compactMap { name, key in answer[key]?.asDouble.map { Notice.Number(name, $0) } },
            link: publicURL.isEmpty ? nil : funnel.map { "\(publicURL)/?page=funnel&funnel=\($0)" }, status: .info, starts: time,
            content: content)
    }

    static func key(_ id: String, _ time: Int64) -> String { "report/\(id)/\(Timestamp.format(time))" }
}

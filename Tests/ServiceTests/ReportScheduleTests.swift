import CoordinatorService
import FunnelModel
import Notifications
import Testing

/// When reports are due, where clocks change and where they do not.
struct ReportScheduleTests {
    private static func time(_ text: String) throws -> Int64 { try Timestamp.parse(ByteString(text)) }

    private func walk(_ schedule: ReportSchedule, from: String, to: String) throws -> [ReportSchedule.Due] {
        var found: [ReportSchedule.Due] = []
        var now = try Self.time(from)
        let end = try Self.time(to)
        while let due = schedule.next(after: now), due.time < end {
            // What is next is the latest once it has come, and not before.
            #expect(schedule.latest(at: due.time) == due)
            #expect(schedule.latest(at: due.time - 1) != due)
            found.append(due)
            now = due.time
        }
        return found
    }

    @Test(arguments: [
        ("Europe/Berlin", 150), ("America/New_York", 150), ("Australia/Lord_Howe", 135), ("America/Sao_Paulo", 0), ("UTC", 1_439),
    ])
    func eachDayHasOneTime(_ zone: String, _ minute: Int) throws {
        let schedule = ReportSchedule(minute: minute, zone: ByteString(zone))
        let found = try walk(schedule, from: "2017-01-01T00:00:00Z", to: "2019-01-01T00:00:00Z")
        let days = found.map(\.day)
        #expect(zip(days, days.dropFirst()).allSatisfy { $1 == $0 + 1 })
        #expect((729...731).contains(days.count))
    }

    @Test func aSkippedTimeComesAfterTheGapAndARepeatedOneOnce() throws {
        let schedule = ReportSchedule(minute: 150, zone: "Europe/Berlin")
        let spring = try walk(schedule, from: "2026-03-28T12:00:00Z", to: "2026-03-30T12:00:00Z")
        #expect(spring.map { Timestamp.format($0.time) } == ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"])
        let autumn = try walk(schedule, from: "2026-10-24T12:00:00Z", to: "2026-10-26T12:00:00Z")
        #expect(autumn.map { Timestamp.format($0.time) } == ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"])
    }

    @Test func aDayThatAZoneLeftOutHasNone() throws {
        let schedule = ReportSchedule(minute: 480, zone: "Pacific/Apia")
        let found = try walk(schedule, from: "2011-12-28T00:00:00Z", to: "2012-01-02T00:00:00Z")
        let skipped = Timestamp.days(year: 2011, month: 12, day: 30)
        #expect(!found.isEmpty && !found.contains { $0.day == skipped })
    }

    @Test func aWeekHasOneTime() throws {
        let schedule = ReportSchedule(weekday: .monday, minute: 480, zone: "Europe/Berlin")
        let found = try walk(schedule, from: "2026-01-01T00:00:00Z", to: "2027-01-01T00:00:00Z")
        #expect(found.count == 52)
        #expect(found.allSatisfy { ($0.day + 3) % 7 == 0 })
    }

    // MARK: - Documents

    private static let document: JSONValue = [
        "id": "weekly", "funnel_id": "shop",
        "schedule": ["every": "week", "weekday": "monday", "at": "08:00", "time_zone": "Europe/Berlin"], "channels": ["log"],
    ]

    private static func changed(_ key: ByteString, _ value: JSONValue) -> JSONValue {
        .object((document.asObject ?? []).filter { $0.key != key } + [.init(key, value)])
    }

    @Test func aReportCoversTheDaysBefore() throws {
        let report = try ScheduledReport.parseWithQuestion(Self.document)
        let due = try #require(report.schedule.latest(at: try Self.time("2026-03-02T12:00:00Z")))
        #expect(Timestamp.format(due.time) == "2026-03-02T07:00:00Z")
        #expect(report.range(ofDay: due.day) == ("2026-02-23", "2026-03-01"))
        #expect(report.query(ofDay: due.day)["time_zone"] == "Europe/Berlin")
        #expect(try ScheduledReport.parseWithQuestion(report.json) == report)
        let daily = try ScheduledReport.parseWithQuestion(Self.changed("schedule", ["every": "day", "at": "00:00"]))
        #expect(daily.days == 1)
    }

    @Test(
        arguments: [
            ("id", "a b", "id"), ("title", "", "title"), ("days", 0, "days"), ("days", 367, "days"),
            ("channels", ["a", "a"], "channels[1]"),
            ("channels", "a", "channels"), ("trend", ["by": "fortnight"], "trend.by"), ("compare", "last", "compare"),
            ("start", "2026-01-01", "start"),
            ("schedule", ["every": "week", "at": "08:00"], "schedule.weekday"),
            ("schedule", ["every": "day", "at": "24:00"], "schedule.at"),
            ("schedule", ["every": "day", "at": "8:00"], "schedule.at"), ("schedule", ["every": "day"], "schedule.at"),
            ("schedule", ["every": "day", "at": "08:00", "weekday": "monday"], "schedule.weekday"),
            ("schedule", ["every": "day", "at": "08:00", "time_zone": "Mars/Base"], "schedule.time_zone"),
            ("schedule", "daily", "schedule"), ("breakdown", ["property": "x", "k": -1], "breakdown.k"),
        ] as [(ByteString, JSONValue, String)])
    func faultsNameTheirField(_ key: ByteString, _ value: JSONValue, _ field: String) {
        let error = #expect(throws: InvalidDocument.self) { try ScheduledReport.parseWithQuestion(Self.changed(key, value)) }
        #expect(error?.faults.map(\.field) == [field])
    }
}

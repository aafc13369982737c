import CoordinatorService
import Foundation
import FunnelModel
import FunnelProtocol
import Metadata
import Notifications
import ServiceRuntime
import Testing

/// Reports that are sent by a clock that the test moves, with the real metadata store, outbox and file channel. The answers of the funnel
/// are made up.
@Suite(.timeLimit(.minutes(2)))
struct ReportSchedulerTests {
    /// Where the process ends.
    enum Crash: Sendable { case beforeNotice, afterNotice }

    private struct Bench {
        let folder: URL
        let store: SQLiteMetadataStore
        /// Monday, 2026-03-02, 06:00 UTC.
        let clock = Shared<Int64>(1_772_431_200_000_000)
        let asked = Shared(0)
        let crash = Shared<Crash?>(nil)
        /// What a query answers with in place of the funnel.
        let fault = Shared<ProtocolError?>(nil)
        let answer = Shared<JSONValue>(Bench.answer(values: 2))

        static let report: JSONValue = [
            "id": "daily", "title": "Shop <b>", "funnel_id": "shop", "schedule": ["every": "day", "at": "08:00"], "channels": ["log"],
        ]

        static func answer(values: Int) -> JSONValue {
            let rows = (0..<values).map { i -> JSONValue in
                [
                    "value": .text("=value \(i) <script>\(String(repeating: "x", count: 40))"), "entered": 10, "converted": 5,
                    "conversion": 0.5, "steps": [],
                ]
            }
            return [
                "funnel": ["funnel_id": "shop"], "entered": 10, "converted": 5, "conversion": 0.5,
                "steps": [
                    ["step": "visit", "index": 1, "count": 10, "dropoff": .null, "conversion_from_first": 1],
                    ["step": "pay\r\nBcc: <script>", "index": 2, "count": 5, "dropoff": 5, "conversion_from_first": 0.5],
                ],
                "breakdown": ["property": "country", "rows": .array(rows), "other": .null],
            ]
        }

        /// The notices of the file channel.
        func notices() throws -> [JSONValue] {
            let text = (try? String(contentsOf: folder.appendingPathComponent("log"), encoding: .utf8)) ?? ""
            return try text.split(separator: "\n").map { try JSONParser.parse(Array($0.utf8)) }
        }
    }

    /// A coordinator's reports over a store; a second one over the same store is the process after a restart.
    private struct Process {
        let desk: NoticeDesk
        let scheduler: ReportScheduler

        init(_ bench: Bench) async throws {
            var sender = NoticeSender.Settings(targets: .none)
            sender.directory = bench.folder.path
            let channels = SavedChannels(bench.store, settings: NoticeSettings(sender: sender), logger: FakeShards.quiet)
            let (clock, asked, crash, fault, answer) = (bench.clock, bench.asked, bench.crash, bench.fault, bench.answer)
            desk = try await NoticeDesk(
                bench.store, channels: channels, sender: NoticeSender(sender), metrics: Metrics(), logger: FakeShards.quiet,
                clock: { clock.value })
            scheduler = ReportScheduler(
                ReportBook(bench.store, logger: FakeShards.quiet),
                .init { id, _ in
                    id == "shop" ? try FunnelDefinition.parse(["steps": ["visit", "buy"]]) : nil
                } channels: { _ in
                    ["log"]
                } answer: { _, _ in
                    asked.add()
                    if let fault = fault.value { throw fault }
                    return answer.value
                } submit: { [desk] in
                    if crash.value == .beforeNotice { throw CancellationError() }
                    try await desk.submit($0, to: $1, project: $2)
                    if crash.value == .afterNotice { throw CancellationError() }
                }, logger: FakeShards.quiet)
        }

        func state(_ id: String = "daily") async throws -> ReportEntry.State? { try await scheduler.book.get(id, project: 1)?.state }
    }

    /// - Parameter isRunning: whether notices are delivered.
    private func withBench(isRunning: Bool = true, _ body: (Bench, Process) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-reports-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let bench = Bench(folder: folder, store: try SQLiteMetadataStore(path: folder.appendingPathComponent("metadata.sqlite").path))
        let process = try await Process(bench)
        _ = try await process.desk.channels.put(["kind": "file", "settings": ["file": "log"]], id: "log", project: 1)
        guard isRunning else { return try await body(bench, process) }
        try await running(process) { try await body(bench, process) }
    }

    private func running(_ process: Process, _ body: () async throws -> Void) async throws {
        let task = Task { await process.desk.run() }
        defer { task.cancel() }
        try await body()
    }

    private func save(_ bench: Bench, _ process: Process, _ document: JSONValue = Bench.report) async throws {
        _ = try await process.scheduler.book.put(try ScheduledReport.parse(document), project: 1, now: bench.clock.value)
    }

    /// Sends and delivers what is due after some hours.
    private func pass(hours: Int64, _ bench: Bench, _ process: Process) async throws {
        bench.clock.change { $0 += hours * 3_600_000_000 }
        await process.scheduler.sendDue(now: bench.clock.value)
        try await deliver(bench, process)
    }

    /// Until nothing waits for the channel.
    private func deliver(_ bench: Bench, _ process: Process) async throws {
        while await process.desk.state(of: "log", project: 1)["waiting"] != 0 { try await Task.sleep(for: .milliseconds(5)) }
    }

    @Test func aReportIsSentOnceADay() async throws {
        try await withBench { (bench, process) async throws -> Void in
            try await save(bench, process)
            for _ in 0..<72 { try await pass(hours: 1, bench, process) }
            let notices = try bench.notices()
            #expect(
                notices.map { $0["key"] } == ["02", "03", "04"].map { .text("report/daily/2026-03-\($0)T08:00:00Z") })
            #expect(bench.asked.value == 3)
            #expect(notices.first?["title"] == "Shop <b>, 2026-03-01")
            let report = try #require(notices.first?["report"])
            #expect(report["answer"] == bench.answer.value && report["left_out"] == [] && report["start"] == "2026-03-01")
            #expect(notices.first?["content"] == nil)
        }
    }

    @Test func aTimeBeforeTheReportWasSavedIsNotSent() async throws {
        try await withBench { (bench, process) async throws -> Void in
            bench.clock.change { $0 += 3 * 3_600_000_000 }
            try await save(bench, process)
            try await pass(hours: 1, bench, process)
            #expect(try bench.notices().isEmpty)
            // Another title keeps what was sent.
            try await pass(hours: 22, bench, process)
            try await save(bench, process, .object((Bench.report.asObject ?? []).filter { $0.key != "title" }))
            try await pass(hours: 1, bench, process)
            #expect(try bench.notices().count == 1)
        }
    }

    @Test(arguments: [Crash.beforeNotice, .afterNotice])
    func aCrashLosesAndRepeatsNothing(_ crash: Crash) async throws {
        try await withBench(isRunning: false) { (bench, process) async throws -> Void in
            try await save(bench, process)
            bench.crash.change { $0 = crash }
            bench.clock.change { $0 += 3 * 3_600_000_000 }
            await process.scheduler.sendDue(now: bench.clock.value)
            #expect(try await process.state()?.sent == nil)
            bench.crash.change { $0 = nil }
            let later = try await Process(bench)
            try await running(later) { () async throws -> Void in
                for _ in 0..<3 { try await pass(hours: 1, bench, later) }
            }
            #expect(try bench.notices().count == 1)
            // The answer was stored before.
            #expect(bench.asked.value == 1)
        }
    }

    @Test func aMissedTimeIsSentWithinADay() async throws {
        try await withBench { (bench, process) async throws -> Void in
            try await save(bench, process)
            let weekly = Bench.report.asObject?.map { member -> JSONValue.Member in
                switch member.key {
                case "id": .init("id", "weekly")
                case "schedule": .init("schedule", ["every": "week", "weekday": "monday", "at": "08:00"])
                default: member
                }
            }
            try await save(bench, process, .object(weekly ?? []))
            // Down from Monday to Wednesday: Monday's weekly report is too old, of the daily ones the latest is sent.
            try await pass(hours: 50, bench, process)
            #expect(try bench.notices().map { $0["key"] } == ["report/daily/2026-03-04T08:00:00Z"])
            let state = try await process.state("weekly")
            #expect(state?.problem?.contains("was not sent within a day") == true && state?.sent == nil)
        }
    }

    @Test func withoutAnAnswerItIsTriedAgainAndAFaultIsSaidOnce() async throws {
        try await withBench { (bench, process) async throws -> Void in
            try await save(bench, process)
            bench.fault.change { $0 = ProtocolError(.shardUnavailable, "shard 1 is down") }
            try await pass(hours: 3, bench, process)
            #expect(try await process.state()?.problem == "shard 1 is down")
            bench.fault.change { $0 = nil }
            try await pass(hours: 1, bench, process)
            #expect(try bench.notices().map { $0["report"] == nil } == [false])
            #expect(try await process.state()?.problem == nil)
            bench.fault.change { $0 = ProtocolError(.unknownFunnel, "no funnel is saved under this id") }
            try await pass(hours: 24, bench, process)
            try await pass(hours: 1, bench, process)
            let notices = try bench.notices()
            #expect(notices.count == 2 && notices.last?["text"] == "no funnel is saved under this id")
            #expect(notices.last?["title"] == "Shop <b> was not made")
        }
    }

    @Test func aReportIsSentNow() async throws {
        try await withBench { (bench, process) async throws -> Void in
            try await save(bench, process)
            let entry = try #require(try await process.scheduler.book.get("daily", project: 1))
            let sent = try await process.scheduler.sendNow(entry, now: bench.clock.value)
            #expect(sent.key == "report/daily/2026-03-02T06:00:00Z" && sent.channels == ["log"])
            try await deliver(bench, process)
            #expect(try bench.notices().map { $0["report"]?["end"] } == ["2026-03-01"])
            // Answers do not pile up.
            for i in 1...20 { _ = try await process.scheduler.sendNow(entry, now: bench.clock.value + Int64(i) * 1_000_000) }
            #expect(try await bench.store.list(prefix: "report-answer/").count == 5)
            try await process.scheduler.book.delete("daily", project: 1)
            #expect(try await bench.store.list(prefix: "report").isEmpty)
        }
    }

    @Test func aLongAnswerLosesPartsAndSaysSo() async throws {
        try await withBench { (bench, process) async throws -> Void in
            bench.answer.change { $0 = Bench.answer(values: 3_000) }
            try await save(bench, process)
            try await pass(hours: 3, bench, process)
            let report = try #require(try bench.notices().first?["report"])
            #expect(report["left_out"] == ["breakdown"] && report["answer"]?["breakdown"] == nil)
            for (_, entry) in try await bench.store.list(prefix: "") { #expect(entry.value.count < 512 << 10) }
        }
    }

    @Test func namesAreEscapedAndFormulasGuarded() throws {
        let report = try ScheduledReport.parse(Bench.report)
        let answer = try #require(ReportAnswer(report, for: .init(time: 0, day: 20_000), answer: Bench.answer(values: 2)))
        let content = answer.content
        #expect(!content.html.contains("<script") && content.html.contains("&lt;script&gt;"))
        #expect(content.html.contains("<td width=\"50%\" height=\"16\" bgcolor=\"#2f6fde\""))
        #expect(content.text.contains("1. visit: 10 (100.0 %)\n2. pay") && !content.text.contains("\r"))
        #expect(content.files.map(\.name) == ["daily-breakdown.csv", "daily-steps.csv"])
        let table = String(decoding: content.files.first?.bytes ?? [], as: UTF8.self)
        #expect(table.contains("\"'=value 0"))
        #expect(!table.contains("\"=value"))
    }
}

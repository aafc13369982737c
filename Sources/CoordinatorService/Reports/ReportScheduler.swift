import FunnelModel
import FunnelProtocol
import Logging
import Notifications
import RPC
import ServiceRuntime

/// Makes and sends reports by schedule, one after another.
///
/// The answer is stored before the notice is given to the desk, and the notice before the time counts as done. If the process ends between
/// two of these, the next round goes on with the stored answer, and the outbox takes a notice with the same key once.
package final class ReportScheduler: Sendable {
    /// What the scheduler works with.
    package struct Source: Sendable {
        var funnel: @Sendable (ByteString, UInt32) async throws -> FunnelDefinition?
        var channels: @Sendable (UInt32) async throws -> Set<ByteString>
        /// The answer of `POST /v1/query` with this body.
        var answer: @Sendable ([UInt8], UInt32) async throws -> JSONValue
        /// Takes notices for channels; when it returns they are stored.
        var submit: @Sendable ([Notice], [String], UInt32) async throws -> Void

        package init(
            funnel: @escaping @Sendable (ByteString, UInt32) async throws -> FunnelDefinition?,
            channels: @escaping @Sendable (UInt32) async throws -> Set<ByteString>,
            answer: @escaping @Sendable ([UInt8], UInt32) async throws -> JSONValue,
            submit: @escaping @Sendable ([Notice], [String], UInt32) async throws -> Void
        ) {
            self.funnel = funnel
            self.channels = channels
            self.answer = answer
            self.submit = submit
        }
    }

    /// A report is sent up to this long after its time.
    private static let lateMicroseconds: Int64 = 86_400_000_000
    private static let period = Duration.seconds(10)

    package let book: ReportBook
    private let source: Source
    private let publicURL: String
    private let limit = LogLimit(lines: 5)
    private let logger: Logger

    package init(_ book: ReportBook, _ source: Source, publicURL: String = "", logger: Logger) {
        self.book = book
        self.source = source
        self.publicURL = publicURL
        self.logger = logger
    }

    /// Until cancelled: sends what is due.
    package func run(clock: @Sendable () -> Int64 = { WallClock.now() }) async {
        while !Task.isCancelled {
            await sendDue(now: clock())
            try? await Task.sleep(for: Self.period)
        }
    }

    /// Sends the reports whose time has come.
    package func sendDue(now: Int64) async {
        let entries: [ReportEntry]
        do {
            entries = try await book.all()
        } catch  where Task.isCancelled {
            return
        } catch {
            limit.log(logger, .error, "reports", "reports could not be read", ["error": "\(words(error))"])
            return
        }
        for entry in entries {
            guard !Task.isCancelled else { return }
            guard let due = entry.report.schedule.latest(at: now), due.time > entry.state.handled else { continue }
            do {
                try await handle(entry, due, now: now)
            } catch  where Task.isCancelled {
                return
            } catch {
                limit.log(
                    logger, .error, "report \(entry.project)/\(entry.report.id)", "a report could not be sent; it is tried again",
                    ["project": "\(entry.project)", "report": "\(entry.report.id)", "error": "\(words(error))"])
            }
        }
    }

    private func handle(_ entry: ReportEntry, _ due: ReportSchedule.Due, now: Int64) async throws {
        var state = entry.state
        if now - due.time > Self.lateMicroseconds {
            state.handled = due.time
            let reason = state.problem ?? "the coordinator was down"
            state.problem = "the report of \(Timestamp.format(due.time)) was not sent within a day: \(reason)"
            return try await book.note(entry, state)
        }
        do {
            try await send(entry, due, now: now)
            state = .init(handled: due.time, sent: due.time)
        } catch let error where Self.isPermanent(error) {
            let reason = Self.reason(error)
            let notice = Notice(
                key: ReportAnswer.key(entry.report.id, due.time), rule: entry.report.id, project: entry.project,
                title: "\(entry.report.title) was not made", text: reason, status: .info, starts: due.time)
            try await source.submit([notice], entry.report.channels, entry.project)
            state = .init(handled: due.time, sent: state.sent, problem: reason)
        } catch  where !(error is CancellationError) {
            state.problem = Self.reason(error)
            if state != entry.state { try await book.note(entry, state) }
            throw error
        }
        try await book.note(entry, state)
    }

    /// Makes the report for a time, unless that is done, and gives it to the channels.
    private func send(_ entry: ReportEntry, _ due: ReportSchedule.Due, now: Int64) async throws {
        let report = entry.report
        var kept = try await book.answer(entry, time: due.time)
        if kept == nil {
            let answer = try await source.answer(report.query(ofDay: due.day).encode(), entry.project)
            guard let made = ReportAnswer(report, for: due, answer: answer) else {
                throw ProtocolError(.tooLarge, "the answer has more than \(ReportAnswer.bytesMax) bytes, the limit")
            }
            try await book.keep(made, entry, time: due.time, now: now)
            kept = made
        }
        guard let kept else { return }
        let key = book.answerKey(entry, due.time)
        let notice = kept.notice(project: entry.project, content: key, publicURL: publicURL)
        try await source.submit([notice], report.channels, entry.project)
    }

    /// Whether another attempt would fail in the same way, until somebody changes the report or the funnel.
    private static func isPermanent(_ error: any Error) -> Bool {
        if let error = error as? ProtocolError { return !error.retryable && error.code != .cancelled && error.code != .unknownError }
        return error is InvalidDocument
    }

    private static func reason(_ error: any Error) -> String {
        if let error = error as? InvalidDocument { return error.faults.map { "\($0.field) \($0.reason)" }.joined(separator: "; ") }
        return (error as? ProtocolError)?.message ?? words(error)
    }

    // MARK: - For people

    /// Throws if the report names a funnel or a channel that does not exist.
    func check(_ report: ScheduledReport, project: UInt32) async throws {
        var faults: [FieldFault] = []
        if try await source.funnel(report.funnelID, project) == nil {
            faults.append(FieldFault("funnel_id", "names the funnel \(report.funnelID.string), which does not exist"))
        }
        let known = report.channels.isEmpty ? [] : try await source.channels(project)
        for (i, channel) in report.channels.enumerated() where !known.contains(ByteString(channel)) {
            faults.append(FieldFault("channels[\(i)]", "names the channel \(channel), which does not exist"))
        }
        if !faults.isEmpty { throw InvalidDocument(faults) }
    }

    /// Makes and sends a report now.
    /// - Returns: the key of its notice and the channels that it goes to.
    package func sendNow(_ entry: ReportEntry, now: Int64) async throws -> (key: String, channels: [String]) {
        guard let day = entry.report.schedule.day(at: now) else {
            throw InvalidDocument([FieldFault("schedule.time_zone", "is not an IANA time zone")])
        }
        try await send(entry, .init(time: now, day: day), now: now)
        let known = try await source.channels(entry.project)
        return (ReportAnswer.key(entry.report.id, now), entry.report.channels.filter { known.contains(ByteString($0)) })
    }
}

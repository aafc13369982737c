import FunnelModel
import Notifications

/// A saved report and what became of its times.
package struct ReportEntry: Equatable, Sendable {
    package struct State: Equatable, Sendable {
        /// No time up to this one is sent any more, in microseconds since 1970.
        package var handled: Int64
        /// The last time that was sent.
        package var sent: Int64?
        /// Why the last time was not sent.
        package var problem: String?

        package init(handled: Int64, sent: Int64? = nil, problem: String? = nil) {
            self.handled = handled
            self.sent = sent
            self.problem = problem
        }
    }

    package var project: UInt32
    package var report: ScheduledReport
    package var revision: UInt64
    package var state: State

    /// The report with all defaults, and its state.
    package func json(now: Int64) -> JSONValue {
        func time(_ time: Int64?) -> JSONValue { time.map { .text(Timestamp.format($0)) } ?? .null }
        let state: JSONValue = [
            "next": time(report.schedule.next(after: now)?.time), "sent": time(state.sent),
            "problem": state.problem.map { .text($0) } ?? .null,
        ]
        return .object((report.json.asObject ?? []) + [.init("state", state)])
    }
}

extension ReportEntry.State {
    var json: JSONValue {
        [
            "handled": .integer(handled), "sent": sent.map { .integer($0) } ?? .null, "problem": problem.map { .text($0) } ?? .null,
        ]
    }

    /// Reads what `json` wrote; nil if it has another form.
    init?(_ value: JSONValue) {
        guard let handled = value["handled"]?.asInteger else { return nil }
        self.init(handled: handled, sent: value["sent"]?.asInteger, problem: value["problem"]?.asString?.string)
    }
}

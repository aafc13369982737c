import EventStorage
import FunnelModel
import FunnelProtocol
import IngestService
import Logging
import ServiceRuntime
import ShardService
import Testing

/// The label `reason` of `sluice_ingest_events_rejected_total`.
struct RejectReasonTests {
    /// What a shard answers for each of its codes.
    private static let ofShards: [(code: RejectedRow.Code, reason: RejectReason)] = [
        (.tooManyEventNames, .limit), (.tooManyPropertyKeys, .limit), (.tooManyUsers, .limit), (.eventNamesTooFast, .limit),
        (.timeAhead, .timestamp),
    ]

    @Test func everyCodeOfAShardHasItsOwnReason() {
        #expect(Set(Self.ofShards.map(\.code)) == Set(RejectedRow.Code.allCases))
        for (code, reason) in Self.ofShards { #expect(RejectReason(ofShard: code.reason(StoreOptions())) == reason, "\(code)") }
    }

    @Test(arguments: [
        ("event_names_max", RejectReason.other), ("event_names_max: the project has", .limit), ("users_per_bucket_max:", .limit),
        ("user_id: must not be empty", .user), ("event: is too long", .event), ("event_type: is too long", .event),
        ("properties.price: is too long", .properties), ("event_id: is too long", .id), ("colour: is new", .other), ("", .other),
        ("no field at all", .other), (": ", .body), ("limit: none", .limit),
    ])
    func aTextBeginsWithItsReason(text: String, reason: RejectReason) {
        #expect(RejectReason(ofShard: text) == reason)
    }

    @Test func eventsCountByTheirOwnReasons() {
        let metrics = Metrics()
        let figures = IngestMetrics(metrics)
        let lines = Shared<[String]>([])
        let logger = Logger(label: "test") { _ in LogLines(lines) }
        let reasons = Self.ofShards.map { $0.code.reason(StoreOptions()) }
        let rejected = (reasons + reasons + [reasons[4]]).enumerated().map { AppendOutcome.RejectedRow(row: $0, reason: $1) }
        figures.note(AppendOutcome(accepted: 7, rejected: rejected, retry: [20, 21]), project: 3, logger: logger)
        figures.note([EventFault("user_id", "x"), EventFault("", "x"), .tooFarAhead], project: 3)
        let counted = metrics.exposition.split(separator: "\n").filter { $0.hasPrefix("sluice_ingest_events_rejected_total{") }.sorted()
        func count(_ reason: String, _ n: Int) -> Substring {
            "sluice_ingest_events_rejected_total{project=\"3\",reason=\"\(reason)\"} \(n)"
        }
        #expect(counted == [count("body", 1), count("limit", 8), count("timestamp", 4), count("user_id", 1)])
        #expect(metrics.exposition.contains("sluice_ingest_events_accepted_total{project=\"3\"} 7"))
        #expect(metrics.exposition.contains("sluice_ingest_events_handed_back_total 2"))
        #expect(lines.value == ["events refused: their project has reached a limit: 8"])
        // Events that are too far ahead are no matter of a limit.
        figures.note(AppendOutcome(accepted: 0, rejected: [.init(row: 0, reason: reasons[4])]), project: 4, logger: logger)
        #expect(lines.value.count == 1)
    }

    /// From the wire: each row names the field that is at fault.
    @Test func textThatIsNotUTF8IsAFaultOfItsField() {
        let bad = ByteString([0xFF])
        let good = Event(user: "u", name: "e", time: 1_700_000_000_000_000, id: "i", properties: [.init("k", .string("v"))])
        let changes: [(field: String, change: (inout Event) -> Void)] = [
            ("user_id", { $0.user = bad }), ("event", { $0.name = bad }), ("event_id", { $0.id = bad }),
            ("properties", { $0.properties[0].key = bad }), ("properties", { $0.properties[0].value = .string(bad) }),
        ]
        let events = changes.map { _, change in
            var event = good
            change(&event)
            return event
        }
        let read = BatchReader(now: 1_700_000_000_000_000, idempotencyKey: "", eventsMax: 10)
            .columns(EventBatchBuilder([good] + events).finish())
        #expect(read.index == [0])
        #expect(read.rejected.map(\.index) == [1, 2, 3, 4, 5] && read.rejected.map(\.fault.field) == changes.map(\.field))
    }
}

/// Keeps what is logged: the message and the number of events.
private struct LogLines: LogHandler {
    private let lines: Shared<[String]>
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    init(_ lines: Shared<[String]>) { self.lines = lines }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        lines.change { $0.append("\(event.message): \(event.metadata?["events"].map { "\($0)" } ?? "")") }
    }
}

import CoordinatorService
import Foundation
import FunnelAlerts
import FunnelModel
import FunnelProtocol
import Metadata
import Notifications
import ServiceRuntime
import Testing

/// Alert rules in the coordinator: evaluated by a clock that the test moves, with the real metadata store, outbox and file channel. The
/// answers of the funnel are made up.
@Suite(.timeLimit(.minutes(2)))
struct AlertEvaluatorTests {
    /// A store that can fail to write some keys.
    private struct FaultyStore: MetadataStore {
        struct Failed: Error {}

        let base: SQLiteMetadataStore
        /// Beginning of the keys that cannot be written; empty: all can.
        let broken = Shared("")

        func get(_ key: String) async throws -> Versioned? { try await base.get(key) }
        func list(prefix: String) async throws -> [(key: String, entry: Versioned)] { try await base.list(prefix: prefix) }
        func raise(above revision: UInt64) async throws { try await base.raise(above: revision) }
        func watch(after revision: UInt64, patience: Duration) async -> UInt64 { await base.watch(after: revision, patience: patience) }
        func compareAndSet(_ writes: [MetadataWrite]) async throws -> UInt64 {
            let prefix = broken.value
            if !prefix.isEmpty, writes.contains(where: { $0.key.hasPrefix(prefix) }) { throw Failed() }
            return try await base.compareAndSet(writes)
        }
    }

    /// A coordinator's alerts over a store; a second one over the same store is the process after a restart.
    private struct Alerts {
        let desk: NoticeDesk
        let book: AlertBook
        let evaluator: AlertEvaluator
        let metrics = Metrics()

        init(_ test: Bench) async throws {
            var sender = NoticeSender.Settings(targets: .none)
            sender.directory = test.folder.path
            let settings = NoticeSettings(sender: sender)
            let channels = SavedChannels(test.store, settings: settings, logger: FakeShards.quiet)
            let clock = test.clock
            desk = try await NoticeDesk(
                test.store, channels: channels, sender: NoticeSender(sender), metrics: metrics, logger: FakeShards.quiet,
                clock: { clock.value })
            book = AlertBook(test.store, desk: desk, publicURL: "https://sluice.example.com", logger: FakeShards.quiet)
            let funnel = test.funnel
            let (share, asked, answers) = (test.share, test.asked, test.answers)
            evaluator = AlertEvaluator(
                book,
                .init { id, _ in
                    id == "shop" ? funnel.value : nil
                } channels: { [channels] project in
                    Set(try await channels.list(project: project).map { ByteString($0.channel.id) })
                } answer: { _, _ in
                    asked.add()
                    guard answers.value else { throw ProtocolError(.shardUnavailable, "no answer") }
                    let count = share.value
                    return [
                        "steps": [
                            ["count": 1_000, "dropoff": 0], ["count": .count(count), "dropoff": .count(1_000 - count)],
                        ]
                    ]
                }, metrics: metrics, logger: FakeShards.quiet)
        }

        func save(_ document: JSONValue, now: Int64) async throws -> AlertEntry {
            try await book.put(try AlertRule.parse(document), project: 1, now: now).entry
        }
    }

    private struct Bench {
        let folder: URL
        let store: FaultyStore
        let clock = Shared<Int64>(1_772_452_800_000_000)
        let funnel: Shared<FunnelDefinition?>
        /// Users of 1,000 who convert.
        let share = Shared(500)
        let asked = Shared(0)
        let answers = Shared(true)

        static let rule: JSONValue = [
            "id": "low", "funnel_id": "shop", "metric": ["kind": "conversion"], "condition": ["threshold": ["below": 0.4]],
            "period": "5m", "within": "5m", "channels": ["log"],
        ]

        init(_ folder: URL, _ base: SQLiteMetadataStore) throws {
            self.folder = folder
            store = FaultyStore(base: base)
            funnel = Shared(try FunnelDefinition.parse(["steps": ["a", "b"], "window_duration": "1h"]))
        }

        /// The notices of the file channel, once there are as many; `status` and `key` of each.
        func notices(_ count: Int) async throws -> [String] {
            while true {
                let text = (try? String(contentsOf: folder.appendingPathComponent("log"), encoding: .utf8)) ?? ""
                let lines = try text.split(separator: "\n").map { line -> String in
                    let notice = try JSONParser.parse(Array(line.utf8))
                    let rule = notice["rule"]?.asString?.string ?? ""
                    #expect(notice["link"]?.asString?.string == "https://sluice.example.com/?page=alerts&rule=\(rule)")
                    return "\(notice["status"]?.asString?.string ?? "") \(notice["key"]?.asString?.string ?? "")"
                }
                if lines.count >= count { return lines }
                try await Task.sleep(for: .milliseconds(5))
            }
        }

        /// Moves the clock by 5 minutes and evaluates, `times` times.
        func pass(_ times: Int, _ alerts: Alerts) async {
            for _ in 0..<times {
                clock.change { $0 += 300_000_000 }
                await alerts.evaluator.evaluate(now: clock.value)
            }
        }
    }

    private func withBench(_ body: (Bench, Alerts) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-alerts-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let bench = try Bench(folder, try SQLiteMetadataStore(path: folder.appendingPathComponent("metadata.sqlite").path))
        let alerts = try await Alerts(bench)
        _ = try await alerts.desk.channels.put(["kind": "file", "settings": ["file": "log"]], id: "log", project: 1)
        try await running(alerts) { try await body(bench, alerts) }
    }

    private func running(_ alerts: Alerts, _ body: () async throws -> Void) async throws {
        let task = Task { await alerts.desk.run() }
        defer { task.cancel() }
        try await body()
    }

    @Test func aRuleFiresOnceAndResolvesOnce() async throws {
        try await withBench { (bench, alerts) async throws -> Void in
            _ = try await alerts.save(Bench.rule, now: bench.clock.value)
            await bench.pass(3, alerts)
            #expect(try await alerts.book.get("low", project: 1)?.status == "ok")
            bench.share.change { $0 = 300 }
            await bench.pass(4, alerts)
            let entry = try #require(try await alerts.book.get("low", project: 1))
            #expect(entry.status == "firing" && entry.state.groups[.whole]?.value == 0.3)
            bench.share.change { $0 = 500 }
            await bench.pass(4, alerts)
            let lines = try await bench.notices(2)
            let key = lines[0].split(separator: " ")[1]
            #expect(lines == ["firing \(key)", "resolved \(key)"])
            let history = try #require(try await alerts.book.history("low", project: 1)?.asArray)
            #expect(history.map { $0["kind"] } == ["firing", "resolved"])
            // One question for each period.
            #expect(bench.asked.value == 11)
        }
    }

    @Test func rulesThatAskTheSameShareAQuestion() async throws {
        try await withBench { (bench, alerts) async throws -> Void in
            for id in ["a", "b", "c"] {
                var document = Bench.rule
                document = .object((document.asObject ?? []).map { $0.key == "id" ? .init("id", .text(id)) : $0 })
                _ = try await alerts.save(document, now: bench.clock.value)
            }
            await bench.pass(1, alerts)
            #expect(bench.asked.value == 1)
        }
    }

    @Test func withoutRulesNothingIsAskedOrWritten() async throws {
        try await withBench { (bench, alerts) async throws -> Void in
            let before = await bench.store.watch(after: 0, patience: .zero)
            await bench.pass(3, alerts)
            #expect(bench.asked.value == 0)
            #expect(await bench.store.watch(after: 0, patience: .zero) == before)
        }
    }

    /// The process ends between the outbox and the state: the notice is not repeated, and nothing is lost.
    @Test func aCrashAfterTheNoticeRepeatsNothing() async throws {
        try await withBench { (bench, alerts) async throws -> Void in
            _ = try await alerts.save(Bench.rule, now: bench.clock.value)
            await bench.pass(1, alerts)
            bench.share.change { $0 = 100 }
            bench.store.broken.change { $0 = "alert-state/" }
            await bench.pass(1, alerts)
            _ = try await bench.notices(1)
            #expect(try await alerts.book.get("low", project: 1)?.status == "ok")
            bench.store.broken.change { $0 = "" }
            let later = try await Alerts(bench)
            try await running(later) { () async throws -> Void in
                await bench.pass(1, later)
                #expect(try await later.book.get("low", project: 1)?.status == "firing")
                bench.share.change { $0 = 900 }
                await bench.pass(1, later)
                #expect(try await bench.notices(2).map { $0.prefix(6) } == ["firing", "resolv"])
            }
        }
    }

    /// The process ends before the outbox is stored: the notice comes with the next evaluation.
    @Test func aCrashBeforeTheNoticeLosesNothing() async throws {
        try await withBench { (bench, alerts) async throws -> Void in
            _ = try await alerts.save(Bench.rule, now: bench.clock.value)
            bench.share.change { $0 = 100 }
            bench.store.broken.change { $0 = "outbox/" }
            await bench.pass(1, alerts)
            #expect(try await alerts.book.get("low", project: 1)?.state.groups.isEmpty == true)
            bench.store.broken.change { $0 = "" }
            let later = try await Alerts(bench)
            try await running(later) { () async throws -> Void in
                await bench.pass(1, later)
                #expect(try await bench.notices(1).count == 1)
            }
        }
    }

    @Test func periodsWithoutAnswerFollowLater() async throws {
        try await withBench { (bench, alerts) async throws -> Void in
            _ = try await alerts.save(Bench.rule, now: bench.clock.value)
            await bench.pass(1, alerts)
            bench.answers.change { $0 = false }
            bench.share.change { $0 = 100 }
            await bench.pass(3, alerts)
            let before = try #require(try await alerts.book.get("low", project: 1)?.state.evaluated)
            bench.answers.change { $0 = true }
            await bench.pass(1, alerts)
            let entry = try #require(try await alerts.book.get("low", project: 1))
            #expect(entry.state.evaluated == before + 4 * 300_000_000)
            // It began with the first of the periods that were late.
            #expect(entry.state.groups[.whole]?.since == before + 300_000_000)
        }
    }

    @Test func anotherRuleEndsWhatFiresAndAMuteDoesNot() async throws {
        try await withBench { (bench, alerts) async throws -> Void in
            _ = try await alerts.save(Bench.rule, now: bench.clock.value)
            bench.share.change { $0 = 100 }
            await bench.pass(2, alerts)
            func changed(_ key: ByteString, _ value: JSONValue) -> JSONValue {
                .object((Bench.rule.asObject ?? []).filter { $0.key != key } + [.init(key, value)])
            }
            let muted = try await alerts.save(changed("mute_until", "2030-01-01T00:00:00Z"), now: bench.clock.value)
            #expect(muted.status == "firing")
            #expect(try await bench.notices(1).count == 1)
            let other = try await alerts.save(changed("condition", ["threshold": ["below": 0.2]]), now: bench.clock.value)
            #expect(other.status == "ok" && other.revision > muted.revision)
            #expect(try await bench.notices(2).last?.hasPrefix("resolved ") == true)
            await bench.pass(1, alerts)
            try await alerts.book.delete("low", project: 1, now: bench.clock.value)
            #expect(try await bench.notices(4).map { $0.prefix(6) } == ["firing", "resolv", "firing", "resolv"])
            #expect(try await bench.store.list(prefix: "alert").isEmpty)
        }
    }

    @Test func aRuleWithoutItsFunnelSaysSoOnce() async throws {
        try await withBench { (bench, alerts) async throws -> Void in
            _ = try await alerts.save(Bench.rule, now: bench.clock.value)
            await bench.pass(1, alerts)
            let funnel = bench.funnel.value
            bench.funnel.change { $0 = nil }
            await bench.pass(3, alerts)
            let entry = try #require(try await alerts.book.get("low", project: 1))
            #expect(entry.status == "invalid" && entry.state.fault?.reason == "names the funnel shop, which does not exist")
            #expect(try await bench.notices(1).map { $0.prefix(4) } == ["info"])
            bench.funnel.change { $0 = funnel }
            await bench.pass(1, alerts)
            #expect(try await alerts.book.get("low", project: 1)?.status == "ok")
        }
    }

    @Test func revisionsAreCheckedAndRulesLimited() async throws {
        try await withBench { (bench, alerts) async throws -> Void in
            let rule = try AlertRule.parse(Bench.rule)
            let first = try await alerts.book.put(rule, project: 1, now: 0)
            #expect(first.created)
            let again = try await alerts.book.put(rule, project: 1, now: 0)
            #expect(!again.created && again.entry.revision == first.entry.revision)
            await #expect(throws: ProtocolError.self) {
                try await alerts.book.put(rule, if: FunnelPrecondition(ifMatch: "\"1\""), project: 1, now: 0)
            }
            await #expect(throws: AccessRefusal.unknownDocument("alert rule")) { try await alerts.book.delete("none", project: 1, now: 0) }
            for i in 1..<AlertBook.perProject {
                var other = rule
                other.id = ByteString("r\(i)")
                _ = try await alerts.book.put(other, project: 1, now: 0)
            }
            var over = rule
            over.id = "over"
            await #expect(throws: AccessRefusal.documents("alert rule", AlertBook.perProject)) {
                try await alerts.book.put(over, project: 1, now: 0)
            }
            #expect(try await alerts.book.put(over, project: 2, now: 0).created)
        }
    }
}

import FunnelModel
import FunnelProtocol
import Logging
import Metadata
import Notifications
import RPC
import ServiceRuntime

/// The notices of all projects on their way to channels: one outbox for each project, so that none pushes out notices of another.
/// With empty outboxes nothing runs, and nothing is written.
package actor NoticeDesk {
    package let channels: SavedChannels
    private let store: any MetadataStore
    private let sender: NoticeSender
    private let logger: Logger
    private let clock: @Sendable () -> Int64
    private let tally: NoticeTally
    private let limit = LogLimit(lines: 5)
    private var outboxes: [UInt32: Deliveries] = [:]
    /// Projects that a task delivers for, and those that got notices since it looked last.
    private var working: Set<UInt32> = []
    private var again: Set<UInt32> = []
    private let (wakes, waking) = AsyncStream.makeStream(of: UInt32.self)

    private static let prefix = "outbox/"
    private static let pause = Duration.seconds(5)
    /// Max sleep of a project's task, so that it sees a new notice while others wait for their retry.
    private static let lookMicroseconds: Int64 = 1_000_000

    /// Loads the outboxes.
    package init(
        _ store: any MetadataStore, channels: SavedChannels, sender: NoticeSender, metrics: Metrics, logger: Logger,
        clock: @escaping @Sendable () -> Int64 = { WallClock.now() }
    ) async throws {
        self.store = store
        self.channels = channels
        self.sender = sender
        self.logger = logger
        self.clock = clock
        tally = NoticeTally(metrics, clock: clock)
        for (key, entry) in try await store.list(prefix: Self.prefix) {
            guard let project = UInt32(key.dropFirst(Self.prefix.count)) else { continue }
            do throws(InvalidDocument) {
                outboxes[project] = deliveries(of: project, try Outbox(parsing: entry.value))
            } catch {
                logger.error(
                    "waiting notices can't be read; they are set aside in the metadata",
                    metadata: ["project": "\(project)", "error": "\(error)"])
                let aside = MetadataWrite(key: "unread-outbox/\(project)", expected: nil, value: entry.value)
                _ = try await store.compareAndSet([aside, MetadataWrite(key: key, expected: nil, value: nil)])
            }
            await note(project)
            waking.yield(project)
        }
    }

    private func deliveries(of project: UInt32, _ outbox: Outbox) -> Deliveries {
        let (store, channels) = (store, channels)
        return Deliveries(outbox: outbox, sender: sender) { id in
            try await channels.get(id, project: project)?.channel
        } content: {
            try await ReportBook.content(of: $0, in: store)
        } store: { value in
            _ = try await store.compareAndSet(Self.prefix + "\(project)", expected: nil, value: value)
        }
    }

    // MARK: - Taking

    /// Takes notices for channels. When it returns they are stored, and are delivered at least once, across restarts. A channel that does
    /// not exist is skipped.
    /// - Parameters:
    ///   - notices: for most channels.
    ///   - single: for channels that repeat what fires, such as Alertmanager, where each firing has its own notice; nil: `notices`.
    package func submit(_ notices: [Notice], single: [Notice]? = nil, to ids: [String], project: UInt32) async throws {
        var found: [Channel] = []
        for id in ids {
            if let saved = try await channels.get(id, project: project) { found.append(saved.channel) }
        }
        guard !found.isEmpty else { return }
        let deliveries = outboxes[project] ?? deliveries(of: project, Outbox())
        outboxes[project] = deliveries
        let repeating = found.filter(\.repeatsWhileFiring)
        let now = clock()
        var lost = try await deliveries.submit(notices, to: found.filter { !$0.repeatsWhileFiring }, now: now)
        lost += try await deliveries.submit(single ?? notices, to: repeating, now: now)
        report(lost, project)
        await note(project)
        waking.yield(project)
    }

    /// Deletes a channel, and what waits for it.
    package func delete(channel id: String, if precondition: FunnelPrecondition, project: UInt32) async throws {
        try await channels.delete(id, if: precondition, project: project)
        try await outboxes[project]?.change { $0.remove(channel: id) }
        tally.forget(id, project)
        await note(project)
    }

    /// Sends a test notice at once, beside the outbox.
    package func test(_ channel: Channel, project: UInt32) async -> DeliveryOutcome {
        let now = clock()
        let notice = Notice(
            key: "test/\(channel.id)/\(now / 1_000_000)", rule: "test", project: project, title: "Test of channel \(channel.id)",
            text: "This is a test: somebody asked Sluice to send it. Nothing fires.", status: .info, starts: now)
        let outcome = await sender.send(notice, to: channel, now: now)
        tally.add(
            .init(
                channel: channel.id, notice: notice, fate: outcome == .delivered ? .delivered : .retried(at: now), reason: outcome.reason),
            project, now)
        return outcome
    }

    /// What waits for a channel, and how its last deliveries ended.
    package func state(of channel: String, project: UInt32) async -> JSONValue {
        let waiting = await outboxes[project]?.outbox.entries.filter { $0.channel == channel && !($0.isRepeated && $0.attempts == 0) } ?? []
        return tally.json(channel, project, waiting: waiting.count)
    }

    // MARK: - Delivering

    /// Until cancelled: delivers what is due.
    package func run() async {
        await withDiscardingTaskGroup { group in
            for await project in wakes {
                guard working.insert(project).inserted else {
                    again.insert(project)
                    continue
                }
                group.addTask { await self.deliver(project) }
            }
        }
    }

    /// Until the outbox of a project is empty.
    private func deliver(_ project: UInt32) async {
        guard let deliveries = outboxes[project] else { return }
        while !Task.isCancelled {
            do {
                guard let next = await deliveries.nextAttempt else {
                    if again.remove(project) != nil { continue }
                    working.remove(project)
                    return
                }
                let wait = next - clock()
                if wait > 0 {
                    try await Task.sleep(for: .microseconds(min(wait, Self.lookMicroseconds)))
                    continue
                }
                report(try await deliveries.deliverDue(clock: clock), project)
                await note(project)
            } catch  where Task.isCancelled {
                break
            } catch {
                limit.log(
                    logger, .error, "outbox \(project)", "notices could not be stored; they are tried again",
                    ["project": "\(project)", "error": "\(words(error))"])
                try? await Task.sleep(for: Self.pause)
            }
        }
    }

    private func report(_ reports: [Deliveries.Report], _ project: UInt32) {
        let now = clock()
        for report in reports {
            tally.add(report, project, now)
            let place: Logger.Metadata = [
                "project": "\(project)", "channel": "\(report.channel)", "notice": "\(report.notice.id)",
                "reason": "\(report.reason ?? "")",
            ]
            switch report.fate {
            case .delivered, .gone: break
            case .retried:
                limit.log(
                    logger, .warning, "\(project)/\(report.channel)", "a notice was not delivered; it is tried again", place)
            case .lost: limit.log(logger, .error, "lost \(project)/\(report.channel)", "a notice is lost", place)
            }
        }
    }

    /// Tells the metrics what waits.
    private func note(_ project: UInt32) async {
        let outbox = await outboxes[project]?.outbox
        let waiting = (outbox?.entries ?? []).filter { !$0.isRepeated || $0.attempts > 0 }
        tally.set(waiting: waiting.count, oldest: waiting.map(\.since).min(), project)
    }
}

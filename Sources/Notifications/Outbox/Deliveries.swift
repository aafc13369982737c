import FunnelModel

/// Delivers the notices of an outbox, and stores it around each delivery. It does nothing by itself: its owner calls `deliverDue` when
/// `nextAttempt` has come.
package actor Deliveries {
    /// How an attempt ended, for logs and metrics.
    package struct Report: Equatable, Sendable {
        package var channel: String
        package var notice: Notice
        package var fate: Outbox.Fate
        /// Why it failed.
        package var reason: String?

        package init(channel: String, notice: Notice, fate: Outbox.Fate, reason: String? = nil) {
            self.channel = channel
            self.notice = notice
            self.fate = fate
            self.reason = reason
        }
    }

    package private(set) var outbox: Outbox
    private let sender: NoticeSender
    private let channel: @Sendable (String) async throws -> Channel?
    private let content: @Sendable (Notice) async throws -> NoticeContent?
    private let store: @Sendable ([UInt8]) async throws -> Void
    private let jitter: @Sendable () -> Double
    /// The last save that began. Saves run one after another, so that an older outbox never replaces a newer one.
    private var saving: Task<Void, any Error>?
    private var isDelivering = false

    /// - Parameters:
    ///   - channel: the channel with an id; nil if it is deleted. If it throws, the delivery is tried again later.
    ///   - content: what a notice carries besides its text. If it throws, the delivery is tried again later.
    ///   - store: keeps the outbox as JSON, durably.
    package init(
        outbox: Outbox = Outbox(), sender: NoticeSender, channel: @escaping @Sendable (String) async throws -> Channel?,
        content: @escaping @Sendable (Notice) async throws -> NoticeContent? = { _ in nil },
        store: @escaping @Sendable ([UInt8]) async throws -> Void, jitter: @escaping @Sendable () -> Double = { .random(in: 0...1) }
    ) {
        self.outbox = outbox
        self.sender = sender
        self.channel = channel
        self.content = content
        self.store = store
        self.jitter = jitter
    }

    package var nextAttempt: Int64? { outbox.nextAttempt }

    /// Takes notices for channels. Once this returns, they are stored and will be delivered.
    /// - Returns: entries that a limit pushed out of the outbox.
    package func submit(_ notices: [Notice], to channels: [Channel], now: Int64) async throws -> [Report] {
        let before = outbox
        var lost: [Report] = []
        for notice in notices {
            for channel in channels {
                lost += outbox.add(notice, to: channel, now: now).map {
                    Report(channel: $0.channel, notice: $0.notice, fate: .lost("the outbox is full"), reason: "the outbox is full")
                }
            }
        }
        if outbox != before { try await save() }
        return lost
    }

    /// Changes the outbox, such as by `remove`, and stores it.
    package func change(_ body: @Sendable (inout Outbox) -> Void) async throws {
        let before = outbox
        body(&outbox)
        if outbox != before { try await save() }
    }

    /// Makes one attempt for each entry that is due: channels beside each other, the entries of one channel in turn. A call while another
    /// one runs does nothing.
    /// - Parameter clock: microseconds since 1970.
    package func deliverDue(clock: @escaping @Sendable () -> Int64) async throws -> [Report] {
        guard !isDelivering else { return [] }
        isDelivering = true
        defer { isDelivering = false }
        let queues = Dictionary(grouping: outbox.due(now: clock()), by: \.channel).values
        return try await withThrowingTaskGroup(of: [Report].self) { group in
            for queue in queues { group.addTask { try await self.deliver(queue, clock: clock) } }
            var reports: [Report] = []
            while let more = try await group.next() { reports += more }
            return reports
        }
    }

    private func deliver(_ queue: [Outbox.Entry], clock: @Sendable () -> Int64) async throws -> [Report] {
        var reports: [Report] = []
        for entry in queue {
            guard outbox.entries.contains(where: { $0.id == entry.id }) else { continue }
            let outcome: DeliveryOutcome
            do {
                if let channel = try await channel(entry.channel) {
                    let content = entry.notice.content == nil ? nil : try await content(entry.notice)
                    outcome = await sender.send(entry.notice, content, to: channel, attempt: entry.attempts, now: clock())
                } else {
                    outcome = .refused("the channel is deleted")
                }
            } catch {
                outcome = .failed("the channel or its notice cannot be read: \(words(error))")
            }
            // A stop of the process is no failure of the channel.
            try Task.checkCancellation()
            let fate = outbox.receive(outcome, for: entry.id, now: clock(), jitter: jitter())
            reports.append(Report(channel: entry.channel, notice: entry.notice, fate: fate, reason: outcome.reason))
            try await save()
            // A target that does not answer takes seconds of each attempt. The other entries of the channel wait for the next round, so
            // that they do not delay other channels.
            if case .failed = outcome { break }
        }
        return reports
    }

    private func save() async throws {
        let earlier = saving
        let task = Task {
            _ = await earlier?.result
            try await self.write()
        }
        saving = task
        try await task.value
    }

    private func write() async throws { try await store(outbox.json.encode()) }
}

import FunnelModel
import FunnelProtocol
import Logging
import Metadata
import Notifications
import RPC
import ServiceRuntime
import Synchronization

/// Sends cohorts to their channels: reads the list of users, stores it, and sends what differs from the list of the run before.
///
/// All that is sent is made of stored lists, and each acknowledged page is stored before the next one is sent. If the process ends, the
/// next round goes on at that page.
package final class CohortSync: Sendable {
    /// Some users of a list in order, and how to get those after them.
    package struct Users: Sendable {
        package var users: [ByteString]
        package var next: (@Sendable () async throws -> Users)?

        package init(users: [ByteString], next: (@Sendable () async throws -> Users)? = nil) {
            self.users = users
            self.next = next
        }
    }

    /// What the sync works with.
    package struct Source: Sendable {
        /// Throws if a body of `POST /v1/query/users` names a funnel or step that does not exist.
        var check: @Sendable (JSONValue, UInt32) async throws -> Void
        /// The whole list of users of such a body.
        var users: @Sendable (JSONValue, UInt32) async throws -> Users
        var channel: @Sendable (String, UInt32) async throws -> Channel?
        /// Sends a body with its key to a channel; the number is that of failed attempts before.
        var post: @Sendable ([UInt8], String, Channel, Int) async -> DeliveryOutcome

        package init(
            check: @escaping @Sendable (JSONValue, UInt32) async throws -> Void,
            users: @escaping @Sendable (JSONValue, UInt32) async throws -> Users,
            channel: @escaping @Sendable (String, UInt32) async throws -> Channel?,
            post: @escaping @Sendable ([UInt8], String, Channel, Int) async -> DeliveryOutcome
        ) {
            self.check = check
            self.users = users
            self.channel = channel
            self.post = post
        }
    }

    /// Cohorts that send at a time.
    private static let sending = 4
    /// A cohort sends for this long, then others have their turn.
    private static let slice = Duration.seconds(60)
    private static let look = Duration.seconds(1)
    private static let looksPerRound = 10

    package let book: CohortBook
    private let source: Source
    private let membersMax: Int
    private let clock: @Sendable () -> Int64
    /// Lists are asked for one after another, so that cohorts do not take the places of queries.
    private let reading = EvaluationTurns(running: 1)
    private let isWoken = Atomic(false)
    private let delivered: Counter
    private let failed: Counter
    private let limit = LogLimit(lines: 5)
    private let logger: Logger

    package init(
        _ book: CohortBook, _ source: Source, membersMax: Int = SyncedCohort.membersMax, metrics: Metrics, logger: Logger,
        clock: @escaping @Sendable () -> Int64 = { WallClock.now() }
    ) {
        self.book = book
        self.source = source
        self.membersMax = membersMax
        self.clock = clock
        self.logger = logger
        let help = "attempts to send a page of a cohort, by how they ended"
        delivered = metrics.counter("sluice_cohort_pages_total", help, labels: [("outcome", "delivered")])
        failed = metrics.counter("sluice_cohort_pages_total", help, labels: [("outcome", "failed")])
    }

    /// Until cancelled: runs what is due.
    package func run() async {
        while !Task.isCancelled {
            if await syncDue() { continue }
            for _ in 0..<Self.looksPerRound where !Task.isCancelled {
                if isWoken.exchange(false, ordering: .relaxed) { break }
                try? await Task.sleep(for: Self.look)
            }
        }
    }

    /// Runs the cohorts whose time has come.
    /// - Returns: whether one has more to send now.
    @discardableResult
    package func syncDue() async -> Bool {
        var due: [CohortEntry] = []
        do {
            let now = clock()
            due = try await book.all().filter { $0.state.isDue(now) }.sorted { $0.state.next < $1.state.next }
        } catch {
            limit.log(logger, .error, "cohorts", "cohorts could not be read", ["error": "\(words(error))"])
        }
        if due.isEmpty { return false }
        return await withTaskGroup(of: Bool.self) { group in
            var hasMore = false
            for (i, entry) in due.enumerated() {
                if i >= Self.sending, await group.next() == true { hasMore = true }
                group.addTask { await self.work(entry) }
            }
            for await more in group where more { hasMore = true }
            return hasMore
        }
    }

    /// - Returns: whether it has more to send now.
    private func work(_ entry: CohortEntry) async -> Bool {
        var entry = entry
        do {
            do {
                return try await advance(&entry)
            } catch let error where !(error is CancellationError || error is RevisionConflict || Task.isCancelled) {
                var state = entry.state
                state.fail(Self.reason(error), now: clock(), jitter: .random(in: 0...1))
                try await book.save(state, of: &entry)
                throw error
            }
        } catch is RevisionConflict {
            // Somebody changed the cohort. The next round sees it.
            return false
        } catch {
            guard !Task.isCancelled, !(error is CancellationError) else { return false }
            limit.log(
                logger, .error, "cohort \(entry.project)/\(entry.cohort.id)", "a cohort could not be sent; it is tried again",
                ["project": "\(entry.project)", "cohort": "\(entry.cohort.id)", "error": "\(words(error))"])
            return false
        }
    }

    private func advance(_ entry: inout CohortEntry) async throws -> Bool {
        guard let channel = try await source.channel(entry.cohort.channel, entry.project) else {
            throw ProtocolError(.invalidQuery, "the channel \(entry.cohort.channel) does not exist")
        }
        if entry.state.delivery == nil {
            // One turn at a time, in which the entry changes.
            var own = entry
            defer { entry = own }
            guard try await reading.run({ try await read(&own) }) else { return false }
        }
        return try await deliver(&entry, to: channel)
    }

    // MARK: - Reading the list

    /// Stores the list of a new run.
    /// - Returns: false if it has too many users.
    private func read(_ entry: inout CohortEntry) async throws -> Bool {
        let now = clock()
        guard let query = entry.cohort.query(at: now) else {
            throw InvalidDocument([FieldFault("time_zone", "is not an IANA time zone")])
        }
        // The first part comes before any write: while a shard is down, there is nothing to store.
        var part = try await source.users(query, entry.project)
        var state = entry.state
        let stale = state.reading.map { [$0] } ?? []
        let run = state.beginReading(now: now)
        try await book.save(state, of: &entry, beside: try await book.removal(of: stale, of: entry))
        var list = CohortList.Writer()
        var chunks = 0
        while true {
            for user in part.users {
                guard let chunk = list.add(user) else { continue }
                try await book.save(entry.state, of: &entry, beside: [book.write(chunk, chunks, ofList: run, of: entry)])
                chunks += 1
            }
            if list.count > membersMax {
                state = entry.state
                state.giveUp("the cohort has more than \(membersMax) users, the limit", every: entry.cohort.every, now: clock())
                try await book.save(state, of: &entry, beside: try await book.removal(of: [run], of: entry))
                return false
            }
            guard let next = part.next else { break }
            part = try await next()
        }
        state = entry.state
        state.finishReading(members: list.count, now: clock())
        let rest = list.takeRest().map { [book.write($0, chunks, ofList: run, of: entry)] }
        try await book.save(state, of: &entry, beside: rest ?? [])
        return true
    }

    // MARK: - Sending the difference

    /// Sends the pages that are not acknowledged yet.
    /// - Returns: whether there are more to be sent now.
    private func deliver(_ entry: inout CohortEntry, to channel: Channel) async throws -> Bool {
        guard let delivery = entry.state.delivery else { return false }
        let end = ContinuousClock.now + Self.slice
        var difference = CohortDifference(
            from: entry.state.held.map { book.chunks(ofList: $0, of: entry) }, to: book.chunks(ofList: delivery.run, of: entry))
        while let page = try await difference.next() {
            if page.number <= delivery.pages { continue }
            let (body, key) = (page.body(of: entry.cohort, run: delivery.run), page.key(of: entry.cohort, run: delivery.run))
            let outcome = await source.post(body, key, channel, entry.state.attempts)
            // A stop of the process is no failure of the receiver.
            if outcome != .delivered { try Task.checkCancellation() }
            guard try await note(outcome, page, &entry) else { return false }
            if page.isLast { return false }
            if Task.isCancelled || ContinuousClock.now > end { return true }
        }
        // There was no difference.
        try await finish(entry.state, &entry)
        return false
    }

    /// Stores how a page ended.
    /// - Returns: whether it is acknowledged.
    private func note(_ outcome: DeliveryOutcome, _ page: CohortDifference.Page, _ entry: inout CohortEntry) async throws -> Bool {
        var state = entry.state
        switch outcome {
        case .delivered:
            delivered.add()
            state.acknowledge()
            if page.isLast { try await finish(state, &entry) } else { try await book.save(state, of: &entry) }
            return true
        case .failed(let reason, let after): state.fail(reason, after: after, now: clock(), jitter: .random(in: 0...1))
        case .refused(let reason): state.fail(reason, now: clock(), jitter: .random(in: 0...1))
        }
        failed.add()
        try await book.save(state, of: &entry)
        limit.log(
            logger, .warning, "page \(entry.project)/\(entry.cohort.id)", "a page of a cohort was not delivered; it is tried again",
            ["project": "\(entry.project)", "cohort": "\(entry.cohort.id)", "reason": "\(outcome.reason ?? "")"])
        return false
    }

    /// The receiver has the new list; the one before is removed.
    private func finish(_ state: CohortState, _ entry: inout CohortEntry) async throws {
        var state = state
        let old = state.held.map { [$0] } ?? []
        state.finishDelivery(every: entry.cohort.every, now: clock())
        try await book.save(state, of: &entry, beside: try await book.removal(of: old, of: entry))
    }

    private static func reason(_ error: any Error) -> String {
        if let error = error as? InvalidDocument { return error.faults.map { "\($0.field) \($0.reason)" }.joined(separator: "; ") }
        return (error as? ProtocolError)?.message ?? words(error)
    }

    // MARK: - For people

    /// Throws if the cohort names a funnel, step or channel that does not exist, or a channel of another kind than a webhook.
    func check(_ cohort: SyncedCohort, project: UInt32) async throws {
        var faults: [FieldFault] = []
        do {
            try await source.check(cohort.query(ofDay: 20_000), project)
        } catch let error as InvalidDocument {
            faults += error.faults
        }
        switch try await source.channel(cohort.channel, project) {
        case nil: faults.append(FieldFault("channel", "names the channel \(cohort.channel), which does not exist"))
        case let channel? where channel.kind != .webhook:
            faults.append(
                FieldFault("channel", "names the channel \(cohort.channel) of the kind \(channel.kind.rawValue); it must be a webhook"))
        case .some: break
        }
        if !faults.isEmpty { throw InvalidDocument(faults) }
    }

    /// Makes a run begin now.
    package func want(_ id: String, project: UInt32) async throws -> CohortEntry {
        let entry = try await book.want(id, project: project, now: clock())
        wake()
        return entry
    }

    /// Looks soon for what is due.
    func wake() { isWoken.store(true, ordering: .relaxed) }
}

import FunnelModel
import FunnelProtocol
import Logging
import RPC
import ServiceHost
import ServiceRuntime

/// Stores batches that were read, from HTTP and the wire: the last step before an acknowledgement.
struct Intake: Sendable {
    let router: ShardRouter
    let bodyBytesMax: Int
    let eventsMax: Int
    let parsing: WorkThreads
    /// Nil if none is set.
    let limits: SenderLimits?
    let rules: RulesInForce
    private let figures: IngestMetrics
    private let claims = ClaimMemory()
    private let requests = RequestNumbers()

    init(
        router: ShardRouter, bodyBytesMax: Int, eventsMax: Int, parsing: WorkThreads, limits: SenderLimits?, rules: RulesInForce,
        metrics: Metrics
    ) {
        self.router = router
        self.bodyBytesMax = bodyBytesMax
        self.eventsMax = eventsMax
        self.parsing = parsing
        self.limits = limits
        self.rules = rules
        figures = IngestMetrics(metrics)
    }

    /// Stores a batch and counts its outcome.
    /// - Parameter delivery: the client's numbering of the request; nil if ingest numbers it.
    /// - Returns: the outcome; rows are indexes of the request.
    func store(
        _ read: ReadBatch, delivery: ShardRouter.Delivery?, sender: Sender, logger: Logger
    ) async throws(ProtocolError) -> AppendOutcome {
        let new = claims.missing(read.claims, project: sender.project)
        if !new.isEmpty {
            var read = read
            read.add(rowsOf: new)
            let outcome = try await store(read, delivery: delivery, sender: sender, logger: logger)
            // If some rows are not stored, these may be claims.
            if outcome.retry.isEmpty { claims.note(new, project: sender.project) }
            return outcome
        }
        guard read.rejected.count > Self.rejectedAtOnceMax else { return try await storeAtOnce(read, delivery, sender, logger) }
        var good = read
        good.rejected = []
        let outcome = try await storeAtOnce(good, delivery, sender, logger)
        do {
            return try await parsing.run(sender.project) { adding(read.rejected, to: outcome, sender.project) }
        } catch {
            throw ProtocolError(of: error)
        }
    }

    /// More rejected events than these are added up on a thread of `parsing`: it takes long, and other appends need this thread.
    static let rejectedAtOnceMax = 1_000

    private func storeAtOnce(
        _ read: ReadBatch, _ delivery: ShardRouter.Delivery?, _ sender: Sender, _ logger: Logger
    ) async throws(ProtocolError) -> AppendOutcome {
        if delivery == nil, let result = await gathered(read, sender: sender, logger: logger) { return try result.get() }
        var outcome = AppendOutcome(accepted: 0)
        if read.batch.count > 0 {
            let call = requests.next()
            // Connects the request id, which the logger adds, with the call number that shards log.
            logger.debug("append", metadata: ["call": "\(call)", "rows": "\(read.batch.count)", "project": "\(sender.project)"])
            do throws(ProtocolError) {
                outcome = try await router.append(read.rows, delivery: delivery, sender: sender, request: call)
            } catch {
                figures.note(error, project: sender.project, logger: logger)
                throw error
            }
        }
        return finish(outcome, read, sender.project, logger)
    }

    /// Stores a few events together with those of other callers.
    /// - Parameter done: called once, on any thread, perhaps before this returns.
    /// - Returns: false if there are too many events for that; then nothing was done.
    func gather(_ read: ReadBatch, sender: Sender, logger: Logger, done: @escaping @Sendable (AppendGatherer.Result) -> Void) -> Bool {
        var read = read
        let new = claims.missing(read.claims, project: sender.project)
        if !new.isEmpty { read.add(rowsOf: new) }
        if read.batch.count == 0 {
            done(.success(finish(AppendOutcome(accepted: 0), read, sender.project, logger)))
            return true
        }
        return router.gather(read.rows, sender: sender) { [read] result in
            switch result {
            case .success(let outcome): if outcome.retry.isEmpty { claims.note(new, project: sender.project) }
            case .failure(let error): figures.note(error, project: sender.project, logger: logger)
            }
            done(result.map { finish($0, read, sender.project, logger) })
        }
    }

    /// `gather` as an async call; nil if there are too many events for that.
    private func gathered(_ read: ReadBatch, sender: Sender, logger: Logger) async -> AppendGatherer.Result? {
        await withCheckedContinuation { continuation in
            let isTaken = gather(read, sender: sender, logger: logger) { continuation.resume(returning: $0) }
            if !isTaken { continuation.resume(returning: nil) }
        }
    }

    /// Counts the outcome, and adds the events that ingest rejected.
    private func finish(_ outcome: AppendOutcome, _ read: ReadBatch, _ project: UInt32, _ logger: Logger) -> AppendOutcome {
        var outcome = outcome
        if read.hasClaimRows || !read.aliases.isEmpty {
            // Records are counted, and one is stored if all of its rows are.
            outcome.retry = Set(outcome.retry).sorted()
            outcome.accepted = read.records(without: outcome)
        }
        figures.note(outcome, project: project, logger: logger)
        if !outcome.repeated { limits?.note(stored: outcome.accepted, project: project) }
        if let ruled = read.ruled {
            figures.note(ruled, project: project)
            outcome.accepted += ruled.settled(outcome)
        }
        return adding(read.rejected, to: outcome, project)
    }

    private func adding(
        _ rejected: [(index: Int, fault: EventFault)], to outcome: AppendOutcome, _ project: UInt32
    ) -> AppendOutcome {
        guard !rejected.isEmpty else { return outcome }
        var outcome = outcome
        outcome.rejected += rejected.map { .init(row: $0.index, reason: $0.fault.reason) }
        outcome.rejected.sort { $0.row < $1.row }
        figures.note(rejected.lazy.map(\.fault), project: project)
        return outcome
    }

    /// Counts and logs a request that a named limit refused as a whole.
    func noteRefused(_ limit: RequestLimit?, _ logger: Logger) {
        if let limit { figures.note(limit, logger: logger) }
    }

    /// Counts a single event that was rejected before it became a batch, or by the rules.
    func noteRejected(_ fault: EventFault, by ruled: RuleEffect?, project: UInt32) {
        figures.note(CollectionOfOne(fault), project: project)
        if let ruled { figures.note(ruled, project: project) }
    }
}

extension ReadBatch {
    /// Number of records of which no row is in an outcome's lists, and no rule has dropped or rejected the event.
    fileprivate func records(without outcome: AppendOutcome) -> Int {
        var isStored = [Bool](repeating: false, count: max(index.max() ?? -1, aliases.max() ?? -1) + 1)
        for i in index { isStored[i] = true }
        for i in aliases { isStored[i] = true }
        for i in outcome.retry + outcome.rejected.map(\.row) where isStored.indices.contains(i) { isStored[i] = false }
        if let ruled { for i in ruled.dropped + ruled.rejected where isStored.indices.contains(i) { isStored[i] = false } }
        return isStored.count(where: \.self)
    }

    fileprivate var rows: ShardRouter.Rows { .init(batch: batch, index: index, ahead: ahead, sliceStarts: ruled?.sliceStarts) }

    /// Replaces the claims by rows.
    fileprivate mutating func add(rowsOf new: ClaimList) {
        batch.append(few: new.rows)
        index += new.indexes
        claims = ClaimList()
        hasClaimRows = true
    }
}

import FunnelModel
import FunnelProtocol
import Logging
import NIOCore
import RPC
import Synchronization

/// Splits a batch by the shards of its users, sends each shard its rows and joins the outcomes.
package final class ShardRouter: Sendable {
    /// Rows that were read from a request.
    package struct Rows: Sendable {
        package var batch: EventBatch
        /// By row of the batch, the index in the request.
        package var index: [Int]
        /// Rows of the batch that are too far ahead of the clock; see `ReadBatch`.
        package var ahead: Set<Int>
        /// The first rows of the slices; nil: slices are cut by size.
        package var sliceStarts: [Int]?

        package init(batch: EventBatch, index: [Int], ahead: Set<Int> = [], sliceStarts: [Int]? = nil) {
            self.batch = batch
            self.index = index
            self.ahead = ahead
            self.sliceStarts = sliceStarts
        }
    }

    /// Bytes of one slice of a batch; well under a frame's limit, since a row's size is only estimated.
    static let sliceBytes = 8 << 20
    private static let timeout: Duration = .seconds(20)
    /// Appends of more rows or bytes are sent alone.
    static let gatheredRowsMax = 200
    private static let gatheredBytesMax = 64 << 10

    private struct Links {
        var map: ClusterMap
        var links: [ShardLink]
        /// One for each link.
        var gatherers: [AppendGatherer]
        var budget: InFlightBudget
    }

    private let links = Mutex<Links?>(nil)
    private let makeLink: @Sendable (ClusterMap.Shard) -> ShardLink
    private let budgetBytes: Int
    private let logger: Logger
    private let now: @Sendable () -> ContinuousClock.Instant
    private let logLimit = LogLimit()
    private let numbers = Mutex((producer: UInt64(0), next: UInt64(0)))
    /// Deliveries under one producer number; then a new one is drawn.
    private static let deliveriesPerProducer: UInt64 = 2_048

    /// `budgetBytes` is the max on the way to all shards; `makeLink` makes the link to a shard of a new map.
    package init(
        budgetBytes: Int, logger: Logger, now: @escaping @Sendable () -> ContinuousClock.Instant = { .now },
        makeLink: @escaping @Sendable (ClusterMap.Shard) -> ShardLink
    ) {
        self.budgetBytes = budgetBytes
        self.logger = logger
        self.now = now
        self.makeLink = makeLink
    }

    package var inFlightBytes: Int { links.withLock { $0?.budget.total ?? 0 } }

    /// The links to the shards of the map in use, by shard number; empty before there is a map.
    package var shards: [ShardLink] { links.withLock { $0?.links ?? [] } }

    /// Switches to a new map. Links to shards that did not change stay.
    package func use(_ map: ClusterMap) async {
        let old = links.withLock { current -> [ShardLink] in
            if current?.map == map { return [] }
            var retired: [ShardLink] = []
            let fresh = map.shards.map { shard -> ShardLink in
                if let current, current.map.shards.indices.contains(shard.id), current.map.shards[shard.id] == shard {
                    return current.links[shard.id]
                }
                return makeLink(shard)
            }
            for link in current?.links ?? [] where !fresh.contains(where: { $0 === link }) { retired.append(link) }
            let budget = current?.links.count == fresh.count ? current?.budget : nil
            let gatherers = zip(fresh, map.shards).map { gatherer($0, $1, of: map) }
            current = Links(
                map: map, links: fresh, gatherers: gatherers, budget: budget ?? InFlightBudget(bytes: budgetBytes, shards: fresh.count))
            return retired
        }
        for link in old { await link.shutdown() }
    }

    /// Why shards have just failed to store their rows, as far as it is known.
    func reasons(of names: [String]) -> [String] {
        shards.filter { names.contains($0.name) }.map { "\($0.name): \($0.problem ?? "it failed or did not answer in time")" }
    }

    package func shutdown() async {
        for link in shards { await link.shutdown() }
    }

    /// A client's numbering of a request; retries under the same numbers are stored once.
    package struct Delivery: Sendable {
        static let partMax: UInt32 = 0xFFFF

        var producer: UInt64
        var sequence: UInt64
        /// The caller's part is in the low 16 bits, the number of the slice above them.
        var part: UInt32
        /// CRC-32C of what the client sent.
        var fingerprint: UInt32

        /// Mixes the project into the producer number. Release 0.1 knew producers by number only, and clients of two projects may
        /// choose the same. Shards know producers by project too now, but retries of what 0.1 stored need the same number.
        package init(of message: Append, fingerprint: UInt32, project: UInt32) {
            var name = ByteWriter()
            name.integer(project)
            name.integer(message.producer)
            (producer, sequence, part) = (XXH64.hash(name.bytes), message.sequence, message.part)
            self.fingerprint = fingerprint
        }
    }

    private func newNumber() -> (producer: UInt64, sequence: UInt64) {
        numbers.withLock { numbers in
            if numbers.next % Self.deliveriesPerProducer == 0 {
                var random = SystemRandomNumberGenerator()
                numbers.producer = random.next()
            }
            numbers.next += 1
            return (numbers.producer, numbers.next)
        }
    }

    // MARK: - Admission

    /// Rows that may be sent, with the bytes reserved for them.
    private struct Admitted {
        var links: Links
        var slices: [BatchSlice]
        /// By shard, for shards that take appends.
        var bytes: [Int: Int]

        func isDown(_ shard: Int) -> Bool { bytes[shard] == nil }
    }

    private func admit(_ read: Rows) throws(ProtocolError) -> Admitted {
        guard let links = links.withLock({ $0 }) else { throw ProtocolError(.notReady, "the cluster map is not known; nothing was stored") }
        guard !links.links.isEmpty else { throw ProtocolError(.notReady, "the cluster map has no shards; nothing was stored") }
        let slices = read.batch.split(over: links.map, sliceBytes: Self.sliceBytes, starts: read.sliceStarts)
        var bytes: [Int: Int] = [:]
        for rows in slices.lazy.flatMap(\.shards) { bytes[rows.shard, default: 0] += rows.bytes }
        let down = bytes.keys.sorted().compactMap { shard in links.links[shard].problem.map { (shard: shard, problem: $0) } }
        if let first = down.first, down.count == bytes.count {
            let names = down.map { links.links[$0.shard].name }
            var error = ProtocolError(.unreachable, "\(names[0]): \(first.problem); nothing was stored", shards: names)
            error.retryAfterMilliseconds = 1_000
            throw error
        }
        // Rows of shards that are down are handed back to the sender; the others are stored.
        for (shard, _) in down { bytes[shard] = nil }
        let reserved = links.budget.reserve(bytes)
        guard reserved.granted else {
            let who = reserved.shard.map { links.links[$0].name }
            throw ProtocolError(
                .overloaded, "\(who.map { "\($0) is slow: its half" } ?? "the whole") of in-flight-mb is used up; nothing was stored",
                shards: who.map { [$0] } ?? [], limit: .inFlight)
        }
        return Admitted(links: links, slices: slices, bytes: bytes)
    }

    // MARK: - Small appends

    /// Stores a few rows together with those of other callers.
    /// - Parameter done: gets the outcome, whose rows are indexes of the request, or an error if nothing was sent. Called once, on
    ///   any thread, perhaps before this returns.
    /// - Returns: false if the rows or bytes are too many for that; then nothing was done.
    package func gather(_ read: Rows, sender: Sender, done: @escaping @Sendable (AppendGatherer.Result) -> Void) -> Bool {
        guard read.batch.count <= Self.gatheredRowsMax else { return false }
        let admitted: Admitted
        do throws(ProtocolError) { admitted = try admit(read) } catch {
            done(.failure(error))
            return true
        }
        let links = admitted.links
        guard admitted.slices.count == 1, admitted.bytes.values.allSatisfy({ $0 <= Self.gatheredBytesMax }) else {
            links.budget.release(admitted.bytes)
            return false
        }
        let parts = admitted.slices[0].shards
        let sum = Sum(waiting: parts.count) { result in
            links.budget.release(admitted.bytes)
            done(result)
        }
        for part in parts {
            let rows = part.rows.map { read.index[$0] }
            let name = links.links[part.shard].name
            if admitted.isDown(part.shard) {
                sum.add(AppendOutcome(accepted: 0, retry: rows, shards: [name]))
                continue
            }
            let batch = parts.count == 1 ? read.batch : read.batch.gather(part.rows)
            links.gatherers[part.shard].append(batch, sender: sender) { result in
                switch result {
                case .success(var outcome):
                    outcome.rejected = outcome.rejected.map { .init(row: rows[min($0.row, rows.count - 1)], reason: $0.reason) }
                    sum.add(outcome)
                case .failure:
                    sum.add(AppendOutcome(accepted: 0, retry: rows, shards: [name]))
                }
            }
        }
        return true
    }

    private func gatherer(_ link: ShardLink, _ shard: ClusterMap.Shard, of map: ClusterMap) -> AppendGatherer {
        let buckets = BucketSet(ClusterMap.buckets(ofShard: shard.id, of: map.shards.count))
        return AppendGatherer { [self] batch, sender in
            let (producer, sequence) = newNumber()
            let append = ShardAppend(
                producer: producer, sequence: sequence, part: 0, isShort: true, isNameRateFree: sender.isNameRateFree, fingerprint: 0,
                buckets: buckets, batch: batch)
            return await send(append, to: link, sender, request: sequence, end: now() + Self.timeout)
        }
    }

    // MARK: - Large appends

    /// Stores a batch of any size.
    /// - Parameter delivery: the client's numbering of the request; nil if ingest numbers it.
    /// - Returns: the outcome; rows are indexes of the request.
    /// - Throws: an error before anything was sent, so that nothing is stored; or a fault of the client's numbering that a shard
    ///   found, even if other shards have stored their rows.
    package func append(_ read: Rows, delivery: Delivery?, sender: Sender, request: UInt64) async throws(ProtocolError) -> AppendOutcome {
        let admitted = try admit(read)
        let links = admitted.links
        defer { links.budget.release(admitted.bytes) }
        let shards = Set(admitted.slices.flatMap(\.shards).map(\.shard))
        let parts = await withTaskGroup(of: Part.self) { group in
            for shard in shards { group.addTask { await self.send(read, admitted, to: shard, delivery, sender, request) } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        if let fault = parts.lazy.compactMap(\.fault).first { throw fault }
        return AppendOutcome(joining: parts.map(\.outcome))
    }

    /// The outcome of one shard's rows.
    private struct Part {
        var outcome = AppendOutcome(accepted: 0, repeated: true)
        /// The client has used the number for other rows, or the number is too old.
        var fault: ProtocolError?

        mutating func handBack(_ read: Rows, _ slices: ArraySlice<BatchSlice>, of shard: Int, _ name: String) {
            outcome.repeated = false
            outcome.retry = slices.flatMap(\.shards).filter { $0.shard == shard }.flatMap(\.rows).map { read.index[$0] }
            outcome.shards = [name]
        }
    }

    /// Slices go one after the other, within one deadline.
    private func send(
        _ read: Rows, _ admitted: Admitted, to shard: Int, _ delivery: Delivery?, _ sender: Sender, _ request: UInt64
    ) async -> Part {
        let link = admitted.links.links[shard]
        let buckets = BucketSet(ClusterMap.buckets(ofShard: shard, of: admitted.links.map.shards.count))
        var part = Part()
        let end = now() + Self.timeout
        if admitted.isDown(shard) {
            part.handBack(read, admitted.slices[...], of: shard, link.name)
            return part
        }
        for (number, slice) in admitted.slices.enumerated() {
            guard let own = slice.shards.first(where: { $0.shard == shard }) else { continue }
            let (append, rows) = message(read, own.rows, slice: number, buckets, delivery, sender)
            switch await send(append, to: link, sender, request: request, end: end) {
            case .success(let result):
                part.outcome.accepted += result.accepted
                part.outcome.repeated = part.outcome.repeated && result.repeated
                part.outcome.rejected += result.rejected.map {
                    .init(row: rows?[min($0.row, own.rows.count - 1)] ?? $0.row, reason: $0.reason)
                }
            case .failure(let error):
                if error.isFaultOfSender {
                    part.fault = error
                    return part
                }
                // The other slices go to the same shard, so they are handed back too.
                part.handBack(read, admitted.slices[number...], of: shard, link.name)
                return part
            }
        }
        return part
    }

    /// The message to a shard. `rows` has, by row of its answer, the index in the request; nil if the answer has these indexes
    /// already.
    private func message(
        _ read: Rows, _ rows: [Int], slice: Int, _ buckets: BucketSet, _ delivery: Delivery?, _ sender: Sender
    ) -> (append: ShardAppend, rows: [Int]?) {
        guard let delivery else {
            let (producer, sequence) = newNumber()
            let append = ShardAppend(
                producer: producer, sequence: sequence, part: 0, isShort: true, isNameRateFree: sender.isNameRateFree, fingerprint: 0,
                buckets: buckets, batch: read.batch.gather(rows))
            return (append, rows.map { read.index[$0] })
        }
        let good = read.ahead.isEmpty ? rows : rows.filter { !read.ahead.contains($0) }
        let refused = read.ahead.isEmpty ? [] : rows.filter(read.ahead.contains)
        let append = ShardAppend(
            producer: delivery.producer, sequence: delivery.sequence, part: delivery.part | UInt32(slice) << 16,
            isNameRateFree: sender.isNameRateFree, fingerprint: delivery.fingerprint, buckets: buckets,
            numbers: RowNumbers(good.map { read.index[$0] }),
            refused: refused.map {
                .init(row: read.index[$0], bucket: ClusterMap.bucket(of: read.batch.users.hash(Int(read.batch.user[$0]))))
            }, batch: read.batch.gather(good))
        return (append, nil)
    }

    private func send(
        _ append: ShardAppend, to link: ShardLink, _ sender: Sender, request: UInt64, end: ContinuousClock.Instant
    ) async -> AppendGatherer.Result {
        do throws(ProtocolError) {
            return .success(try await link.send(append, project: sender.project, request: request, timeout: end - now()))
        } catch {
            logLimit.log(
                logger, error.retryable || error.code == .cancelled ? .warning : .error, "\(link.name) \(error.code)", "append failed",
                ["shard": "\(link.name)", "rows": "\(append.batch.count)", "call": "\(request)", "error": "\(words(error))"])
            return .failure(error)
        }
    }
}

/// Joins the outcomes of the parts of one small append.
private final class Sum: Sendable {
    private let state: Mutex<(waiting: Int, outcomes: [AppendOutcome])>
    private let done: @Sendable (AppendGatherer.Result) -> Void

    init(waiting: Int, done: @escaping @Sendable (AppendGatherer.Result) -> Void) {
        state = Mutex((waiting, []))
        self.done = done
    }

    func add(_ outcome: AppendOutcome) {
        let all = state.withLock { state -> [AppendOutcome]? in
            state.outcomes.append(outcome)
            return state.outcomes.count == state.waiting ? state.outcomes : nil
        }
        if let all { done(.success(AppendOutcome(joining: all))) }
    }
}

extension AppendOutcome {
    /// Joins the outcomes of parts of one request, whose rows are indexes of the request.
    fileprivate init(joining parts: [AppendOutcome]) {
        self.init(accepted: 0, repeated: !parts.isEmpty)
        for part in parts {
            accepted += part.accepted
            repeated = repeated && part.repeated
            rejected += part.rejected
            retry += part.retry
            shards += part.shards
        }
        rejected.sort { $0.row < $1.row }
        retry.sort()
        shards.sort()
    }
}

extension ProtocolError {
    /// The request's number is at fault. All other errors are faults of the cluster, such as an address that leads to another shard
    /// or a peer of another version. These can be repaired, and then the events must be sent again.
    fileprivate var isFaultOfSender: Bool { code == .sequenceReused || code == .sequenceExpired }
}

import FunnelModel
import FunnelProtocol
import Logging
import NIOCore
import RPC
import Synchronization

/// Splits a batch by the owners of its users, sends each its rows and gathers what became of them.
final class ShardRouter: Sendable {
    /// Bytes that go out together; well under a frame's limit, since a row's size is only estimated.
    private static let sliceBytes = 8 << 20
    private static let timeout: Duration = .seconds(20)
    /// Appends of more rows or bytes go by themselves.
    private static let gatheredRowsMax = 200
    private static let gatheredBytesMax = 64 << 10

    private struct Links {
        var map: ClusterMap
        var links: [ShardLink]
        /// One a link.
        var gatherers: [Gatherer]
        var budget: InFlightBudget
    }

    private let links = Mutex<Links?>(nil)
    private let makeLink: @Sendable (ClusterMap.Shard) -> ShardLink
    private let budgetBytes: Int
    private let logger: Logger
    private let logLimit = LogLimit()
    private let numbers = Mutex((producer: UInt64(0), next: UInt64(0)))
    /// Deliveries under one producer number.
    private static let deliveriesPerProducer: UInt64 = 2_048

    init(budgetBytes: Int, logger: Logger, makeLink: @escaping @Sendable (ClusterMap.Shard) -> ShardLink) {
        self.budgetBytes = budgetBytes
        self.logger = logger
        self.makeLink = makeLink
    }

    var inFlightBytes: Int { links.withLock { $0?.budget.total ?? 0 } }

    /// The ways to the shards of the map in use, by number; none before there is one.
    var shards: [ShardLink] { links.withLock { $0?.links ?? [] } }

    /// Takes a new map; links to shards whose address did not change stay.
    func use(_ map: ClusterMap) async {
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

    /// Why shards have just not stored their rows, as far as it is known by now.
    func reasons(of names: [String]) -> [String] {
        shards.filter { names.contains($0.name) }.map { "\($0.name): \($0.problem ?? "it failed or did not answer in time")" }
    }

    func shutdown() async {
        for link in shards { await link.shutdown() }
    }

    /// A client's own numbering of a request: a repeat under it is stored once.
    struct Delivery {
        static let partMax: UInt32 = 0xFFFF

        var producer: UInt64
        var sequence: UInt64
        /// The caller's part is in the low 16 bits, the number of the slice above them.
        var part: UInt32
        /// CRC-32C of what the client sent.
        var fingerprint: UInt32

        /// Release 0.1 knew producers by number alone, and clients of two projects may choose the same one, so the project
        /// became part of it. It still is, for repeats of what that release has stored.
        init(of message: Append, fingerprint: UInt32, project: UInt32) {
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

    // MARK: - Before anything is sent

    /// Rows that may be sent, with the bytes reserved for them.
    private struct Admitted {
        var links: Links
        var slices: [BatchSlice]
        /// Of the shards that take appends.
        var bytes: [Int: Int]

        func isDown(_ shard: Int) -> Bool { bytes[shard] == nil }
    }

    private func admit(_ batch: EventBatch) throws(ProtocolError) -> Admitted {
        guard let links = links.withLock({ $0 }) else { throw ProtocolError(.notReady, "the cluster map is not known; nothing was stored") }
        guard !links.links.isEmpty else { throw ProtocolError(.notReady, "the cluster map has no shards; nothing was stored") }
        let slices = batch.split(over: links.map, sliceBytes: Self.sliceBytes)
        var bytes: [Int: Int] = [:]
        for rows in slices.lazy.flatMap(\.shards) { bytes[rows.shard, default: 0] += rows.bytes }
        let down = bytes.keys.sorted().compactMap { shard in links.links[shard].problem.map { (shard: shard, problem: $0) } }
        if let first = down.first, down.count == bytes.count {
            let names = down.map { links.links[$0.shard].name }
            var error = ProtocolError(.unreachable, "\(names[0]): \(first.problem); nothing was stored", shards: names)
            error.retryAfterMilliseconds = 1_000
            throw error
        }
        // Their rows go back to the sender, who has to send them again; the others' are stored.
        for (shard, _) in down { bytes[shard] = nil }
        let reserved = links.budget.reserve(bytes)
        guard reserved.granted else {
            let who = reserved.shard.map { links.links[$0].name }
            throw ProtocolError(
                .overloaded, "\(who.map { "\($0) is slow: its half" } ?? "the whole") of the in-flight budget is spent; nothing was stored",
                shards: who.map { [$0] } ?? [])
        }
        return Admitted(links: links, slices: slices, bytes: bytes)
    }

    // MARK: - Small appends

    /// Stores a few rows together with those of other callers.
    /// - Parameter done: gets the rows by what became of them, by their index in the request, or a refusal before anything was
    ///   sent; on any thread, or before this returns.
    /// - Returns: false, with nothing done, where the rows are too many to wait for others.
    func gather(_ read: ReadBatch, sender: Sender, done: @escaping @Sendable (Gatherer.Result) -> Void) -> Bool {
        guard read.batch.count <= Self.gatheredRowsMax else { return false }
        let admitted: Admitted
        do throws(ProtocolError) { admitted = try admit(read.batch) } catch {
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

    private func gatherer(_ link: ShardLink, _ shard: ClusterMap.Shard, of map: ClusterMap) -> Gatherer {
        let buckets = BucketSet(ClusterMap.buckets(ofShard: shard.id, of: map.shards.count))
        return Gatherer { [self] batch, sender in
            let (producer, sequence) = newNumber()
            let append = ShardAppend(
                producer: producer, sequence: sequence, part: 0, isShort: true, isNameRateFree: sender.isNameRateFree, fingerprint: 0,
                buckets: buckets, batch: batch)
            return await send(append, to: link, sender, request: sequence, end: ContinuousClock.now + Self.timeout)
        }
    }

    // MARK: - Larger ones

    /// - Parameter delivery: the client's own numbering; nil: ingest's.
    /// - Returns: rows by what became of them, by their index in the request.
    /// - Throws: a refusal before anything was sent, when nothing is stored; or a fault of the sender's numbering that a shard
    ///   found, even if others have stored their rows.
    func append(_ read: ReadBatch, delivery: Delivery?, sender: Sender, request: UInt64) async throws(ProtocolError) -> AppendOutcome {
        let admitted = try admit(read.batch)
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

    /// What became of a shard's rows.
    private struct Part {
        var outcome = AppendOutcome(accepted: 0, repeated: true)
        /// The sender has used its number for other rows, or it lies too far back.
        var fault: ProtocolError?

        mutating func handBack(_ read: ReadBatch, _ slices: ArraySlice<BatchSlice>, of shard: Int, _ name: String) {
            outcome.repeated = false
            outcome.retry = slices.flatMap(\.shards).filter { $0.shard == shard }.flatMap(\.rows).map { read.index[$0] }
            outcome.shards = [name]
        }
    }

    /// Slices go one after the other, within one deadline.
    private func send(
        _ read: ReadBatch, _ admitted: Admitted, to shard: Int, _ delivery: Delivery?, _ sender: Sender, _ request: UInt64
    ) async -> Part {
        let link = admitted.links.links[shard]
        let buckets = BucketSet(ClusterMap.buckets(ofShard: shard, of: admitted.links.map.shards.count))
        var part = Part()
        let end = ContinuousClock.now + Self.timeout
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
                // The rest of the slices would wait for the same shard.
                part.handBack(read, admitted.slices[number...], of: shard, link.name)
                return part
            }
        }
        return part
    }

    /// - Returns: what is sent, and by which index in the request its answer's rows go; nil: they are indexes already.
    private func message(
        _ read: ReadBatch, _ rows: [Int], slice: Int, _ buckets: BucketSet, _ delivery: Delivery?, _ sender: Sender
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
    ) async -> Gatherer.Result {
        do throws(ProtocolError) {
            return .success(try await link.send(append, project: sender.project, request: request, timeout: end - ContinuousClock.now))
        } catch {
            logLimit.log(
                logger, error.retryable || error.code == .cancelled ? .warning : .error, "\(link.name) \(error.code)", "append failed",
                ["shard": "\(link.name)", "rows": "\(append.batch.count)", "call": "\(request)", "error": "\(words(error))"])
            return .failure(error)
        }
    }
}

/// Adds up what became of the parts of one small append.
private final class Sum: Sendable {
    private let state: Mutex<(waiting: Int, outcomes: [AppendOutcome])>
    private let done: @Sendable (Gatherer.Result) -> Void

    init(waiting: Int, done: @escaping @Sendable (Gatherer.Result) -> Void) {
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
    /// - Parameter parts: of one request, their rows by its numbers.
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
    /// The request's number is at fault. Whatever else a shard says is a fault of the cluster, such as an address that leads to
    /// another shard or a peer of another version: it can be mended, and the events must be there then.
    fileprivate var isFaultOfSender: Bool { code == .sequenceReused || code == .sequenceExpired }
}

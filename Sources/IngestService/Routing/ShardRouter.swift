import FunnelModel
import FunnelProtocol
import FunnelRPC
import Logging
import NIOCore
import Synchronization

/// Splits a batch by the owners of its users, sends the parts and gathers what became of them.
final class ShardRouter: Sendable {
    /// Bytes of one part; well under a frame's limit, since a row's size is only estimated.
    private static let partBytes = 4 << 20
    private static let timeout: Duration = .seconds(20)

    private struct Links {
        var map: ClusterMap
        var links: [ShardLink]
        var budget: InFlightBudget
    }

    private let links = Mutex<Links?>(nil)
    private let makeLink: @Sendable (ClusterMap.Shard) -> ShardLink
    private let budgetBytes: Int
    private let logger: Logger
    private let logLimit = LogLimit()
    private let numbers = Mutex((producer: UInt64(0), next: UInt64(0)))
    /// Deliveries under one producer number. Shards remember the last 4,096 of each, so that a long delivery must not be
    /// overtaken by as many short ones: a fresh producer number every 2,048 leaves each of them far inside its window.
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
            current = Links(map: map, links: fresh, budget: budget ?? InFlightBudget(bytes: budgetBytes, shards: fresh.count))
            return retired
        }
        for link in old { await link.shutdown() }
    }

    func shutdown() async {
        for link in shards { await link.shutdown() }
    }

    /// One name for a delivery: a repeat under it is stored once. The caller's part takes the low 16 bits; above them
    /// stands the number of our own cut of it.
    struct Delivery {
        static let partMax: UInt32 = 0xFFFF

        var producer: UInt64
        var sequence: UInt64
        var part: UInt32

        init(producer: UInt64, sequence: UInt64, part: UInt32) {
            self.producer = producer
            self.sequence = sequence
            self.part = part
        }

        /// A client's own numbering. Shards know producers by number alone, and clients of two projects may choose the
        /// same one, so the project becomes part of it.
        init(of message: Append, project: UInt32) {
            var name = ByteWriter()
            name.integer(project)
            name.integer(message.producer)
            self.init(producer: XXH64.hash(name.bytes), sequence: message.sequence, part: message.part)
        }
    }

    func newDelivery() -> Delivery {
        numbers.withLock { numbers in
            if numbers.next % Self.deliveriesPerProducer == 0 {
                var random = SystemRandomNumberGenerator()
                numbers.producer = random.next()
            }
            numbers.next += 1
            return Delivery(producer: numbers.producer, sequence: numbers.next, part: Append.isShort)
        }
    }

    /// - Returns: rows by what became of them, in terms of the batch.
    /// - Throws: a refusal before anything was sent, when nothing is stored; or a fault of the sender's numbering that a shard
    ///   found, whatever others have stored.
    func append(
        _ batch: EventBatch, delivery: Delivery, project: UInt32, request: UInt64
    ) async throws(ProtocolError) -> AppendOutcome {
        guard let links = links.withLock({ $0 }) else { throw ProtocolError(.notReady, "the cluster map is not known; nothing was stored") }
        guard !links.links.isEmpty else { throw ProtocolError(.notReady, "the cluster map has no shards; nothing was stored") }
        let split = batch.split(over: links.map, partBytes: Self.partBytes)
        for rows in split {
            let link = links.links[rows.shard]
            guard let problem = link.problem else { continue }
            var error = ProtocolError(.unreachable, "\(link.name): \(problem); nothing was stored", shards: [link.name])
            error.retryAfterMilliseconds = 1_000
            throw error
        }
        let bytes = Dictionary(uniqueKeysWithValues: split.map { ($0.shard, $0.bytes) })
        let reserved = links.budget.reserve(bytes)
        guard reserved.granted else {
            let who = reserved.shard.map { links.links[$0].name }
            throw ProtocolError(
                .overloaded, "\(who.map { "\($0) is slow: its half" } ?? "the whole") of the in-flight budget is spent; nothing was stored",
                shards: who.map { [$0] } ?? [])
        }
        defer { links.budget.release(bytes) }
        let sent = await send(batch, split, links.links, delivery, project, request)
        if let fault = sent.fault { throw fault }
        return sent.outcome
    }

    private struct Sent {
        var outcome: AppendOutcome
        /// The sender has used its number for other rows, or it lies too far back.
        var fault: ProtocolError?
    }

    private func send(
        _ batch: EventBatch, _ split: [ShardRows], _ links: [ShardLink], _ delivery: Delivery, _ project: UInt32,
        _ request: UInt64
    ) async -> Sent {
        await withTaskGroup(of: Sent.self) { group in
            for rows in split {
                let link = links[rows.shard]
                group.addTask {
                    await self.send(rows.parts, of: batch, to: link, delivery, project, request)
                }
            }
            var whole = AppendOutcome(accepted: 0, repeated: !split.isEmpty)
            var fault: ProtocolError?
            for await sent in group {
                fault = fault ?? sent.fault
                let outcome = sent.outcome
                whole.accepted += outcome.accepted
                whole.repeated = whole.repeated && outcome.repeated
                whole.rejected += outcome.rejected
                whole.retry += outcome.retry
                whole.shards += outcome.shards
            }
            whole.rejected.sort { $0.row < $1.row }
            whole.retry.sort()
            whole.shards.sort()
            return Sent(outcome: whole, fault: fault)
        }
    }

    /// Parts of one shard go one after the other, within one deadline: their numbers must not depend on timing.
    private func send(
        _ parts: [ShardRows.Part], of batch: EventBatch, to link: ShardLink, _ delivery: Delivery, _ project: UInt32, _ request: UInt64
    ) async -> Sent {
        var outcome = AppendOutcome(accepted: 0, repeated: true)
        let end = ContinuousClock.now + Self.timeout
        for (number, part) in parts.enumerated() {
            let rows = part.rows
            do throws(ProtocolError) {
                let append = Append(
                    producer: delivery.producer, sequence: delivery.sequence, part: delivery.part | UInt32(number) << 16,
                    batch: batch.gather(rows))
                let result = try await link.send(append, project: project, request: request, timeout: end - ContinuousClock.now)
                outcome.accepted += result.accepted
                outcome.repeated = outcome.repeated && result.repeated
                outcome.rejected += result.rejected.map { .init(row: rows[min($0.row, rows.count - 1)], reason: $0.reason) }
            } catch {
                logLimit.log(
                    logger, error.retryable || error.code == .cancelled ? .warning : .error, "\(link.name) \(error.code)", "append failed",
                    ["shard": "\(link.name)", "rows": "\(rows.count)", "call": "\(request)", "error": "\(words(error))"])
                outcome.repeated = false
                if error.isFaultOfSender { return Sent(outcome: outcome, fault: error) }
                // The rest of the parts would wait for the same shard.
                outcome.retry += parts[number...].flatMap(\.rows)
                outcome.shards = [link.name]
                break
            }
        }
        return Sent(outcome: outcome)
    }
}

extension ProtocolError {
    /// The request's number is at fault. Whatever else a shard says is a fault of the cluster, such as an address that leads to
    /// another shard or a peer of another version: it can be mended, and the events must be there then.
    fileprivate var isFaultOfSender: Bool { code == .sequenceReused || code == .sequenceExpired }
}

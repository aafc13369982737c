import FunnelModel
import FunnelProtocol
import Logging
import RPC

/// The link to one shard: sends appends, retries them under the same number, and watches whether the shard is up.
package final class ShardLink: Sendable {
    package let name: String
    private let client: FrameClient
    private let watch: PeerWatch

    /// Pauses before each retry of an append. After the last retry its rows are handed back to the caller.
    private static let pauses: [Duration] = [.milliseconds(50), .milliseconds(250)]

    /// Begins to watch the shard.
    /// - Parameters:
    ///   - expected: the identity that the shard must have.
    ///   - makeClient: makes a client with the given number of connections.
    package init(
        _ shard: ClusterMap.Shard, _ expected: ExpectedPeer, own: @escaping @Sendable () -> ClusterState, logger: Logger,
        makeClient: (_ expected: ExpectedPeer?, _ connections: Int) -> FrameClient
    ) {
        name = shard.name
        client = makeClient(expected, 2)
        watch = PeerWatch(name: name, client: makeClient(nil, 1), expected: expected, own: own, logger: logger)
        watch.start()
    }

    /// Why the shard takes no appends; nil if it does, or if that is not known yet.
    var problem: String? {
        switch watch.condition {
        case .unknown, .up(nil): nil
        case .up(let problem?): problem
        case .down(let reason): "it is down: \(reason)"
        }
    }

    /// Why the shard is not known to take appends; nil if it is.
    var doubt: String? {
        switch watch.condition {
        case .up(nil): nil
        case .unknown(let reason): reason ?? "it has not answered yet"
        default: problem
        }
    }

    func shutdown() async {
        await watch.shutdown()
        await client.shutdown()
    }

    func send(_ append: ShardAppend, project: UInt32, request: UInt64, timeout: Duration) async throws(ProtocolError) -> AppendOutcome {
        let end = ContinuousClock.now + timeout
        let body = append.body
        var attempt = 0
        while true {
            do throws(ProtocolError) {
                let left = end - ContinuousClock.now
                guard left > .zero else { throw ProtocolError(.deadlineExceeded, "no answer in time", shards: [name]) }
                let answer = try await watch.run { [client] () async throws(ProtocolError) in
                    try await client.call(.shardAppend, body, project: project, request: request, timeout: left)
                }
                return try decodingAnswer("append result", of: name) { () throws(ByteError) in try AppendOutcome(body: answer) }
            } catch {
                let isLate = error.code == .deadlineExceeded
                let isWorthIt = error.retryable && error.code != .storageFull && !isLate && problem == nil
                guard isWorthIt, attempt < Self.pauses.count else { throw error }
                try? await Task.sleep(for: Self.pauses[attempt])
                attempt += 1
            }
        }
    }
}

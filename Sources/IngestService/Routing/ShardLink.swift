import FunnelModel
import FunnelProtocol
import FunnelRPC
import Logging
import Synchronization

/// The way to one shard: sends parts, repeats them under the same number, and knows when the shard is down.
final class ShardLink: Sendable {
    let name: String
    private let client: FrameClient
    private let logger: Logger
    private let down = Mutex(false)

    /// Repeats of one part before its rows are handed back to the caller.
    private static let pauses: [Duration] = [.milliseconds(50), .milliseconds(250)]

    init(name: String, client: FrameClient, logger: Logger) {
        self.name = name
        self.client = client
        self.logger = logger
    }

    var isDown: Bool { down.withLock { $0 } }

    func shutdown() async { await client.shutdown() }

    func send(_ append: Append, project: UInt32, request: UInt64, timeout: Duration) async throws(ProtocolError) -> AppendOutcome {
        let end = ContinuousClock.now + timeout
        let body = append.body
        var attempt = 0
        while true {
            do throws(ProtocolError) {
                let left = end - ContinuousClock.now
                guard left > .zero else { throw ProtocolError(.deadlineExceeded, "\(name): no answer in time", shards: [name]) }
                let answer = try await client.call(.append, body, project: project, request: request, timeout: left)
                mark(down: false)
                return try decoding("append result") { () throws(ByteError) in try AppendOutcome(body: answer) }
            } catch {
                if error.code == .unreachable { mark(down: true) }
                guard error.retryable, attempt < Self.pauses.count, error.code != .storageFull else { throw error }
                try? await Task.sleep(for: Self.pauses[attempt])
                attempt += 1
            }
        }
    }

    /// Asks a shard that is down whether it is back; others are left alone.
    func probe() async {
        guard isDown else { return }
        do {
            let body = try await client.call(.health, [], timeout: .seconds(2))
            let health = try decoding("health result") { () throws(ByteError) in try HealthResult(body: body) }
            if health.ready { mark(down: false) }
        } catch {
            // Still down; the next probe asks again.
            logger.trace("probe failed", metadata: ["shard": "\(name)", "error": "\(words(error))"])
        }
    }

    private func mark(down now: Bool) {
        let changed = down.withLock { down -> Bool in
            defer { down = now }
            return down != now
        }
        if changed { logger.warning(now ? "shard is down" : "shard is back", metadata: ["shard": "\(name)"]) }
    }
}

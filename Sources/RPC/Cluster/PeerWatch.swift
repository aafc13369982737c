import FunnelModel
import FunnelProtocol
import Logging
import Synchronization

/// Asks one shard for its identity about every second, on a connection of its own: so a shard that hangs, or is not the
/// expected one, is known before a call meets it (`PROTOCOL.md` section 11, Shard watch).
package final class PeerWatch: Sendable {
    package enum Condition: Equatable, Sendable {
        /// It has not answered yet, and may be starting. The reason, if it was asked.
        case unknown(String?)
        /// It answers. `problem` is why it accepts no appends; nil if it does.
        case up(problem: String?)
        case down(String)
    }

    package let name: String
    private let client: FrameClient
    private let expected: ExpectedPeer
    private let own: @Sendable () -> ClusterState
    private let logger: Logger
    private let lateMax: Int
    private let running = RunningCalls()
    private struct State {
        var condition = Condition.unknown(nil)
        var dataID: UInt64 = 0
        /// Number of answers in a row that were late.
        var late = 0
        var patienceEnds: ContinuousClock.Instant
        /// The condition that was logged last.
        var told = Condition.unknown(nil)
        /// When the last lines were logged.
        var lines: [ContinuousClock.Instant] = []
    }

    private let state: Mutex<State>
    private let task = Mutex<Task<Void, Never>?>(nil)

    /// How long a shard may take to start before it counts as down.
    private static let patience = Duration.seconds(5)
    /// An answer that is later than this means that the shard hangs.
    private static let answerMax = Duration.seconds(2)
    /// Max log lines per minute: a shard may come and go all the time.
    private static let linesMax = 4

    /// A watch that begins with `start`.
    /// - Parameters:
    ///   - client: used only by this watch.
    ///   - lateMax: max answers in a row that may be late. A shard under full load may be late once.
    package init(
        name: String, client: FrameClient, expected: ExpectedPeer, own: @escaping @Sendable () -> ClusterState, logger: Logger,
        lateMax: Int = 0
    ) {
        self.name = name
        self.client = client
        self.expected = expected
        self.own = own
        self.logger = logger
        self.lateMax = lateMax
        state = Mutex(State(patienceEnds: .now + Self.patience))
    }

    package var condition: Condition { state.withLock { $0.condition } }
    /// Id of the data that the shard had open when it last answered; 0 if it has not answered.
    package var dataID: UInt64 { state.withLock { $0.dataID } }

    /// Begins to ask; does nothing if the watch runs already.
    package func start() {
        task.withLock { task in
            guard task == nil else { return }
            task = TraceParent.none {
                Task { [self] in
                    while !Task.isCancelled {
                        await ask()
                        let isWell = condition == .up(problem: nil)
                        try? await Task.sleep(for: isWell ? .seconds(1) : .milliseconds(250))
                    }
                }
            }
        }
    }

    package func shutdown() async {
        let running = task.withLock { task in
            defer { task = nil }
            return task
        }
        running?.cancel()
        await client.shutdown()
        await running?.value
    }

    /// Makes a call to the shard. The call is given up if the shard is down, or is found to be down meanwhile.
    /// - Throws: `.shardUnavailable` if the shard is down; what the call throws.
    package func run<T: Sendable>(_ call: @escaping @Sendable () async throws(ProtocolError) -> T) async throws(ProtocolError) -> T {
        if case .down(let reason) = condition { throw unavailable(reason) }
        do throws(ProtocolError) {
            return try await running.run(call)
        } catch {
            // No connection could be made.
            if error.code == .unreachable { note(.down(error.message)) }
            if case .down(let reason) = condition, error.code == .cancelled, !Task.isCancelled { throw unavailable(reason) }
            throw error
        }
    }

    private func unavailable(_ reason: String) -> ProtocolError {
        ProtocolError(.shardUnavailable, "it is down: \(reason)", shards: [name])
    }

    private func ask() async {
        do {
            note(.up(problem: try await problem()))
            state.withLock { $0.late = 0 }
        } catch {
            guard !Task.isCancelled else { return }
            let late = state.withLock { state in
                state.late = error.code == .deadlineExceeded ? state.late + 1 : 0
                return state.late
            }
            if late > 0, late <= lateMax { return }
            note(.down(error.code == .deadlineExceeded ? "no answer within \(Self.answerMax.components.seconds) s" : error.message))
        }
    }

    private func problem() async throws(ProtocolError) -> String? {
        do {
            let body = try await client.call(.identity, [], timeout: Self.answerMax)
            let identity = try decoding("identity") { () throws(ByteError) in try PeerIdentity(body: body) }
            state.withLock { $0.dataID = identity.dataID }
            try expected.check(identity, own())
            return identity.problem
        } catch {
            guard error.isUnknownPath else { throw error }
            expected.warnOfOldPeer(name, logger)
            let body = try await client.call(.health, [], timeout: Self.answerMax)
            let health = try decoding("health result") { () throws(ByteError) in try HealthResult(body: body) }
            return health.ready ? nil : "it is not ready"
        }
    }

    private func note(_ now: Condition) {
        let before = state.withLock { state -> Condition? in
            if case .down(let reason) = now, case .unknown = state.condition, ContinuousClock.now < state.patienceEnds {
                state.condition = .unknown(reason)
                return nil
            }
            defer { state.condition = now }
            return state.condition == now ? nil : state.condition
        }
        log()
        // Running calls need not wait until their deadline.
        if case .down = now, before != nil { running.cancelAll() }
    }

    /// Logs the condition, if the log does not have it yet and the limit allows a line.
    private func log() {
        let change = state.withLock { state -> (now: Condition, before: Condition)? in
            guard state.condition != state.told else { return nil }
            let now = ContinuousClock.now
            state.lines.removeAll { now - $0 > .seconds(60) }
            guard state.lines.count < Self.linesMax else { return nil }
            defer { state.told = state.condition }
            if Self.isWorthALine(state.condition, state.told) { state.lines.append(now) }
            return (state.condition, state.told)
        }
        if let change { log(change.now, change.before) }
    }

    private static func isWorthALine(_ now: Condition, _ before: Condition) -> Bool {
        switch (now, before) {
        case (.down, .down), (.up(nil), .unknown), (.unknown, _): false
        // Texts that differ only in numbers, such as free bytes, are one reason.
        case (.up(let now?), .up(let before?)): now.filter { !$0.isNumber } != before.filter { !$0.isNumber }
        default: true
        }
    }

    private func log(_ now: Condition, _ before: Condition) {
        guard Self.isWorthALine(now, before) else { return }
        switch now {
        case .down(let reason): logger.warning("shard is down", metadata: ["shard": "\(name)", "reason": "\(reason)"])
        case .up(let problem?): logger.notice("shard takes no appends", metadata: ["shard": "\(name)", "reason": "\(problem)"])
        default: logger.notice("shard is back", metadata: ["shard": "\(name)"])
        }
    }
}

import FunnelModel
import FunnelProtocol
import Logging
import RPC
import ServiceRuntime

/// Stores messages: reads them, applies limits and rules, sends the events to their shards, and tries again until all are durable.
struct KafkaIntake: Sendable {
    let intake: Intake
    let incoming: IncomingEvents
    let project: UInt32
    let logger: Logger
    private let limit = LogLimit()

    /// The path that rejected events are kept under.
    static let path = "kafka"
    /// Pause before the second attempt; each further one is twice as long.
    private static let pause = Duration.milliseconds(100)
    private static let pauseMax = Duration.seconds(5)

    init(_ intake: Intake, _ incoming: IncomingEvents, project: UInt32, logger: Logger) {
        self.intake = intake
        self.incoming = incoming
        self.project = project
        self.logger = logger
    }

    /// The limits of a sender take all messages of this process as those of one API key and one address.
    private var caller: KeyRing.Principal { KeyRing.Principal(role: .write, project: project) }
    private var origin: RequestOrigin { RequestOrigin(caller, Self.path) }

    /// What became of an attempt.
    private enum Attempt {
        case stored
        /// The messages are refused for their content, and nothing was stored.
        case refused(ProtocolError)
        case again(after: Duration, reason: String)
    }

    /// Stores messages, and returns once their events are durable or rejected for good.
    /// - Parameters:
    ///   - isWanted: asked before each attempt.
    ///   - failed: called after each attempt that is tried again.
    /// - Returns: false if they are no longer wanted; then some may be stored.
    func store(
        _ messages: [KafkaMessage], isWanted: @escaping @Sendable () -> Bool, failed: @escaping @Sendable () -> Void
    ) async -> Bool {
        var read: KafkaRead?
        var isAdmitted = false
        var pause = Self.pause
        while isWanted() {
            switch await attempt(messages, &read, &isAdmitted) {
            case .stored: return true
            case .refused(let error):
                guard messages.count > 1 else {
                    if let message = messages.first { reject(message, error) }
                    return true
                }
                // One message may be the reason, so each is stored alone.
                for message in messages where !(await store([message], isWanted: isWanted, failed: failed)) { return false }
                return true
            case .again(let least, let reason):
                failed()
                limit.log(
                    logger, .warning, "again", "messages of Kafka are not stored yet; their partition pauses",
                    ["message": "\(messages.first?.id ?? "")", "messages": "\(messages.count)", "reason": "\(reason)"])
                await sleep(max(least, pause * Double.random(in: 0.8...1.2)), isWanted)
                pause = min(pause * 2, Self.pauseMax)
            }
        }
        return false
    }

    /// Sleeps, but not for long after the messages are no longer wanted.
    private func sleep(_ pause: Duration, _ isWanted: () -> Bool) async {
        let end = ContinuousClock.now + pause
        while isWanted(), ContinuousClock.now < end, !Task.isCancelled {
            try? await Task.sleep(for: min(.milliseconds(200), end - ContinuousClock.now))
        }
    }

    /// - Parameters:
    ///   - read: nil before the first attempt; then what is left to store.
    ///   - isAdmitted: whether the limits of the sender have admitted the messages.
    private func attempt(_ messages: [KafkaMessage], _ read: inout KafkaRead?, _ isAdmitted: inout Bool) async -> Attempt {
        do {
            var next: KafkaRead
            if let known = read { next = known } else { next = try await self.read(messages) }
            read = next
            if !isAdmitted {
                let bytes = messages.reduce(0) { $0 + $1.payload.count }
                try Toll(intake.limits, whole: bytes, caller, from: Self.path).admitWhole(next.rows, caller)
                isAdmitted = true
            }
            let outcome = try await intake.store(next.rows, delivery: nil, sender: Sender(caller), logger: logger)
            if incoming.wants(outcome) {
                var placed = outcome
                for i in placed.rejected.indices {
                    placed.rejected[i].reason += " (message \(next.message(placed.rejected[i].row)))"
                }
                let known = next
                // The events are stored, so a thread that has ended must not fail them.
                try? await intake.parsing.run(project) { [incoming, origin, placed] in
                    incoming.note(placed, of: known.rows, from: origin, content: known.content)
                }
            }
            if outcome.retry.isEmpty { return .stored }
            next.keep(only: outcome.retry)
            read = next
            let reasons = intake.router.reasons(of: outcome.shards).joined(separator: "; ")
            return .again(after: .zero, reason: reasons)
        } catch {
            let error = ProtocolError(of: error)
            intake.noteRefused(error.limit, logger)
            if error.limit == nil, error.code == .tooLarge || error.code == .invalidMessage { return .refused(error) }
            return .again(after: .milliseconds(Int(error.retryAfterMilliseconds)), reason: error.message)
        }
    }

    private func read(_ messages: [KafkaMessage]) async throws -> KafkaRead {
        try await intake.parsing.run(project) { [intake, project] in
            try KafkaRead(
                messages, rules: intake.rules.tables(of: project), now: WallClock.now(), bytesMax: intake.bodyBytesMax,
                eventsMax: intake.eventsMax)
        }
    }

    private func reject(_ message: KafkaMessage, _ error: ProtocolError) {
        let fault = EventFault("body", "\(error.message) (message \(message.id))")
        intake.noteRejected(fault, by: nil, project: project)
        incoming.note(fault, message.payload, from: origin)
    }
}

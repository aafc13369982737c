import FunnelModel
import FunnelProtocol
import RPC
import Synchronization

/// The sender of events: a project, and the rights of the key.
package struct Sender: Hashable, Sendable {
    package var project: UInt32
    /// True for admin keys: new event names and property keys are limited in number, but not in rate.
    package var isNameRateFree: Bool

    package init(project: UInt32, isNameRateFree: Bool = false) {
        self.project = project
        self.isNameRateFree = isNameRateFree
    }
}

/// Joins small appends of a sender to one shard. An append is sent at once if none of the sender is on the way. Others are sent as
/// one group when that one ends, after 2 ms, or at 2,000 rows.
package final class AppendGatherer: Sendable {
    package typealias Result = Swift.Result<AppendOutcome, ProtocolError>

    fileprivate struct Waiting {
        var batch: EventBatch
        var done: @Sendable (Result) -> Void
    }

    fileprivate struct Own {
        var waiting: [Waiting] = []
        var rows = 0
        /// Groups that are on the way.
        var groups = 0
        /// Number of groups sent, so that a timer knows whether its own was sent.
        var number = 0
    }

    /// Rows at which a group is sent without waiting.
    private static let rowsMax = 2_000

    private let linger: Duration
    private let senders = Mutex<[Sender: Own]>([:])
    private let send: @Sendable (EventBatch, Sender) async -> Result

    /// Makes the gatherer of one shard.
    /// - Parameters:
    ///   - linger: max wait of an append.
    ///   - send: stores rows; rows of the outcome are indexes of the batch.
    package init(linger: Duration = .milliseconds(2), _ send: @escaping @Sendable (EventBatch, Sender) async -> Result) {
        self.linger = linger
        self.send = send
    }

    /// Sends an append, alone or in a group.
    /// - Parameter done: gets the outcome of these rows, as indexes of `batch`; called once, on any thread.
    package func append(_ batch: EventBatch, sender: Sender, done: @escaping @Sendable (Result) -> Void) {
        enum Step {
            case go([Waiting])
            case wait(number: Int)
            case nothing
        }
        let step = senders.withLock { senders -> Step in
            var own = senders.removeValue(forKey: sender) ?? Own()
            defer { senders[sender] = own }
            own.waiting.append(Waiting(batch: batch, done: done))
            own.rows += batch.count
            if own.groups == 0 || own.rows >= Self.rowsMax { return .go(own.take()) }
            return own.waiting.count == 1 ? .wait(number: own.number) : .nothing
        }
        switch step {
        case .go(let group): start(group, sender)
        case .wait(let number):
            _ = TraceParent.none {
                Task {
                    try? await Task.sleep(for: self.linger)
                    self.goIfWaiting(sender, number)
                }
            }
        case .nothing: break
        }
    }

    private func start(_ group: [Waiting], _ sender: Sender) {
        _ = TraceParent.none {
            Task {
                await self.run(group, sender)
                self.ended(sender)
            }
        }
    }

    private func goIfWaiting(_ sender: Sender, _ number: Int) {
        let group = senders.withLock { senders -> [Waiting] in
            guard senders[sender]?.number == number else { return [] }
            return senders[sender]?.take() ?? []
        }
        if !group.isEmpty { start(group, sender) }
    }

    private func ended(_ sender: Sender) {
        let group = senders.withLock { senders -> [Waiting] in
            guard var own = senders.removeValue(forKey: sender) else { return [] }
            own.groups -= 1
            let group = own.waiting.isEmpty ? [] : own.take()
            // A sender with nothing on the way is forgotten.
            if own.groups > 0 { senders[sender] = own }
            return group
        }
        if !group.isEmpty { start(group, sender) }
    }

    private func run(_ group: [Waiting], _ sender: Sender) async {
        let result = await send(EventBatch.joined(group.map(\.batch)), sender)
        if case .failure(let error) = result, group.count > 1, error.mayBeOfOneRow {
            // Nothing was stored. The rows of one caller may be the reason, so each caller's rows are sent alone.
            for waiting in group { waiting.done(await send(waiting.batch, sender)) }
            return
        }
        guard case .success(let outcome) = result else {
            for waiting in group { waiting.done(result) }
            return
        }
        var rest = outcome.rejected[...]
        var first = 0
        for waiting in group {
            let end = first + waiting.batch.count
            let mine = rest.prefix { $0.row < end }
            rest = rest.dropFirst(mine.count)
            waiting.done(
                .success(
                    AppendOutcome(
                        accepted: waiting.batch.count - mine.count, rejected: mine.map { .init(row: $0.row - first, reason: $0.reason) })))
            first = end
        }
    }
}

extension AppendGatherer.Own {
    /// Takes all waiting appends as one group.
    fileprivate mutating func take() -> [AppendGatherer.Waiting] {
        defer { (waiting, rows) = ([], 0) }
        groups += 1
        number += 1
        return waiting
    }
}

extension ProtocolError {
    /// The append was refused as a whole for its content, before anything was stored.
    fileprivate var mayBeOfOneRow: Bool { code == .invalidMessage || code == .tooLarge }
}

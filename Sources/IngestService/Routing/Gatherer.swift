import FunnelModel
import FunnelProtocol
import Synchronization

/// Makes one append of small ones that arrive while others of their project are on the way to the same shard. An append that
/// finds none on the way goes at once; the others wait for its end, and for 2 ms at most.
package final class Gatherer: Sendable {
    package typealias Result = Swift.Result<AppendOutcome, ProtocolError>

    fileprivate struct Waiting {
        var batch: EventBatch
        var done: @Sendable (Result) -> Void
    }

    fileprivate struct Project {
        var waiting: [Waiting] = []
        var rows = 0
        /// Groups that are on their way.
        var groups = 0
        /// Counts groups, so that a timer knows whether its own has gone.
        var number = 0
    }

    /// A group goes once it has so many rows.
    private static let rowsMax = 2_000

    private let linger: Duration
    private let projects = Mutex<[UInt32: Project]>([:])
    private let send: @Sendable (EventBatch, UInt32) async -> Result

    /// - Parameters:
    ///   - linger: how long an append waits at most.
    ///   - send: makes rows of a project durable; rows of the outcome are by their number in the batch.
    package init(linger: Duration = .milliseconds(2), _ send: @escaping @Sendable (EventBatch, _ project: UInt32) async -> Result) {
        self.linger = linger
        self.send = send
    }

    /// - Parameter done: gets what became of these rows, by their number in the batch, on any thread.
    package func append(_ batch: EventBatch, project: UInt32, done: @escaping @Sendable (Result) -> Void) {
        enum Step { case go([Waiting]), wait(number: Int), nothing }
        let step = projects.withLock { projects -> Step in
            var own = projects.removeValue(forKey: project) ?? Project()
            defer { projects[project] = own }
            own.waiting.append(Waiting(batch: batch, done: done))
            own.rows += batch.count
            if own.groups == 0 || own.rows >= Self.rowsMax { return .go(own.take()) }
            return own.waiting.count == 1 ? .wait(number: own.number) : .nothing
        }
        switch step {
        case .go(let group): start(group, project)
        case .wait(let number):
            Task {
                try? await Task.sleep(for: self.linger)
                self.goIfWaiting(project, number)
            }
        case .nothing: break
        }
    }

    private func start(_ group: [Waiting], _ project: UInt32) {
        Task {
            await self.run(group, project)
            self.ended(project)
        }
    }

    private func goIfWaiting(_ project: UInt32, _ number: Int) {
        let group = projects.withLock { projects -> [Waiting] in
            guard projects[project]?.number == number else { return [] }
            return projects[project]?.take() ?? []
        }
        if !group.isEmpty { start(group, project) }
    }

    private func ended(_ project: UInt32) {
        let group = projects.withLock { projects -> [Waiting] in
            guard var own = projects.removeValue(forKey: project) else { return [] }
            own.groups -= 1
            let group = own.waiting.isEmpty ? [] : own.take()
            // A project of which nothing is under way takes no room.
            if own.groups > 0 { projects[project] = own }
            return group
        }
        if !group.isEmpty { start(group, project) }
    }

    private func run(_ group: [Waiting], _ project: UInt32) async {
        let result = await send(EventBatch.joined(group.map(\.batch)), project)
        if case .failure(let error) = result, group.count > 1, error.mayBeOfOneRow {
            // Nothing was stored. One caller's rows may be the reason, which must not cost the others.
            for waiting in group { waiting.done(await send(waiting.batch, project)) }
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

extension Gatherer.Project {
    /// Everything that waits, as a group that is on its way.
    fileprivate mutating func take() -> [Gatherer.Waiting] {
        defer { (waiting, rows) = ([], 0) }
        groups += 1
        number += 1
        return waiting
    }
}

extension ProtocolError {
    /// What was sent was refused for what it is, as a whole and before anything was stored.
    fileprivate var mayBeOfOneRow: Bool { code == .invalidMessage || code == .tooLarge }
}

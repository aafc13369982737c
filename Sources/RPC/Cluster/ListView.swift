import FunnelModel
import FunnelProtocol
import Logging
import Synchronization

/// A list that the coordinator keeps and sends to services as a whole. It has a version without an order.
package protocol ListMessage: Sendable {
    static var kind: FrameKind { get }
    static var path: CallPath { get }
    /// As logs name the list.
    static var noun: String { get }

    var version: UInt64 { get }
    /// Number of entries; nil if the asking service has this version.
    var count: Int? { get }
    var body: [UInt8] { get }

    init(body: [UInt8]) throws(ByteError)
}

/// A request for a list.
package struct ListRequest: Sendable {
    package var body: [UInt8]
    /// The time that the coordinator waits for another list.
    package var wait: Duration
    /// To be called once the request is answered.
    package var answered: @Sendable () -> Void = {}
}

/// What a service does with a list.
package protocol ListFollower: Sendable {
    associatedtype Message: ListMessage

    /// - Parameters:
    ///   - known: version of the list that the service has; 0 = none.
    ///   - wait: the time that the coordinator shall wait for another list, or less.
    func request(known: UInt64, wait: Duration) -> ListRequest
    /// Puts a list in force.
    /// - Returns: the list as it is to be kept on disk. With another version, the coordinator is asked for the whole list after a
    ///   restart.
    func take(_ list: Message) -> Message
    /// The coordinator is of an earlier release and has no such list. One that is known stays in force.
    func takeNone()
}

/// A service's copy of a list: fetched, used, kept on disk, and valid while the coordinator is away.
package final class ListView<Follower: ListFollower>: Sendable {
    private typealias Message = Follower.Message

    private struct State {
        /// 0 = none.
        var version: UInt64 = 0
        var isOldCoordinator = false
        /// Whether the list of the cluster is known: from the file, or from the coordinator, which may have none.
        var isKnown = false
        /// Whether there was no file at the start: then no process has had a list in this directory.
        var lacksFile = false
    }

    private let state = Mutex(State())
    private let follower: Follower
    private let file: SnapshotFile
    private let cluster: @Sendable () -> UInt64
    private let logger: Logger

    private static var wait: Duration { .seconds(5) }
    /// An answer that is later than this, after the wait, will not come.
    private static var answerMax: Duration { .seconds(5) }
    /// How often a coordinator of a release that has no such list is asked.
    private static var oldCoordinatorPause: Duration { .seconds(5) }

    /// Reads the file, if there is one.
    /// - Parameter cluster: id of the cluster; 0 before it is known. A list of another cluster is not used, and none is asked for before.
    package init(_ follower: Follower, file: SnapshotFile, cluster: @escaping @Sendable () -> UInt64, logger: Logger) {
        self.follower = follower
        self.file = file
        self.cluster = cluster
        self.logger = logger
        do {
            guard let bytes = try file.read() else {
                state.withLock { $0.lacksFile = true }
                return
            }
            let frame = try FrameDecoder.single(bytes)
            guard frame.kind == Message.kind else { throw ProtocolError(.unknownKind, "the file holds \(frame.kind)") }
            guard frame.context.cluster == cluster() else {
                // The directory has become that of another cluster.
                logger.notice(
                    "the \(Message.noun) on disk is of another cluster and not used",
                    metadata: ["cluster": "\(idText(frame.context.cluster))"])
                return
            }
            let kept = try decoding(Message.noun) { () throws(ByteError) in try Message(body: frame.body) }
            if kept.count != nil { _ = take(kept) }
        } catch {
            // Not fatal: the coordinator has it too.
            logger.warning("the file with the \(Message.noun) cannot be used", metadata: ["error": "\(words(error))"])
        }
    }

    package var isKnown: Bool { state.withLock { $0.isKnown } }
    package var lacksFile: Bool { state.withLock { $0.lacksFile } }

    /// Follows the coordinator until cancelled. `ClusterView` logs failures of the coordinator.
    package func follow(_ coordinator: FrameClient) async {
        while !Task.isCancelled {
            // The list is kept under the cluster's id, which comes with the first snapshot.
            guard cluster() != 0 else {
                try? await Task.sleep(for: .milliseconds(20))
                continue
            }
            do throws(ProtocolError) {
                try await fetch(coordinator)
            } catch {
                if error.isUnknownPath {
                    noteOldCoordinator()
                    try? await Task.sleep(for: Self.oldCoordinatorPause)
                } else {
                    try? await Task.sleep(for: .milliseconds(500))
                }
            }
        }
    }

    /// One long poll. The first is answered at once.
    private func fetch(_ coordinator: FrameClient) async throws(ProtocolError) {
        let known = state.withLock { $0.version }
        let request = follower.request(known: known, wait: known == 0 ? .zero : Self.wait)
        let body = try await coordinator.call(Message.path, request.body, timeout: request.wait + Self.answerMax)
        let answer = try decodingAnswer(Message.noun, of: coordinator.name) { () throws(ByteError) in try Message(body: body) }
        request.answered()
        state.withLock { $0.isOldCoordinator = false }
        if let count = answer.count, answer.version != known { accept(answer, count) }
    }

    private func accept(_ list: Message, _ count: Int) {
        // Used before it is kept: a revocation must not wait for a disk that is full.
        let kept = take(list)
        do {
            try file.write(Frame(Message.kind, FrameContext(cluster: cluster()), body: kept.body).encode())
        } catch {
            logger.error(
                "the \(Message.noun) cannot be kept on disk: after a restart without the coordinator, an earlier one would be in force",
                metadata: ["error": "\(words(error))"])
        }
        logger.info("\(Message.noun)", metadata: ["entries": "\(count)"])
    }

    private func take(_ list: Message) -> Message {
        state.withLock { $0.version = list.version }
        defer { state.withLock { $0.isKnown = true } }
        return follower.take(list)
    }

    private func noteOldCoordinator() {
        let isNews = state.withLock { state in
            defer { state.isOldCoordinator = true }
            return !state.isOldCoordinator
        }
        if isNews { logger.warning("coordinator is of an earlier release and has no \(Message.noun)") }
        follower.takeNone()
        state.withLock { $0.isKnown = true }
    }
}

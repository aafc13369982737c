import FunnelModel
import FunnelProtocol
import NIOPosix
import RPC
import Synchronization
import Testing

/// A service's copy of the list of created API keys: which lists it takes and keeps, and what it asks and reports.
@Suite(.timeLimit(.minutes(2)))
struct KeyListViewTests {
    private static let cluster: UInt64 = 7

    private static func key(_ id: String, project: UInt32 = 1) -> CreatedKey {
        CreatedKey(id: id, role: .write, project: project, hash: KeyRing.hash(id))
    }

    private static func list(_ version: UInt64, _ ids: String...) -> KeyListMessage {
        KeyListMessage(version: version, keys: ids.map { key($0) })
    }

    /// Answers requests one after the other. When no answer is left it lets callers wait, or gives them the last one after a while.
    private final class Coordinator: Sendable {
        private let answers: [Result<KeyListMessage, ProtocolError>]
        private let last: KeyListMessage?
        private let state = Mutex([KeyListRequest]())

        init(_ answers: [Result<KeyListMessage, ProtocolError>], last: KeyListMessage?) {
            self.answers = answers
            self.last = last
        }

        var asked: [KeyListRequest] { state.withLock { $0 } }

        func answer(_ call: FrameCall) async throws {
            let request = try KeyListRequest(body: call.frame.body)
            let number = state.withLock { asked in
                asked.append(request)
                return asked.count - 1
            }
            var list = last
            if answers.indices.contains(number) {
                list = try answers[number].get()
            } else {
                try await Task.sleep(for: last == nil ? .seconds(600) : .milliseconds(20))
            }
            var answer = call.writer()
            try await answer.send(.keyList, list?.body ?? [])
            try await answer.end(rows: 1)
        }
    }

    /// What a service keeps, and what it has put in force.
    private final class Kept: Sendable {
        private struct Full: Error {}
        private let state: Mutex<(bytes: [UInt8]?, isFull: Bool, used: [CreatedKeys])>

        init(_ bytes: [UInt8]? = nil, isFull: Bool = false) { state = Mutex((bytes, isFull, [])) }

        var bytes: [UInt8]? { state.withLock { $0.bytes } }
        var lists: [CreatedKeys] { state.withLock { $0.used } }

        func view() -> KeyListView {
            let file = SnapshotFile(
                read: { self.bytes },
                write: { bytes in
                    try self.state.withLock { state in
                        if state.isFull { throw Full() }
                        state.bytes = bytes
                    }
                })
            return KeyListView(file: file, cluster: { KeyListViewTests.cluster }, logger: quiet) { created in
                self.state.withLock { $0.used.append(created) }
            }
        }
    }

    private static func bytes(_ list: KeyListMessage, cluster: UInt64 = cluster, _ kind: FrameKind = .keyList) -> [UInt8] {
        Frame(kind, FrameContext(cluster: cluster), body: list.body).encode()
    }

    /// Lets the view follow a coordinator until `isDone`.
    private func follow(
        _ view: KeyListView, _ answers: [Result<KeyListMessage, ProtocolError>], last: KeyListMessage? = nil, isOld: Bool = false,
        until isDone: (Coordinator) -> Bool
    ) async throws -> [KeyListRequest] {
        let coordinator = Coordinator(answers, last: last)
        let group = MultiThreadedEventLoopGroup.singleton
        let routes: [FrameServer.Route] = isOld ? [] : [.init(.keys, .anyone) { try await coordinator.answer($0) }]
        let server = TransportServer(
            group: group, host: "127.0.0.1", port: 0, tls: nil, limits: TransportLimits(), logger: quiet,
            handler: FrameServer(ServiceSelf(role: .coordinator, secret: []) { ClusterState() }, routes: routes, logger: quiet))
        let port = try await server.start().port
        let client = FrameClient(
            name: "coordinator", host: "127.0.0.1", port: port, service: ServiceSelf(role: .client, secret: []) { ClusterState() },
            group: group, tls: nil, connections: 1, logger: quiet)
        let following = Task { await view.follow(client) }
        let done = await eventually { isDone(coordinator) }
        #expect(done, "asked \(coordinator.asked.count) times")
        following.cancel()
        await following.value
        await client.shutdown()
        await server.shutdown(grace: .zero)
        return coordinator.asked
    }

    private func follow(_ view: KeyListView, _ lists: KeyListMessage...) async throws -> [KeyListRequest] {
        try await follow(view, lists.map { .success($0) }) { $0.asked.count > lists.count }
    }

    @Test func everyListOfAnotherVersionIsTakenAndKept() async throws {
        let kept = Kept()
        // Versions have no order.
        let asked = try await follow(kept.view(), Self.list(9, "a", "b"), Self.list(3, "b"), Self.list(4))
        #expect(kept.lists.map(\.count) == [2, 1, 0])
        #expect(kept.bytes == Self.bytes(Self.list(4)))
        #expect(asked.map(\.known) == [0, 9, 3, 4] && asked.map(\.waitMilliseconds) == [0, 5_000, 5_000, 5_000])
    }

    @Test func anAnswerWithoutAListChangesNothing() async throws {
        let kept = Kept()
        let asked = try await follow(
            kept.view(), Self.list(9, "a"), KeyListMessage(version: 9, keys: nil), KeyListMessage(version: 9, keys: nil))
        #expect(kept.lists.count == 1 && asked.map(\.known) == [0, 9, 9, 9])
    }

    @Test func aFailureIsTriedAgain() async throws {
        let kept = Kept()
        let asked = try await follow(kept.view(), [.failure(ProtocolError(.notReady, "starting")), .success(Self.list(5, "a"))]) {
            $0.asked.count > 2
        }
        #expect(kept.lists.map(\.count) == [1] && asked.map(\.known) == [0, 0, 5])
    }

    @Test func aServiceStartsWithWhatItHasKept() async throws {
        let kept = Kept(Self.bytes(Self.list(5, "a", "b")))
        let view = kept.view()
        #expect(kept.lists.map(\.count) == [2])
        let asked = try await follow(view, KeyListMessage(version: 5, keys: nil))
        #expect(asked.map(\.known) == [5, 5] && kept.lists.count == 1)
    }

    @Test func aDamagedFileOrOneOfAnotherClusterIsNotUsed() {
        let good = Self.bytes(Self.list(5, "a"))
        for end in 0..<good.count {
            let kept = Kept(Array(good[..<end]))
            _ = kept.view()
            #expect(kept.lists.isEmpty, "cut at \(end)")
        }
        for i in good.indices {
            var bytes = good
            bytes[i] ^= 0x10
            let kept = Kept(bytes)
            _ = kept.view()
            #expect(kept.lists.isEmpty, "byte \(i)")
        }
        for other in [Self.bytes(Self.list(5, "a"), cluster: 8), Self.bytes(Self.list(5, "a"), .snapshot)] {
            let kept = Kept(other)
            _ = kept.view()
            #expect(kept.lists.isEmpty)
        }
    }

    /// A revocation does not wait for a disk that is full.
    @Test func aListThatCannotBeKeptIsUsed() async throws {
        let kept = Kept(Self.bytes(Self.list(5, "a")), isFull: true)
        _ = try await follow(kept.view(), Self.list(6))
        #expect(kept.lists.map(\.count) == [1, 0])
        #expect(kept.bytes == Self.bytes(Self.list(5, "a")))
    }

    @Test(arguments: [true, false]) func aCoordinatorWithoutListsTakesNoneAway(hasKept: Bool) async throws {
        let kept = hasKept ? Kept(Self.bytes(Self.list(5, "a"))) : Kept()
        let view = kept.view()
        let start = ContinuousClock.now
        _ = try await follow(view, [], isOld: true) { _ in
            hasKept ? ContinuousClock.now - start > .milliseconds(300) : !kept.lists.isEmpty
        }
        #expect(kept.lists.map(\.count) == [hasKept ? 1 : 0])
    }

    @Test func usesAreReportedOnce() async throws {
        let kept = Kept()
        var random = SystemRandomNumberGenerator()
        let drawn = APIKeyText(drawing: .write, from: &random)
        let key = CreatedKey(id: drawn.id, role: .write, project: 1, hash: KeyRing.hash(drawn.text))
        var isUsed = false
        let asked = try await follow(
            kept.view(), [.success(KeyListMessage(version: 5, keys: [key]))], last: KeyListMessage(version: 5, keys: nil)
        ) { coordinator in
            if !isUsed, let created = kept.lists.first {
                isUsed = true
                let ring = KeyRing([.init(role: .read, project: 1, hash: [1])], created: created)
                _ = try? ring.admit(KeyRing.Credential(drawn.text), for: .write, now: 6_000)
            }
            // A few requests more, which have nothing to report.
            return coordinator.asked.dropLast(3).contains { !$0.uses.isEmpty }
        }
        #expect(asked.flatMap(\.uses) == [KeyUse(id: drawn.id, minute: 100)])
    }
}

import FunnelModel
import FunnelProtocol
import NIOPosix
import RPC
import Synchronization
import Testing

/// A service's copy of the normalisation rules: what it keeps, and what it asks for. `KeyListViewTests` tests what both lists have in common.
@Suite(.timeLimit(.minutes(2)))
struct RuleListViewTests {
    private static let cluster: UInt64 = 7
    private static let good = ProjectRules(project: 1, revision: 3, document: "good")
    private static let unreadable = ProjectRules(project: 2, revision: 4, document: "unreadable")

    private static func list(_ version: UInt64, _ projects: ProjectRules...) -> RuleListMessage {
        RuleListMessage(version: version, projects: projects)
    }

    private static func bytes(_ list: RuleListMessage, cluster: UInt64 = cluster) -> [UInt8] {
        Frame(.ruleList, FrameContext(cluster: cluster), body: list.body).encode()
    }

    /// What a service keeps, and what it has put in force. It can read good rules only.
    private final class Kept: Sendable {
        private let state: Mutex<(bytes: [UInt8]?, used: [[ProjectRules]])>

        init(_ bytes: [UInt8]? = nil) { state = Mutex((bytes, [])) }

        var bytes: [UInt8]? { state.withLock { $0.bytes } }
        var used: [[ProjectRules]] { state.withLock { $0.used } }

        func view() -> RuleListView {
            let file = SnapshotFile(read: { self.bytes }, write: { bytes in self.state.withLock { $0.bytes = bytes } })
            return RuleListView(file: file, cluster: { RuleListViewTests.cluster }, logger: quiet) { sent in
                let used = sent.filter { $0.document == "good" }
                self.state.withLock { $0.used.append(used) }
                return used
            }
        }
    }

    /// Lets the view follow a coordinator that gives one list after the other, and then lets it wait.
    /// - Returns: the versions that the view knew when it asked.
    private func follow(_ view: RuleListView, _ lists: RuleListMessage...) async throws -> [UInt64] {
        let asked = Mutex([UInt64]())
        let group = MultiThreadedEventLoopGroup.singleton
        let route = FrameServer.Route(.rules, .anyone) { call in
            let request = try RuleListRequest(body: call.frame.body)
            let number = asked.withLock { asked in
                asked.append(request.known)
                return asked.count - 1
            }
            if number >= lists.count { try await Task.sleep(for: .seconds(600)) }
            var answer = call.writer()
            try await answer.send(.ruleList, lists[min(number, lists.count - 1)].body)
            try await answer.end(rows: 1)
        }
        let server = TransportServer(
            group: group, host: "127.0.0.1", port: 0, tls: nil, limits: TransportLimits(), logger: quiet,
            handler: FrameServer(ServiceSelf(role: .coordinator, secret: []) { ClusterState() }, routes: [route], logger: quiet))
        let port = try await server.start().port
        let client = FrameClient(
            name: "coordinator", host: "127.0.0.1", port: port, service: ServiceSelf(role: .client, secret: []) { ClusterState() },
            group: group, tls: nil, connections: 1, logger: quiet)
        let following = Task { await view.follow(client) }
        let done = await eventually { asked.withLock { $0.count } > lists.count }
        #expect(done)
        following.cancel()
        await following.value
        await client.shutdown()
        await server.shutdown(grace: .zero)
        return asked.withLock { $0 }
    }

    @Test func rulesAreKnownFromAFileOrTheCoordinator() async throws {
        let stored = Kept(Self.bytes(Self.list(9, Self.good))).view()
        #expect(stored.isKnown && !stored.lacksFile)
        let none = Kept().view()
        #expect(!none.isKnown && none.lacksFile)
        _ = try await follow(none, Self.list(9))
        #expect(none.isKnown)
        let damaged = Kept(Array(Self.bytes(Self.list(9, Self.good)).dropLast(3))).view()
        #expect(!damaged.isKnown && !damaged.lacksFile)
        _ = try await follow(damaged, Self.list(9, Self.good))
        #expect(damaged.isKnown)
        let unreadable = RuleListView(
            file: SnapshotFile(read: { throw ProtocolError(.notReady, "no regular file") }, write: { _ in }), cluster: { Self.cluster },
            logger: quiet
        ) { $0 }
        #expect(!unreadable.isKnown && !unreadable.lacksFile)
    }

    @Test func rulesAreTakenAndKept() async throws {
        let kept = Kept()
        let asked = try await follow(kept.view(), Self.list(9, Self.good), Self.list(5), RuleListMessage(version: 5, projects: nil))
        #expect(asked == [0, 9, 5, 5] && kept.used == [[Self.good], []])
        #expect(kept.bytes == Self.bytes(Self.list(5)))
    }

    /// After a restart, perhaps of a release that can read them, the whole list comes again.
    @Test func rulesThatCannotBeReadAreNotKeptAndAskedForAgain() async throws {
        let kept = Kept()
        let asked = try await follow(kept.view(), Self.list(9, Self.good, Self.unreadable))
        #expect(asked == [0, 9])
        #expect(kept.bytes == Self.bytes(Self.list(1, Self.good)))
        let next = kept.view()
        #expect(kept.used.last == [Self.good])
        #expect(try await follow(next, Self.list(9, Self.good, Self.unreadable)) == [1, 9])
    }

    @Test func rulesOfAnotherClusterAreNotUsed() {
        let kept = Kept(Self.bytes(Self.list(9, Self.good), cluster: 8))
        _ = kept.view()
        #expect(kept.used.isEmpty)
        let own = Kept(Self.bytes(Self.list(9, Self.good)))
        _ = own.view()
        #expect(own.used == [[Self.good]])
    }
}

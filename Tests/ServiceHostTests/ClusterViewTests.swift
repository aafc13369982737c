import FunnelModel
import FunnelProtocol
import NIOPosix
import RPC
import Synchronization
import Testing

/// A service's copy of the coordinator's metadata: which snapshots it takes, which it keeps, and what it asks for next.
@Suite(.timeLimit(.minutes(2)))
struct ClusterViewTests {
    private typealias Key = ClusterSnapshot.Key
    private static let key = Key(role: .write, project: 1, hash: KeyRing.hash("a write key of enough bytes"))

    private static func snapshot(
        _ revision: UInt64, lineage: UInt64 = 1, cluster: UInt64 = 7, shards: Int = 2, keys: [Key] = [key]
    ) -> ClusterSnapshot {
        let map = ClusterMap(
            clusterID: cluster, epoch: UInt32(shards), shards: (0..<shards).map { .init(id: $0, host: "shard-\($0)", port: 8_092 + $0) })
        return ClusterSnapshot(
            revision: revision, lineage: lineage, map: map, keys: keys, dataIDs: lineage == 0 ? [] : (0..<shards).map { UInt64($0 + 1) })
    }

    /// Answers requests for snapshots one after the other, and notes what was asked. When no answer is left it lets callers wait, as
    /// a coordinator does that has nothing newer.
    private final class Coordinator: Sendable {
        private let answers: [Result<[UInt8], ProtocolError>]
        private let state = Mutex([SnapshotRequest]())

        init(_ answers: [Result<[UInt8], ProtocolError>]) { self.answers = answers }

        var asked: [SnapshotRequest] { state.withLock { $0 } }
        var isDone: Bool { asked.count > answers.count }

        func answer(_ call: FrameCall) async throws {
            let request = try SnapshotRequest(body: call.frame.body)
            let number = state.withLock { asked in
                asked.append(request)
                return asked.count - 1
            }
            guard answers.indices.contains(number) else { return try await Task.sleep(for: .seconds(600)) }
            var answer = call.writer()
            try await answer.send(.snapshot, try answers[number].get())
            try await answer.end(rows: 1)
        }
    }

    /// Bytes that a service keeps; the first `failures` writes fail.
    private final class Kept: Sendable {
        private struct Full: Error {}
        private let state: Mutex<(bytes: [UInt8]?, failures: Int)>

        init(_ bytes: [UInt8]? = nil, failures: Int = 0) { state = Mutex((bytes, failures)) }

        var bytes: [UInt8]? { state.withLock { $0.bytes } }
        var file: SnapshotFile {
            SnapshotFile(
                read: { self.bytes },
                write: { bytes in
                    try self.state.withLock { state in
                        state.failures -= 1
                        if state.failures >= 0 { throw Full() }
                        state.bytes = bytes
                    }
                })
        }

        /// The snapshot that the bytes hold.
        var snapshot: ClusterSnapshot? {
            bytes.flatMap { try? FrameDecoder.single($0) }.flatMap { try? ClusterSnapshot(body: $0.body) }
        }
    }

    private static func bytes(_ snapshot: ClusterSnapshot, _ kind: FrameKind = .snapshot) -> [UInt8] {
        Frame(kind, FrameContext(cluster: snapshot.map.clusterID), body: snapshot.body).encode()
    }

    private static func view(_ kept: Kept, mayBeOpen: Bool = true) -> ClusterView {
        ClusterView(file: kept.file, mayBeOpen: mayBeOpen, logger: quiet)
    }

    /// Lets the view follow a coordinator until all answers were dealt with.
    /// - Returns: what the view asked.
    private func follow(_ view: ClusterView, _ answers: [Result<[UInt8], ProtocolError>]) async throws -> [SnapshotRequest] {
        let coordinator = Coordinator(answers)
        let group = MultiThreadedEventLoopGroup.singleton
        // What neither side knows is no contradiction: the view alone decides.
        let server = TransportServer(
            group: group, host: "127.0.0.1", port: 0, tls: nil, limits: TransportLimits(), logger: quiet,
            handler: FrameServer(
                ServiceSelf(role: .coordinator, secret: []) { ClusterState() },
                routes: [.init(.snapshot, .anyone) { try await coordinator.answer($0) }], logger: quiet))
        let port = try await server.start().port
        let client = FrameClient(
            name: "coordinator", host: "127.0.0.1", port: port, service: ServiceSelf(role: .client, secret: []) { ClusterState() },
            group: group, tls: nil, connections: 1, logger: quiet)
        let following = Task { await view.follow(client) }
        let isDone = await eventually { coordinator.isDone }
        #expect(isDone, "asked \(coordinator.asked.count) times")
        following.cancel()
        await following.value
        await client.shutdown()
        await server.shutdown(grace: .zero)
        return coordinator.asked
    }

    private func follow(_ view: ClusterView, _ snapshots: ClusterSnapshot...) async throws -> [SnapshotRequest] {
        try await follow(view, snapshots.map { .success($0.body) })
    }

    // MARK: Versions

    @Test func theFirstSnapshotIsTakenAndKept() async throws {
        let (kept, first) = (Kept(), Self.snapshot(5))
        let view = Self.view(kept)
        #expect(view.snapshot == nil && view.keys.isOpen && view.cluster == ClusterState() && view.sinceHeard == nil)
        let asked = try await follow(view, first)
        #expect(view.snapshot == first && kept.snapshot == first)
        #expect(!view.keys.isOpen && view.cluster == ClusterState(id: 7, lineage: 1, revision: 5, epoch: 2) && view.sinceHeard != nil)
        // Nothing is known at first, and the answer is to come at once; then only something newer.
        #expect(asked[0] == SnapshotRequest(known: 0, waitMilliseconds: 0, origin: .init(lineage: 0, checksum: 0)))
        #expect(asked[1] == SnapshotRequest(known: 5, waitMilliseconds: 20_000, origin: .init(first)))
    }

    @Test func aNewerOneIsTakenAndAnOlderIsNot() async throws {
        let (kept, newer) = (Kept(), Self.snapshot(7, shards: 3))
        let view = Self.view(kept)
        let asked = try await follow(view, Self.snapshot(5), newer, Self.snapshot(6), Self.snapshot(7), Self.snapshot(1))
        #expect(view.snapshot == newer && kept.snapshot == newer)
        #expect(asked.map(\.known) == [0, 5, 7, 7, 7, 7])
    }

    @Test func aMapWithFewerShardsIsTakenAsAWhole() async throws {
        let view = Self.view(Kept())
        _ = try await follow(view, Self.snapshot(5, shards: 4), Self.snapshot(6, shards: 1))
        #expect(view.snapshot?.map.shards.count == 1 && view.snapshot?.dataIDs == [1])
        #expect((0..<Limits.buckets).allSatisfy { view.snapshot?.map.owner(ofBucket: $0) == 0 })
        // An older map that has more does not come back.
        _ = try await follow(view, Self.snapshot(5, shards: 4))
        #expect(view.snapshot?.map.shards.count == 1)
    }

    @Test func anotherLineageIsTakenWhateverItsRevision() async throws {
        let (kept, other) = (Kept(), Self.snapshot(2, lineage: 9, shards: 1))
        let view = Self.view(kept)
        let asked = try await follow(view, Self.snapshot(5), other)
        #expect(view.snapshot == other && kept.snapshot == other)
        #expect(asked.last == SnapshotRequest(known: 2, waitMilliseconds: 20_000, origin: .init(other)))
        // A coordinator of before 0.2 names none: its revisions count as those of the lineage that is known.
        _ = try await follow(view, Self.snapshot(1, lineage: 0))
        #expect(view.snapshot == other)
        _ = try await follow(view, Self.snapshot(3, lineage: 0))
        #expect(view.snapshot == Self.snapshot(3, lineage: 0))
    }

    @Test func anotherClusterIsNotFollowed() async throws {
        let kept = Kept()
        let view = Self.view(kept)
        let asked = try await follow(view, Self.snapshot(5), Self.snapshot(9, lineage: 4, cluster: 8), Self.snapshot(6))
        #expect(view.snapshot == Self.snapshot(6) && kept.snapshot == Self.snapshot(6))
        #expect(asked.map(\.known) == [0, 5, 5, 6])
    }

    @Test func aCoordinatorThatKnowsNoLineagesIsAskedWithoutOne() async throws {
        let view = Self.view(Kept())
        let old = Self.snapshot(5, lineage: 0)
        let asked = try await follow(view, [.failure(ProtocolError(.invalidMessage, "snapshot request")), .success(old.body)])
        #expect(view.snapshot == old)
        #expect(asked.map { $0.origin == nil } == [false, true, true] && asked.map(\.known) == [0, 0, 5])
    }

    // MARK: Keys

    @Test func offLoopbackKeysAreNotTakenAway() async throws {
        let kept = Kept()
        let view = Self.view(kept, mayBeOpen: false)
        _ = try await follow(view, Self.snapshot(5), Self.snapshot(6, keys: []), Self.snapshot(7, lineage: 3, keys: []))
        #expect(view.snapshot == Self.snapshot(5) && kept.snapshot == Self.snapshot(5) && !view.keys.isOpen)
        // On loopback a cluster may give its keys up.
        let local = Self.view(Kept())
        _ = try await follow(local, Self.snapshot(5), Self.snapshot(6, keys: []))
        #expect(local.keys.isOpen && local.snapshot?.revision == 6)
    }

    @Test func keysOfTheNewSnapshotAloneCount() async throws {
        let view = Self.view(Kept())
        let other = Key(role: .read, project: 2, hash: KeyRing.hash("a read key of enough bytes"))
        _ = try await follow(view, Self.snapshot(5), Self.snapshot(6, keys: [other]))
        #expect(try view.keys.admit("Bearer a read key of enough bytes", for: .read).project == 2)
        #expect(throws: ProtocolError.self) { try view.keys.admit("Bearer a write key of enough bytes", for: .write) }
    }

    // MARK: Faults

    @Test func whatCannotBeKeptIsNotActedBy() async throws {
        let kept = Kept(failures: 1)
        let view = Self.view(kept)
        let asked = try await follow(view, Self.snapshot(5), Self.snapshot(5))
        #expect(asked.map(\.known) == [0, 0, 5] && view.snapshot == Self.snapshot(5))
    }

    @Test func aDamagedAnswerChangesNothing() async throws {
        let kept = Kept()
        let view = Self.view(kept)
        let good = Self.snapshot(9).body
        let asked = try await follow(
            view, [.success(Self.snapshot(5).body), .success(Array(good.dropLast())), .failure(ProtocolError(.notReady, "starting"))])
        #expect(view.snapshot == Self.snapshot(5) && kept.snapshot == Self.snapshot(5))
        #expect(asked.map(\.known) == [0, 5, 5, 5])
    }

    // MARK: The file

    @Test func aServiceStartsWithWhatItHasKept() async throws {
        let view = Self.view(Kept(Self.bytes(Self.snapshot(5))))
        #expect(view.snapshot == Self.snapshot(5) && !view.keys.isOpen && view.cluster.revision == 5)
        // It has not heard from the coordinator yet, and asks for an answer at once.
        #expect(view.sinceHeard == nil)
        #expect(await view.ready() == Self.snapshot(5))
        let asked = try await follow(view, Self.snapshot(5))
        #expect(asked[0] == SnapshotRequest(known: 5, waitMilliseconds: 0, origin: .init(Self.snapshot(5))) && view.sinceHeard != nil)
    }

    @Test func aDamagedFileIsNotUsed() {
        let good = Self.bytes(Self.snapshot(5))
        #expect(Self.view(Kept(good)).snapshot != nil)
        for end in 0..<good.count { #expect(Self.view(Kept(Array(good[..<end]))).snapshot == nil, "cut at \(end)") }
        for i in good.indices {
            var bytes = good
            bytes[i] ^= 0x10
            #expect(Self.view(Kept(bytes)).snapshot == nil, "byte \(i)")
        }
        #expect(Self.view(Kept(good + [0])).snapshot == nil)
        #expect(Self.view(Kept(Self.bytes(Self.snapshot(5), .identity))).snapshot == nil)
    }

    // MARK: Waiting

    @Test func whoWaitsHasTheFirstSnapshot() async throws {
        let view = Self.view(Kept())
        let waiting = (0..<3).map { _ in Task { await view.ready() } }
        _ = try await follow(view, Self.snapshot(5), Self.snapshot(6))
        for task in waiting { #expect(await task.value != nil) }
        #expect(await view.ready() == Self.snapshot(6))
    }

    @Test func whoIsCancelledHasNone() async {
        let view = Self.view(Kept())
        let waiting = Task { await view.ready() }
        waiting.cancel()
        #expect(await waiting.value == nil)
    }
}

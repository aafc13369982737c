import CoordinatorService
import FunnelModel
import FunnelProtocol
import IngestService
import Logging
import NIOPosix
import RPC
import Testing

/// The last events of a project in memory of an ingest, and the ingests that a coordinator knows. Time is passed in.
struct IncomingRingsTests {
    private let start = ContinuousClock.now

    /// A box, since expectations cannot change values.
    private final class Rings {
        private var value = IncomingRings()
        func add(_ events: [IncomingEvent], project: UInt32) { value.add(events, project: project) }
        func ask(_ request: IncomingRequest, project: UInt32, now: ContinuousClock.Instant) -> [IncomingEvent] {
            value.ask(request, project: project, now: now)
        }
        func sweep(now: ContinuousClock.Instant) -> Bool { value.sweep(now: now) }
        func isWatched(_ project: UInt32, now: ContinuousClock.Instant) -> Bool { value.isWatched(project, now: now) }
    }

    private func event(_ time: Int64, _ name: String = "Visit", rejected: Bool = true) -> IncomingEvent {
        IncomingEvent(
            time: time, endpoint: "/v1/events", key: nil, event: name, user: "u", reason: rejected ? "user_id: field required" : nil,
            record: "{}")
    }

    @Test func theNewestComeFirstAndTimesRise() {
        let rings = Rings()
        rings.add([event(5), event(5), event(3)], project: 1)
        #expect(rings.ask(.init(), project: 1, now: start).map(\.time) == [7, 6, 5])
        #expect(rings.ask(.init(limit: 2), project: 1, now: start).map(\.time) == [7, 6])
        #expect(rings.ask(.init(after: 6), project: 1, now: start).map(\.time) == [7])
        #expect(rings.ask(.init(), project: 2, now: start).isEmpty)
    }

    @Test func onlyTheLastOfEachOutcomeAreKept() {
        let rings = Rings()
        for time in 0..<1_000 { rings.add([event(Int64(time), rejected: time % 2 == 0)], project: 1) }
        #expect(rings.ask(.init(kind: .rejected, limit: 200), project: 1, now: start).map(\.time) == (300..<500).reversed().map { $0 * 2 })
        #expect(rings.ask(.init(kind: .taken, limit: 200), project: 1, now: start).count == 200)
        #expect(rings.ask(.init(kind: .all, limit: 200), project: 1, now: start).map(\.time) == (800..<1_000).reversed().map { $0 })
        rings.add((0..<5_000).map { event(10_000 + $0) }, project: 3)
        #expect(rings.ask(.init(limit: 200), project: 3, now: start).first?.time == 14_999)
    }

    @Test func namesAreFiltered() {
        let rings = Rings()
        rings.add([event(1, "Visit"), event(2, "Sign Up"), event(3, "Visited")], project: 1)
        #expect(rings.ask(.init(event: "Visit"), project: 1, now: start).map(\.event) == ["Visited", "Visit"])
        #expect(rings.ask(.init(event: "visit"), project: 1, now: start).isEmpty)
    }

    @Test func takenEventsAreKeptWhileSomebodyAsks() {
        let rings = Rings()
        #expect(!rings.isWatched(1, now: start) && !rings.sweep(now: start))
        // A question about rejected events alone costs nothing later.
        _ = rings.ask(.init(kind: .rejected), project: 1, now: start)
        #expect(!rings.isWatched(1, now: start))
        _ = rings.ask(.init(kind: .all), project: 1, now: start)
        #expect(rings.isWatched(1, now: start + .seconds(59)) && !rings.isWatched(2, now: start))
        rings.add([event(1, rejected: false), event(2)], project: 1)
        #expect(rings.sweep(now: start + .seconds(59)))
        #expect(!rings.isWatched(1, now: start + .seconds(60)) && !rings.sweep(now: start + .seconds(60)))
        // The rejected one remains.
        #expect(rings.ask(.init(kind: .all), project: 1, now: start + .seconds(61)).map(\.time) == [2])
    }

    @Test func theProjectThatWasNotUsedForLongestGivesWay() {
        let rings = Rings()
        for project in 1...UInt32(IncomingRings.projectsMax) { rings.add([event(1)], project: project) }
        rings.add([event(2)], project: 1)
        rings.add([event(3)], project: 1_000)
        #expect(rings.ask(.init(), project: 1, now: start).count == 2 && rings.ask(.init(), project: 1_000, now: start).count == 1)
        #expect(rings.ask(.init(), project: 2, now: start).isEmpty)
    }

    // MARK: - The coordinator's list

    private func list() -> IngestList {
        let service = ServiceSelf(role: .coordinator, secret: []) { ClusterState() }
        return IngestList { host, port in
            FrameClient(
                name: "ingest", host: host, port: port, service: service, expecting: .ingest, group: .singletonMultiThreadedEventLoopGroup,
                tls: nil, connections: 1, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }
    }

    @Test func ingestsAreKnownByTheirAddressesAndForgottenInTime() async throws {
        let ingests = list()
        try ingests.hear("10.0.0.7:8081", from: "10.0.0.7", now: start)
        try ingests.hear(":8081", from: "10.0.0.8", now: start)
        try ingests.hear(":8081", from: "fd00::1", now: start + .seconds(600))
        try ingests.hear("10.0.0.7:8081", from: nil, now: start + .seconds(600))
        #expect(ingests.addresses == ["10.0.0.7:8081", "10.0.0.8:8081", "[fd00::1]:8081"])
        await ingests.sweep(now: start + .seconds(899))
        #expect(ingests.addresses.count == 3)
        await ingests.sweep(now: start + .seconds(900))
        #expect(ingests.addresses == ["10.0.0.7:8081", "[fd00::1]:8081"])
        for bad in ["", ":", ":0", ":99999", "host", "http://host:1", "a:b:1"] {
            #expect(throws: ProtocolError.self, "\(bad)") { try ingests.hear(bad, from: "10.0.0.9") }
        }
        #expect(throws: ProtocolError.self) { try ingests.hear(":8081", from: nil) }
        await ingests.shutdown()
    }

    @Test func anIngestThatStopsIsForgotten() async throws {
        let ingests = list()
        for host in ["10.0.0.7", "10.0.0.8"] { try ingests.hear(":8081", from: host) }
        try await ingests.forget(":8081", from: "10.0.0.7")
        try await ingests.forget("10.0.0.9:8081", from: nil)
        #expect(ingests.addresses == ["10.0.0.8:8081"])
        await #expect(throws: ProtocolError.self) { try await ingests.forget(":8081", from: nil) }
        await ingests.shutdown()
    }

    @Test func theListIsBounded() async throws {
        let ingests = list()
        for port in 1...IngestList.countMax { try ingests.hear("10.0.0.7:\(port)", from: nil) }
        #expect(throws: ProtocolError.self) { try ingests.hear("10.0.0.8:1", from: nil) }
        try ingests.hear("10.0.0.7:1", from: nil)
        await ingests.shutdown()
    }

    @Test func answersAreMergedByTime() {
        var answer = IncomingAnswer(ingests: 3, limit: 3)
        answer.add([event(9), event(2)], of: "b:1")
        answer.add(nil, of: "c:1")
        answer.add([event(9), event(5)], of: "a:1")
        let events = answer.json["events"]?.asArray ?? []
        #expect(events.map { $0["ingest"]?.asString?.string } == ["b:1", "a:1", "a:1"])
        #expect(answer.json["silent"] == ["c:1"] && answer.json["ingests"] == 3)
    }
}

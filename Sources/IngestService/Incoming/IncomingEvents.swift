import FunnelModel
import FunnelProtocol
import Logging
import RPC
import ServiceRuntime
import Synchronization

/// Who sent a request, and to which path.
struct RequestOrigin: Sendable {
    let project: UInt32
    let endpoint: String
    /// Id of the created API key.
    let key: String?

    init(_ sender: KeyRing.Principal, _ endpoint: String) {
        project = sender.project
        self.endpoint = endpoint
        key = sender.keyID
    }
}

/// The events that came lately: rejected ones go to files and to memory, taken ones to memory while somebody looks at them.
final class IncomingEvents: Sendable {
    private let letters: DeadLetters?
    private let rings = Mutex(IncomingRings())
    /// Whether taken events of any project are kept.
    private let isWatched = Atomic<Bool>(false)

    /// Rejected events of one request that are kept.
    private static let perRequest = 1_000
    /// Bytes of each project's file that are read at the start.
    private static let tailBytes = 256 << 10

    /// - Parameter letters: nil if rejected events are not kept in files.
    init(_ letters: DeadLetters?) {
        self.letters = letters
        for (project, lines) in letters?.lastLines(projectsMax: IncomingRings.projectsMax, bytesMax: Self.tailBytes) ?? [] {
            rings.withLock { rings in
                rings.add(lines.compactMap { RejectedEvent(line: $0).map { IncomingEvent($0) } }, project: project)
            }
        }
    }

    /// Whether something of a request with this outcome is kept. Its only cost if nothing is.
    func wants(_ outcome: AppendOutcome) -> Bool {
        isWatched.load(ordering: .relaxed) || letters != nil && !outcome.rejected.isEmpty
    }

    /// Keeps the rejected events of a request and, if somebody looks, the last of those that were taken.
    /// - Parameter content: a rejected event as it came, by its index in the request.
    func note(
        _ outcome: AppendOutcome, of read: ReadBatch, from origin: RequestOrigin, content: (Int) -> RejectedEvent.Content
    ) {
        let isWatched = rings.withLock { $0.isWatched(origin.project, now: .now) }
        let now = WallClock.now()
        var events = isWatched ? taken(outcome, of: read, origin, now) : []
        if letters != nil || isWatched {
            for row in outcome.rejected.prefix(Self.perRequest) {
                events.append(keep(content(row.row), row.reason, origin, now))
            }
            letters?.countLeftOut(outcome.rejected.count - Self.perRequest)
        }
        rings.withLock { $0.add(events, project: origin.project) }
    }

    /// Keeps a single event that was rejected before it became a batch.
    func note(_ fault: EventFault, _ bytes: [UInt8], from origin: RequestOrigin) {
        guard letters != nil || isWatched.load(ordering: .relaxed) else { return }
        let event = keep(RejectedEvent.Content(bytes), fault.reason, origin, WallClock.now())
        rings.withLock { $0.add([event], project: origin.project) }
    }

    private func keep(_ content: RejectedEvent.Content, _ reason: String, _ origin: RequestOrigin, _ now: Int64) -> IncomingEvent {
        let event = RejectedEvent(
            time: now, project: origin.project, endpoint: origin.endpoint, key: origin.key, reason: reason, content: content)
        letters?.offer(event.line, project: origin.project)
        return IncomingEvent(event)
    }

    private func taken(_ outcome: AppendOutcome, of read: ReadBatch, _ origin: RequestOrigin, _ now: Int64) -> [IncomingEvent] {
        let others = Set(outcome.rejected.map(\.row)).union(outcome.retry)
        var found: [IncomingEvent] = []
        for row in (0..<read.batch.count).reversed() where found.count < IncomingRings.eventsMax {
            let name = read.batch.names[Int(read.batch.name[row])]
            if EventName.isReserved(name) || others.contains(read.index[row]) { continue }
            found.append(IncomingEvent(read.batch.event(row), time: now, endpoint: origin.endpoint, key: origin.key))
        }
        return found.reversed()
    }

    /// Answers the coordinator.
    func answer(_ call: FrameCall) async throws {
        let request = try IncomingRequest.parse(try JSONParser.parse(call.frame.body))
        let project = call.frame.context.project
        let found = rings.withLock { rings in
            if request.kind != .rejected { isWatched.store(true, ordering: .relaxed) }
            return rings.ask(request, project: project, now: .now)
        }
        var answer = call.writer()
        try await answer.send(.mergedResult, JSONValue.object([.init("events", .array(found.map { $0.json() }))]).encode())
        try await answer.end(rows: found.count)
    }

    /// Until cancelled: forgets what nobody looks at any more.
    func sweep() async {
        while (try? await Task.sleep(for: .seconds(5))) != nil {
            guard isWatched.load(ordering: .relaxed) else { continue }
            rings.withLock { rings in isWatched.store(rings.sweep(now: .now), ordering: .relaxed) }
        }
    }

    func finish() async { await letters?.finish() }
}

import FunnelModel
import FunnelProtocol

/// The last events of each project, in memory: rejected ones always, taken ones while somebody looks.
package struct IncomingRings {
    private struct Ring {
        /// In order of their times.
        var rejected: [IncomingEvent] = []
        var taken: [IncomingEvent] = []
        var lastTime = Int64.min
        /// Until when taken events are kept.
        var watchedUntil: ContinuousClock.Instant?
        /// Number of the last addition or question.
        var use = 0
    }

    /// Max events of a project, of each outcome.
    package static let eventsMax = IncomingRequest.limitMax
    /// Max projects; the one that was not used for longest gives way.
    package static let projectsMax = 32
    /// How long after a question taken events are kept.
    package static let watch = Duration.seconds(60)

    private var rings: [UInt32: Ring] = [:]
    private var uses = 0

    package init() {}

    /// Whether taken events of a project are kept.
    package func isWatched(_ project: UInt32, now: ContinuousClock.Instant) -> Bool {
        rings[project]?.watchedUntil.map { now < $0 } ?? false
    }

    /// Forgets taken events that nobody asks for any more.
    /// - Returns: whether those of any project are still kept.
    package mutating func sweep(now: ContinuousClock.Instant) -> Bool {
        for (project, ring) in rings where ring.watchedUntil.map({ now >= $0 }) ?? false {
            rings[project]?.watchedUntil = nil
            rings[project]?.taken = []
        }
        return rings.values.contains { $0.watchedUntil != nil }
    }

    /// Adds events in the order in which they came. Their times are raised where they would not rise.
    package mutating func add(_ events: [IncomingEvent], project: UInt32) {
        if events.isEmpty { return }
        change(project) { ring in
            for var event in events.suffix(Self.eventsMax) {
                event.time = max(event.time, ring.lastTime &+ 1)
                ring.lastTime = event.time
                if event.reason == nil { ring.taken.append(event) } else { ring.rejected.append(event) }
            }
            ring.taken.removeFirst(max(0, ring.taken.count - Self.eventsMax))
            ring.rejected.removeFirst(max(0, ring.rejected.count - Self.eventsMax))
        }
    }

    /// The newest events that a request asks for, the newest first. Taken events are kept from now on, for `watch`.
    package mutating func ask(_ request: IncomingRequest, project: UInt32, now: ContinuousClock.Instant) -> [IncomingEvent] {
        var found: [IncomingEvent] = []
        change(project) { ring in
            if request.kind != .rejected { ring.watchedUntil = now + Self.watch }
            found = ring.rejected.filter(request.takes) + ring.taken.filter(request.takes)
        }
        return Array(found.sorted { $0.time > $1.time }.prefix(request.limit))
    }

    private mutating func change(_ project: UInt32, _ body: (inout Ring) -> Void) {
        if rings[project] == nil, rings.count >= Self.projectsMax, let oldest = rings.min(by: { $0.value.use < $1.value.use }) {
            rings[oldest.key] = nil
        }
        uses += 1
        var ring = rings.removeValue(forKey: project) ?? Ring()
        ring.use = uses
        body(&ring)
        rings[project] = ring
    }
}

/// Schedules work on a fixed number of places: projects in turn. Running work asks now and then whether it should give way
/// (`shouldGiveWay`); then it returns to the queue (`giveWay`). The time is passed in.
///
/// - While other projects wait, a project has at most half of the places, but at least one.
/// - After `turn`, work gives its place to work that waits.
package struct ProjectTurns {
    /// Work in the queue or in a place, known by its ticket.
    package struct Work: Sendable {
        package let ticket: UInt64
        let project: UInt32
        /// True until it runs for the first time.
        var isNew = true
        /// Start of its current wait or run.
        var since: ContinuousClock.Instant
        /// Starts the work, or lets it go on.
        package var wake: @Sendable () -> Void

        package init(ticket: UInt64, project: UInt32, since: ContinuousClock.Instant, wake: @escaping @Sendable () -> Void = {}) {
            self.ticket = ticket
            self.project = project
            self.since = since
            self.wake = wake
        }
    }

    package static let turn = Duration.milliseconds(50)
    /// Min time in a place, since giving way has a cost too.
    package static let shortestTurn = Duration.milliseconds(5)

    private let places: Int
    /// Max work that has begun and not ended, whether it runs or waits.
    private let begunMax: Int
    private var begun = 0
    package private(set) var running: [Work] = []
    package private(set) var waiting: [Work] = []
    /// By project, the number of its last turn.
    private var served: [UInt32: UInt64] = [:]
    private var turns: UInt64 = 0

    /// `places` is the max work that runs at a time; `begunMax` is at least that.
    package init(places: Int, begunMax: Int) {
        self.places = places
        self.begunMax = max(places, begunMax)
    }

    /// Adds work to the queue.
    /// - Returns: work to wake.
    package mutating func enter(_ work: Work) -> [Work] {
        waiting.append(work)
        return fill(work.since)
    }

    /// Removes work that has ended.
    /// - Returns: work to wake.
    package mutating func leave(_ ticket: UInt64, _ now: ContinuousClock.Instant) -> [Work] {
        running.removeAll { $0.ticket == ticket }
        begun -= 1
        return fill(now)
    }

    /// Removes work from the queue; nil if it is not in it.
    package mutating func withdraw(_ ticket: UInt64) -> Work? {
        guard let i = waiting.firstIndex(where: { $0.ticket == ticket }) else { return nil }
        return waiting.remove(at: i)
    }

    /// Whether running work should call `giveWay` now.
    package func shouldGiveWay(_ ticket: UInt64, _ now: ContinuousClock.Instant) -> Bool {
        guard !waiting.isEmpty, let work = running.first(where: { $0.ticket == ticket }) else { return false }
        let age = now - work.since
        if age < Self.shortestTurn { return false }
        if age >= Self.turn { return true }
        return running(of: work.project) > half && waiting.contains { $0.project != work.project }
    }

    /// Puts running work back into the queue.
    /// - Returns: work to wake; it may be among it.
    package mutating func giveWay(_ ticket: UInt64, _ now: ContinuousClock.Instant, wake: @escaping @Sendable () -> Void) -> [Work] {
        guard let i = running.firstIndex(where: { $0.ticket == ticket }) else { return [] }
        var work = running.remove(at: i)
        work.since = now
        work.isNew = false
        work.wake = wake
        waiting.append(work)
        return fill(now)
    }

    // MARK: Order of turns

    private var half: Int { max(1, places / 2) }
    private func running(of project: UInt32) -> Int { running.count { $0.project == project } }

    private mutating func fill(_ now: ContinuousClock.Instant) -> [Work] {
        var woken: [Work] = []
        while running.count < places, let i = next() {
            var work = waiting.remove(at: i)
            work.since = now
            if work.isNew { begun += 1 }
            turns += 1
            served[work.project] = turns
            running.append(work)
            woken.append(work)
        }
        if waiting.isEmpty, running.isEmpty { served = [:] }
        return woken
    }

    /// Index of the work whose turn is next. Called for every piece of work, so its time must not grow faster than the queue.
    private func next() -> Int? {
        guard let first = waiting.first?.project else { return nil }
        // Whether work of another project waits: the same for every project in the queue.
        let areSeveral = waiting.indices.contains { waiting[$0].project != first }
        var best: (isHeld: Int, served: UInt64, index: Int)?
        var last: UInt32?
        for i in waiting.indices where waiting[i].project != last && (!waiting[i].isNew || begun < begunMax) {
            let project = waiting[i].project
            // Of one project, the first that is ready is the next.
            last = project
            // If the rules allow no waiting work, a free place is filled all the same.
            let isHeld = areSeveral && running(of: project) >= half ? 1 : 0
            let order = served[project] ?? 0
            if let best, (best.isHeld, best.served) <= (isHeld, order) { continue }
            best = (isHeld, order, i)
        }
        return best?.index
    }
}

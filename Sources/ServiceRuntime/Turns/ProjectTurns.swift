/// Whose work runs now: so much at a time, projects in turn, and light work before heavy. Work that runs may be asked now and
/// then whether it should give way; it then waits until its turn comes again.
///
/// - While others wait, a project has at most half of the places, at least one.
/// - While light work waits, heavy work leaves a place free.
/// - Work that is never asked to give way does not take the last of several places, so that light work that comes next need
///   not wait for its end.
/// - Work has its place for `turn`, then others that wait have theirs. What waited for `patience` counts as light.
package struct ProjectTurns {
    package struct Work: Sendable {
        package let ticket: UInt64
        let project: UInt32
        let isHeavy: Bool
        /// Whether it is never asked to give way.
        let isUnpaused: Bool
        /// Whether it has not begun.
        var isNew = true
        /// Since when it waits, or runs.
        var since: ContinuousClock.Instant
        /// Lets it go on.
        package var wake: @Sendable () -> Void

        package init(
            ticket: UInt64, project: UInt32, isHeavy: Bool, isUnpaused: Bool = false, since: ContinuousClock.Instant,
            wake: @escaping @Sendable () -> Void = {}
        ) {
            self.ticket = ticket
            self.project = project
            self.isHeavy = isHeavy
            self.isUnpaused = isUnpaused
            self.since = since
            self.wake = wake
        }
    }

    package static let turn = Duration.milliseconds(50)
    /// A place is kept for so long, whoever waits: to give way costs something too.
    package static let shortestTurn = Duration.milliseconds(5)
    package static let patience = Duration.seconds(1)

    private let places: Int
    /// Scans that have begun and not ended, at most.
    private let begunMax: Int
    private var begun = 0
    package private(set) var running: [Work] = []
    package private(set) var waiting: [Work] = []
    /// By project, when it was served last, counted in turns.
    private var served: [UInt32: UInt64] = [:]
    private var turns: UInt64 = 0

    package init(places: Int, begunMax: Int) {
        self.places = places
        self.begunMax = max(places, begunMax)
    }

    /// - Returns: scans to wake.
    package mutating func enter(_ work: Work) -> [Work] {
        waiting.append(work)
        return fill(work.since)
    }

    /// Work has ended.
    package mutating func leave(_ ticket: UInt64, _ now: ContinuousClock.Instant) -> [Work] {
        running.removeAll { $0.ticket == ticket }
        begun -= 1
        return fill(now)
    }

    /// Takes a work that waits out of the line; nil where it does not wait.
    package mutating func withdraw(_ ticket: UInt64) -> Work? {
        guard let i = waiting.firstIndex(where: { $0.ticket == ticket }) else { return nil }
        return waiting.remove(at: i)
    }

    package func shouldGiveWay(_ ticket: UInt64, _ now: ContinuousClock.Instant) -> Bool {
        guard !waiting.isEmpty, let work = running.first(where: { $0.ticket == ticket }) else { return false }
        let age = now - work.since
        if age < Self.shortestTurn { return false }
        if age >= Self.turn { return true }
        if running(of: work.project) > half, waiting.contains(where: { $0.project != work.project }) { return true }
        return work.isHeavy && runningHeavy == places && waiting.contains { !$0.isHeavy }
    }

    /// Puts a work that runs back in line.
    /// - Returns: scans to wake; it may be among them.
    package mutating func giveWay(_ ticket: UInt64, _ now: ContinuousClock.Instant, wake: @escaping @Sendable () -> Void) -> [Work] {
        guard let i = running.firstIndex(where: { $0.ticket == ticket }) else { return [] }
        var work = running.remove(at: i)
        work.since = now
        work.isNew = false
        work.wake = wake
        waiting.append(work)
        return fill(now)
    }

    // MARK: Whose turn it is

    private var half: Int { max(1, places / 2) }
    private var runningHeavy: Int { running.count(where: \.isHeavy) }
    private func running(of project: UInt32) -> Int { running.count { $0.project == project } }

    private mutating func fill(_ now: ContinuousClock.Instant) -> [Work] {
        var woken: [Work] = []
        while running.count < places, let i = next(now) {
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

    /// Index of the work whose turn is next.
    private func next(_ now: ContinuousClock.Instant) -> Int? {
        func isLight(_ work: Work) -> Bool { !work.isHeavy || now - work.since >= Self.patience }
        let lightWaits = waiting.contains { !$0.isHeavy }
        let heavyMax = lightWaits ? places - 1 : places
        func isFree(_ work: Work) -> Bool {
            if !isLight(work), runningHeavy >= heavyMax { return false }
            return running(of: work.project) < half || !waiting.contains { $0.project != work.project }
        }
        let isLastForUnpaused = places > 1 && running.count(where: \.isUnpaused) >= places - 1
        let ready = waiting.indices.filter { i in
            (!waiting[i].isNew || begun < begunMax) && !(waiting[i].isUnpaused && isLastForUnpaused)
        }
        func order(_ i: Int) -> (Int, UInt64, Int) { (isLight(waiting[i]) ? 0 : 1, served[waiting[i].project] ?? 0, i) }
        // A place is not left empty where the rules leave nobody for it.
        return ready.filter { isFree(waiting[$0]) }.min { order($0) < order($1) } ?? ready.min { order($0) < order($1) }
    }
}

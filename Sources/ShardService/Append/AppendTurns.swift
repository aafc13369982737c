/// The queue of appends: projects in turn, the appends of a project in order of arrival. A project can be made to rest while the
/// others go on.
package struct AppendTurns<Append> {
    /// What the writer does next.
    package enum Next {
        /// Writes these as one log record.
        case group([Append], projects: [UInt32])
        /// Waits until then: all projects with appends rest.
        case rest(until: ContinuousClock.Instant)
        case nothing
    }

    private struct Entry {
        let append: Append
        let bytes: Int
        let rows: Int
    }

    private struct Line {
        var entries: [Entry] = []
        var bytes = 0
        var restsUntil: ContinuousClock.Instant?
    }

    private let bytesMax: Int
    private let groupBytes: Int
    private var lines: [UInt32: Line] = [:]
    /// Projects with appends, in the order of their turns.
    private var order: [UInt32] = []
    /// Of all waiting appends.
    package private(set) var bytes = 0
    package private(set) var rows = 0

    /// `bytesMax` is the max of all waiting appends, half of it for one project. `groupBytes` is the max of a group of several
    /// appends.
    package init(bytesMax: Int, groupBytes: Int) {
        self.bytesMax = bytesMax
        self.groupBytes = groupBytes
    }

    /// Adds an append to the queue.
    /// - Returns: false if the queue, or the project's half, is full. The only append of a project may be larger than half.
    package mutating func enter(_ append: Append, project: UInt32, bytes: Int, rows: Int) -> Bool {
        var line = lines[project] ?? Line()
        if self.bytes > 0, self.bytes + bytes > bytesMax { return false }
        if line.bytes > 0, line.bytes + bytes > bytesMax / 2 { return false }
        if line.entries.isEmpty { order.append(project) }
        line.entries.append(Entry(append: append, bytes: bytes, rows: rows))
        line.bytes += bytes
        lines[project] = line
        self.bytes += bytes
        self.rows += rows
        return true
    }

    /// Lets a project rest: none of its appends is written before `instant`.
    package mutating func rest(_ project: UInt32, until instant: ContinuousClock.Instant) {
        lines[project, default: Line()].restsUntil = instant
    }

    /// What the writer does next. The appends of a group leave the queue.
    package mutating func next(_ now: ContinuousClock.Instant) -> Next {
        for (project, line) in lines where line.restsUntil.map({ $0 <= now }) ?? false {
            lines[project]?.restsUntil = nil
            if line.entries.isEmpty { lines[project] = nil }
        }
        let ready = order.filter { lines[$0]?.restsUntil == nil }
        guard !ready.isEmpty else {
            let ends = order.compactMap { lines[$0]?.restsUntil }
            return ends.min().map { .rest(until: $0) } ?? .nothing
        }
        return take(ready)
    }

    /// One append of each project in turn, until the group is full.
    private mutating func take(_ ready: [UInt32]) -> Next {
        var taken: [UInt32: Int] = [:]
        var group: [Append] = []
        var size = 0
        var turn = ready
        while !turn.isEmpty {
            var left: [UInt32] = []
            for project in turn {
                let at = taken[project] ?? 0
                guard let line = lines[project], at < line.entries.count else { continue }
                let entry = line.entries[at]
                if !group.isEmpty, size + entry.bytes > groupBytes { continue }
                group.append(entry.append)
                size += entry.bytes
                rows -= entry.rows
                taken[project] = at + 1
                left.append(project)
            }
            turn = left
        }
        bytes -= size
        for (project, count) in taken { remove(count, of: project) }
        return .group(group, projects: ready.filter { taken[$0] != nil })
    }

    /// Removes the first appends of a project and moves it to the end of the order.
    private mutating func remove(_ count: Int, of project: UInt32) {
        guard var line = lines[project] else { return }
        line.bytes -= line.entries.prefix(count).reduce(0) { $0 + $1.bytes }
        line.entries.removeFirst(count)
        order.removeAll { $0 == project }
        if !line.entries.isEmpty { order.append(project) }
        lines[project] = line.entries.isEmpty ? nil : line
    }
}

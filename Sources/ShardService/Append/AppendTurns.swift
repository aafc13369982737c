/// Which appends are written next: projects in turn, the appends of each in the order in which they came. A project can be
/// made to rest; the others go on meanwhile.
package struct AppendTurns<Append> {
    /// What the writer does next.
    package enum Next {
        /// Writes these as one log record.
        case group([Append], projects: [UInt32])
        /// Waits; nothing else may be written before.
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
    /// Projects with appends, the one whose turn it is first.
    private var order: [UInt32] = []
    /// Of all appends that wait.
    package private(set) var bytes = 0
    package private(set) var rows = 0

    /// - Parameters:
    ///   - bytesMax: bytes of all appends that wait; one project may have half of them.
    ///   - groupBytes: bytes of a group, roughly.
    package init(bytesMax: Int, groupBytes: Int) {
        self.bytesMax = bytesMax
        self.groupBytes = groupBytes
    }

    /// - Returns: false where too much waits already; an append is always taken where none of its project waits and there is room.
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

    /// Nothing more of a project is written before `instant`.
    package mutating func rest(_ project: UInt32, until instant: ContinuousClock.Instant) {
        lines[project, default: Line()].restsUntil = instant
    }

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

    /// Takes away the first appends of a project, whose next turn then comes last.
    private mutating func remove(_ count: Int, of project: UInt32) {
        guard var line = lines[project] else { return }
        line.bytes -= line.entries.prefix(count).reduce(0) { $0 + $1.bytes }
        line.entries.removeFirst(count)
        order.removeAll { $0 == project }
        if !line.entries.isEmpty { order.append(project) }
        lines[project] = line.entries.isEmpty ? nil : line
    }
}

import FunnelModel

/// Rows of the memtable in the order of event name, user ordinal, time and durability. A scan merges them with the runs of segment files.
final class RowRun: Sendable {
    /// Ascending project codes of names that have rows here.
    let names: [UInt32]
    /// The rows of `names[i]` are `starts[i]..<starts[i + 1]`.
    let starts: [Int]
    let ordinal: [UInt32]
    let time: [Int64]
    /// Where each row is: the number of its batch, and its row in the batch.
    let batch: [UInt32]
    let row: [UInt32]
    /// Only runs of the same generation are merged, so that a seal finds what it froze.
    let generation: Int
    /// Project codes of names that have a server-timed row.
    let serverTimed: Set<UInt32>

    private init(_ columns: Columns, generation: Int, serverTimed: Set<UInt32>) {
        names = columns.names
        starts = columns.starts
        ordinal = columns.ordinal
        time = columns.time
        batch = columns.batch
        row = columns.row
        self.generation = generation
        self.serverTimed = serverTimed
    }

    var count: Int { ordinal.count }

    /// The rows of an event name; empty if there are none.
    func rows(ofName code: UInt32) -> Range<Int> {
        let i = names.indices.partitioningIndex { names[$0] >= code }
        return i < names.count && names[i] == code ? starts[i]..<starts[i + 1] : 0..<0
    }

    /// The first row of `rows` whose ordinal is not below `bound`.
    func firstRow(in rows: Range<Int>, from bound: UInt32) -> Int { rows.partitioningIndex { ordinal[$0] >= bound } }

    private struct Columns {
        var names: [UInt32] = []
        var starts: [Int] = [0]
        var ordinal: [UInt32] = []
        var time: [Int64] = []
        var batch: [UInt32] = []
        var row: [UInt32] = []

        mutating func reserve(_ count: Int) {
            ordinal.reserveCapacity(count)
            time.reserveCapacity(count)
            batch.reserveCapacity(count)
            row.reserveCapacity(count)
        }

        mutating func endName(_ name: UInt32) {
            guard ordinal.count > starts[starts.count - 1] else { return }
            names.append(name)
            starts.append(ordinal.count)
        }

        @inline(__always) mutating func take(_ run: RowRun, _ i: Int) {
            ordinal.append(run.ordinal[i])
            time.append(run.time[i])
            batch.append(run.batch[i])
            row.append(run.row[i])
        }

        mutating func take(_ run: RowRun, _ rows: Range<Int>) {
            ordinal.append(contentsOf: run.ordinal[rows])
            time.append(contentsOf: run.time[rows])
            batch.append(contentsOf: run.batch[rows])
            row.append(contentsOf: run.row[rows])
        }
    }

    /// Sorts one batch by counting sort: rows by user, then by name. Times mostly arrive in order.
    static func sorting(_ stored: StoredBatch, number: UInt32, generation: Int) -> RowRun {
        let source = stored.batch
        let byUser = stableOrder(source.user, ranks: ranks(of: stored.ordinals), after: nil)
        let (nameRanks, names) = ranksAndValues(of: stored.names)
        let order = stableOrder(source.name, ranks: nameRanks, after: byUser)
        var columns = Columns()
        columns.reserve(order.count)
        var serverTimed: Set<UInt32> = []
        var current = 0
        for row in order {
            let rank = nameRanks[Int(source.name[row])]
            if rank != current {
                columns.endName(names[current])
                current = rank
            }
            columns.ordinal.append(stored.ordinals[Int(source.user[row])])
            columns.time.append(source.time[row])
            columns.batch.append(number)
            columns.row.append(UInt32(truncatingIfNeeded: row))
            if stored.isServerTimed(row) { serverTimed.insert(names[rank]) }
        }
        if !order.isEmpty { columns.endName(names[current]) }
        sortTimes(&columns)
        return RowRun(columns, generation: generation, serverTimed: serverTimed)
    }

    /// Distinct values get ascending ranks.
    private static func ranksAndValues(of values: [UInt32]) -> (ranks: [Int], values: [UInt32]) {
        var keyed = values.enumerated().map { UInt64($0.element) << 32 | UInt64($0.offset) }
        keyed.sort()
        var ranks = [Int](repeating: 0, count: values.count)
        var distinct: [UInt32] = []
        for key in keyed {
            let value = UInt32(truncatingIfNeeded: key >> 32)
            if distinct.last != value { distinct.append(value) }
            ranks[Int(key & 0xFFFF_FFFF)] = distinct.count - 1
        }
        return (ranks, distinct)
    }

    private static func ranks(of values: [UInt32]) -> [Int] { ranksAndValues(of: values).ranks }

    private static func stableOrder(_ codes: [UInt32], ranks: [Int], after order: [Int]?) -> [Int] {
        var next = [Int](repeating: 0, count: (ranks.max() ?? 0) + 2)
        for code in codes { next[ranks[Int(code)] + 1] += 1 }
        for i in 1..<next.count { next[i] += next[i - 1] }
        var out = [Int](repeating: 0, count: codes.count)
        for i in codes.indices {
            let row = order?[i] ?? i
            let rank = ranks[Int(codes[row])]
            out[next[rank]] = row
            next[rank] += 1
        }
        return out
    }

    /// Within a name and a user, by time; equal times keep the order of arrival.
    private static func sortTimes(_ columns: inout Columns) {
        for name in columns.names.indices {
            var start = columns.starts[name]
            let last = columns.starts[name + 1]
            while start < last {
                var isSorted = true
                var end = start + 1
                while end < last, columns.ordinal[end] == columns.ordinal[start] {
                    if columns.time[end] < columns.time[end - 1] { isSorted = false }
                    end += 1
                }
                if !isSorted { sortTimes(&columns, start..<end) }
                start = end
            }
        }
    }

    private static func sortTimes(_ columns: inout Columns, _ rows: Range<Int>) {
        let sorted = rows.map { (time: columns.time[$0], row: columns.row[$0]) }
            .sorted { $0.time != $1.time ? $0.time < $1.time : $0.row < $1.row }
        for (i, entry) in zip(rows, sorted) {
            columns.time[i] = entry.time
            columns.row[i] = entry.row
        }
    }

    /// The same rows after batch `number` and all later ones have become one batch; `offsets` are the first row of each of them there.
    /// - Parameter first: the memtable's first batch.
    func moving(batchesFrom number: UInt32, first: UInt32, to offsets: [UInt32]) -> RowRun {
        var columns = Columns(names: names, starts: starts, ordinal: ordinal, time: time, batch: batch, row: row)
        for i in columns.batch.indices where columns.batch[i] &- first >= number &- first {
            columns.row[i] += offsets[Int(columns.batch[i] &- number)]
            columns.batch[i] = number
        }
        return RowRun(columns, generation: generation, serverTimed: serverTimed)
    }

    /// The rows of each month, in the same order.
    func byMonth() -> [(month: Int, run: RowRun)] {
        var numbers: [Int: Int] = [:]
        var parts: [(month: Int, columns: Columns)] = []
        var known = (times: Int64.max..<Int64.max, part: 0)
        for (i, name) in names.enumerated() {
            var touched: Set<Int> = []
            for at in starts[i]..<starts[i + 1] {
                if !known.times.contains(time[at]) {
                    let month = SegmentFormat.month(of: time[at])
                    let part = numbers[month] ?? parts.count
                    if part == parts.count {
                        numbers[month] = part
                        parts.append((month, Columns()))
                    }
                    known = (SegmentFormat.times(ofMonth: month), part)
                    touched.insert(part)
                } else if at == starts[i] {
                    touched.insert(known.part)
                }
                parts[known.part].columns.take(self, at)
            }
            for part in touched { parts[part].columns.endName(name) }
        }
        if parts.count == 1 { return [(parts[0].month, self)] }
        return parts.map { month, columns in (month, RowRun(columns, generation: generation, serverTimed: serverTimed)) }
    }

    /// Merges two runs of one generation. Rows of `newer` became durable later, so they come last if all else is equal.
    static func merging(_ older: RowRun, _ newer: RowRun) -> RowRun {
        var columns = Columns()
        columns.reserve(older.count + newer.count)
        var i = 0
        var j = 0
        while i < older.names.count || j < newer.names.count {
            let left = i < older.names.count ? older.names[i] : .max
            let right = j < newer.names.count ? newer.names[j] : .max
            let a = left <= right ? older.starts[i]..<older.starts[i + 1] : 0..<0
            let b = right <= left ? newer.starts[j]..<newer.starts[j + 1] : 0..<0
            merge(older, a, newer, b, &columns)
            columns.endName(min(left, right))
            if left <= right { i += 1 }
            if right <= left { j += 1 }
        }
        return RowRun(columns, generation: older.generation, serverTimed: older.serverTimed.union(newer.serverTimed))
    }

    private static func merge(_ older: RowRun, _ a: Range<Int>, _ newer: RowRun, _ b: Range<Int>, _ out: inout Columns) {
        var i = a.lowerBound
        var j = b.lowerBound
        while i < a.upperBound, j < b.upperBound {
            let (x, y) = (older.ordinal[i], newer.ordinal[j])
            if x < y || (x == y && older.time[i] <= newer.time[j]) {
                out.take(older, i)
                i += 1
            } else {
                out.take(newer, j)
                j += 1
            }
        }
        out.take(older, i..<a.upperBound)
        out.take(newer, j..<b.upperBound)
    }
}

/// An ascending list of row numbers, stored as runs.
package struct RowNumbers: Equatable, Sendable {
    /// First number of each run, and the number of rows before the run.
    private var starts: [(number: Int, before: Int)] = []
    package private(set) var count = 0
    private var next = 0

    package init() {}

    /// The list of some row numbers, which must ascend.
    package init(_ rows: [Int]) {
        for row in rows { append(row) }
    }

    /// Appends a row number.
    /// - Parameter row: larger than all others.
    package mutating func append(_ row: Int) {
        if count == 0 || row != next { starts.append((row, count)) }
        next = row + 1
        count += 1
    }

    /// The row number at a 0-based place of the list.
    package subscript(place: Int) -> Int {
        let run = starts[lowerRun { $0.before <= place }]
        return run.number + place - run.before
    }

    package func contains(_ number: Int) -> Bool {
        guard let first = starts.first, number >= first.number, number < next else { return false }
        let i = lowerRun { $0.number <= number }
        let end = i + 1 < starts.count ? starts[i + 1].before : count
        return number - starts[i].number < end - starts[i].before
    }

    /// Index of the last run for which the condition holds. It must hold for a prefix of the runs, at least for the first.
    private func lowerRun(_ holds: ((number: Int, before: Int)) -> Bool) -> Int {
        (1..<max(1, starts.count)).partitioningIndex { !holds(starts[$0]) } - 1
    }

    package static func == (a: RowNumbers, b: RowNumbers) -> Bool {
        a.count == b.count && a.starts.elementsEqual(b.starts) { $0.number == $1.number && $0.before == $1.before }
    }

    /// Writes a varint count of runs, then each as two varints: the gap before it, and the rows in it.
    package func encode(_ out: inout ByteWriter) {
        out.varint(UInt64(starts.count))
        var end = 0
        for (i, run) in starts.enumerated() {
            let rows = (i + 1 < starts.count ? starts[i + 1].before : count) - run.before
            out.varint(UInt64(run.number - end))
            out.varint(UInt64(rows))
            end = run.number + rows
        }
    }

    /// Reads a list that `encode` wrote.
    package init(_ reader: inout ByteReader) throws(ByteError) {
        for _ in 0..<(try reader.count(limit: min(reader.remaining, Limits.rowsPerBatch), "runs of rows")) {
            let start = next + (try reader.count(limit: Limits.rowsPerBatch - next, "rows left out"))
            let rows = try reader.count(limit: Limits.rowsPerBatch - start, "rows of a run")
            guard rows > 0 else { throw ByteError(offset: reader.offset, reason: "a run of no rows") }
            starts.append((start, count))
            count += rows
            next = start + rows
        }
    }
}

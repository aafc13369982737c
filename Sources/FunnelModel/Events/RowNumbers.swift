/// Numbers of rows, ascending, as runs.
package struct RowNumbers: Equatable, Sendable {
    /// First number of each run, and the number of rows before the run.
    private var starts: [(number: Int, before: Int)] = []
    package private(set) var count = 0
    private var next = 0

    package init() {}

    /// - Parameter rows: ascending.
    package init(_ rows: [Int]) {
        for row in rows { append(row) }
    }

    /// - Parameter row: above all others.
    package mutating func append(_ row: Int) {
        if count == 0 || row != next { starts.append((row, count)) }
        next = row + 1
        count += 1
    }

    /// The number of the row at a place.
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

    /// The last run for which the condition holds; it holds for the first.
    private func lowerRun(_ holds: ((number: Int, before: Int)) -> Bool) -> Int {
        var (low, high) = (0, starts.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if holds(starts[middle]) { low = middle } else { high = middle }
        }
        return low
    }

    package static func == (a: RowNumbers, b: RowNumbers) -> Bool {
        a.count == b.count && a.starts.elementsEqual(b.starts) { $0.number == $1.number && $0.before == $1.before }
    }

    /// A varint count of runs, then each as two varints: numbers left out before it, and rows in it.
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

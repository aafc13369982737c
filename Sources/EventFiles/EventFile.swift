import EventShapes
import FunnelModel
import TimeZones

/// How a file is read.
package struct FileOptions: Sendable {
    package var shape = EventShape()
    package var table = TableFormat()
    /// Of times that name none; nil is UTC.
    package var zone: NamedZone?
    package var required: [RequiredColumn] = []

    package init() {}
}

/// What became of one record, in the order of the file.
package struct RecordOutcome: Sendable {
    package enum Kind: Sendable {
        /// Row of the batch.
        case row(Int)
        case rejected(EventFault)
        /// Known to be no event, and why.
        case skipped(String)
    }

    package var lines: FileLines
    package var kind: Kind
}

/// Some records of a file, in order, as a batch.
package struct FileBatch: Sendable {
    package var batch: EventBatch
    /// Of each row of the batch: its record, counted from 0 in the file.
    package var records: [Int]
    package var lines: [FileLines]
    /// Of each row: whether the user id is the anonymous one.
    package var isAnonymous: [Bool]
    package var outcomes: [RecordOutcome]
}

/// The records of one file as events, or the reason why not. Reads as it goes: memory does not grow with the file.
package final class EventFile {
    private enum Reader {
        case lines
        case table(CSVReader, TableRow)
    }

    private let source: TextSource
    private let options: FileOptions
    private let now: Int64
    private var window = TextWindow()
    private var reader: Reader?
    private var shapes: ShapeReader
    private var times: TimeReader
    /// Records so far.
    private var count = 0
    /// What was guessed about the file, and why.
    package private(set) var guesses: [String] = []

    package init(path: String, options: FileOptions, now: Int64) throws {
        source = try TextSource(path: path)
        self.options = options
        self.now = now
        let clock = options.zone.map { LocalClock($0) }
        shapes = ShapeReader(options.shape, clock: clock)
        times = TimeReader(format: options.shape.timeFormat, clock: clock)
    }

    /// Of the file as stored, 0 to 1; nil where its size is not known.
    package var fractionRead: Double? { source.size.map { Double(source.bytesRead) / Double(max(1, $0)) } }

    /// Columns that came out as numbers in some records and as text in others.
    package var mixed: [MixedColumn] {
        if case .table(_, let row)? = reader { return row.mixed }
        return []
    }

    /// The next records; nil at the end of the file.
    /// - Throws: `FileFault` for what concerns the file as a whole.
    package func next(rows: Int, bytes: Int) throws -> FileBatch? {
        var collector = RecordCollector(EventScanner(now: now, takesOtherMembers: true), first: count)
        while collector.count < rows, collector.approximateBytes < bytes {
            if reader == nil, try !begin() { break }
            read(rows, bytes, &collector)
            if collector.count == rows || collector.approximateBytes >= bytes || window.isWhole { break }
            try readMore()
        }
        count += collector.count
        return collector.count == 0 ? nil : collector.finish(options.shape)
    }

    private func readMore() throws {
        if let more = try source.next() { window.feed(more) } else { window.isWhole = true }
    }

    /// Reads what has come, up to so many records.
    private func read(_ rows: Int, _ bytes: Int, _ collector: inout RecordCollector) {
        switch reader {
        case nil: break
        case .lines:
            while collector.count < rows, collector.approximateBytes < bytes, readLine(&collector) {}
        case .table(var csv, var row):
            // Taken out and put back, so that the arrays inside are not copied.
            reader = nil
            while collector.count < rows, collector.approximateBytes < bytes, readRecord(&csv, &row, &collector) {}
            reader = .table(csv, row)
        }
    }

    // MARK: - Start

    /// Looks at the first line; false where the file has none.
    private func begin() throws -> Bool {
        while true {
            let start = ByteOrderMark.length(in: window.bytes)
            let first = window.bytes[start...].firstIndex { $0 > 32 }
            // The whole first line, or as much of one as can tell: separators are counted in it.
            if let first, window.isWhole || window.bytes.count - first > 1 << 16 || LineEnd.first(in: window.bytes, first..<window.bytes.count) != nil {
                window.at = start
                return try begin(at: first)
            }
            if window.isWhole { return false }
            try readMore()
        }
    }

    private func begin(at first: Int) throws -> Bool {
        switch window.bytes[first] {
        case UInt8(ascii: "{"):
            reader = .lines
            return true
        case UInt8(ascii: "["):
            throw FileFault("the file is one JSON list; events are read one a line: jq -c '.[]' FILE | sluice load -")
        default:
            return try beginTable()
        }
    }

    private func beginTable() throws -> Bool {
        var table = options.table
        if table.separator == nil {
            let (separator, counts) = guessSeparator()
            table.separator = separator
            guesses.append("separator: \(SeparatorName.text(separator)) (\(counts) in the first line)")
        }
        var csv = CSVReader(separator: table.separator ?? UInt8(ascii: ","), hasQuotes: table.hasQuotes)
        while true {
            let before = window
            switch csv.next(&window) {
            case .needsMore: try readMore()
            case .end: return false
            case .bad(_, let reason): throw FileFault("the first record cannot be read: \(reason)")
            case .record:
                let columns = try columns(csv, table.header)
                // Without a header the first record is an event.
                if case .none = table.header { window = before }
                reader = .table(
                    csv, try TableRow(columns.names, options.shape, required: options.required, event: columns.event))
                return true
            }
        }
    }

    private func columns(_ csv: CSVReader, _ header: TableFormat.Header) throws -> TableFormat.Columns {
        switch header {
        case .firstRecord:
            var columns = TableFormat.Columns([])
            columns.names = csv.fields.map { ByteString(($0.isDecoded ? csv.scratch : window.bytes)[$0.start..<$0.end]) }
            return columns
        case .none(let choices):
            if let fit = choices.first(where: { $0.names.count == csv.fields.count }) { return fit }
            if choices.count == 1 { return choices[0] }
            let counts = choices.map { "\($0.names.count)" }.joined(separator: " or ")
            throw FileFault("the first record has \(csv.fields.count) fields; \(counts) are expected")
        }
    }

    /// The most frequent one of the usual separators outside quotes in the first line.
    private func guessSeparator() -> (UInt8, Int) {
        let candidates = Array(",;\t|".utf8)
        var counts = [0, 0, 0, 0]
        var isQuoted = false
        for byte in window.bytes[window.at...] {
            if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
            if isQuoted { continue }
            if byte == LineEnd.lf || byte == LineEnd.cr { if counts.contains(where: { $0 > 0 }) { break } else { continue } }
            if let i = candidates.firstIndex(of: byte) { counts[i] += 1 }
        }
        let most = counts.max() ?? 0
        let best = counts.firstIndex(of: most) ?? 0
        return (candidates[best], most)
    }

    // MARK: - Records

    private func readLine(_ collector: inout RecordCollector) -> Bool {
        guard window.goOnSkipping() else { return false }
        while window.at < window.bytes.count {
            let line = window.line
            let end: Int
            if let found = LineEnd.first(in: window.bytes, window.rest) {
                end = found
            } else if window.isWhole {
                end = window.bytes.count
            } else {
                guard window.rest.count > Limits.eventTextBytes else { return false }
                end = window.bytes.count
            }
            let range = window.at..<end
            if range.count > Limits.eventTextBytes {
                window.skipLine()
                collector.reject(line...line, EventFault("", "the line is longer than \(Limits.eventTextBytes) bytes"))
                return true
            }
            guard window.passLineEnd(at: end) else { return false }
            if window.bytes[range].allSatisfy({ $0 <= 32 }) { continue }
            collector.take(line: line, window.bytes, range, &shapes)
            return true
        }
        return false
    }

    private func readRecord(_ csv: inout CSVReader, _ row: inout TableRow, _ collector: inout RecordCollector) -> Bool {
        switch csv.next(&window) {
        case .needsMore, .end: return false
        case .bad(let lines, let reason): collector.reject(lines, EventFault("", reason))
        case .record(let lines):
            let extra = csv.fields.count - row.count
            guard extra == 0 || (extra == 1 && csv.fields[row.count].start == csv.fields[row.count].end) else {
                let reason = "the record has \(csv.fields.count) fields; there are \(row.count) columns"
                collector.reject(lines, EventFault("", reason))
                return true
            }
            collector.take(lines, csv, window.bytes, &row, &shapes, &times)
        }
        return true
    }
}

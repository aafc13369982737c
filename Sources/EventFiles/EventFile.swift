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

    private let path: String
    private let source: TextSource
    private let options: FileOptions
    private let now: Int64
    private var window = TextWindow()
    private var reader: Reader?
    private var shapes: ShapeReader
    private var times: TimeReader
    /// Records so far.
    private var count = 0
    /// A fault that comes after records that were read.
    private var fault: (any Error)?
    /// What was guessed about the file, and why.
    package private(set) var guesses: [String] = []
    /// What to do about a file that is probably of another form.
    package private(set) var advice: [String] = []
    /// Columns without a name, counted from 1.
    package private(set) var nameless: [Int] = []

    package init(path: String, options: FileOptions, now: Int64) throws {
        self.path = path
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
        if let fault { throw fault }
        var collector = RecordCollector(EventScanner(now: now, takesOtherMembers: true), first: count)
        do {
            while collector.count < rows, collector.approximateBytes < bytes {
                if reader == nil, try !begin() { break }
                read(rows, bytes, &collector)
                if collector.count == rows || collector.approximateBytes >= bytes || window.isWhole { break }
                try readMore()
            }
        } catch {
            // Records before the damage are returned first.
            fault = error
            if collector.count == 0 { throw error }
        }
        count += collector.count
        return collector.count == 0 ? nil : collector.finish(options.shape)
    }

    private func readMore() throws {
        if let more = try source.next() { window.feed(more) } else { window.isWhole = true }
    }

    /// Reads what is in the window, at most `rows` records and `bytes` of batch.
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

    /// Bytes to read at most before the format is known.
    private static let firstBytes = 1 << 20

    /// Looks at the first line; false where the file has none.
    private func begin() throws -> Bool {
        while true {
            let start = ByteOrderMark.length(in: window.bytes)
            let first = window.bytes[start...].firstIndex { !Blank.isBlank($0) && !LineEnd.isOne($0) }
            // The whole first line, or as much of one as can tell: separators are counted in it.
            let isEnough = window.isWhole || window.bytes.count - (first ?? start) > Self.firstBytes
            if let first, isEnough || LineEnd.first(in: window.bytes, first..<window.bytes.count) != nil {
                window.at = start
                return try begin(at: first)
            }
            if isEnough, !window.isWhole { throw FileFault("the file begins with more than \(Self.firstBytes) bytes of white space") }
            if window.isWhole { return false }
            try readMore()
        }
    }

    private func begin(at first: Int) throws -> Bool {
        switch window.bytes[first] {
        case UInt8(ascii: "{"):
            if case .none = options.table.header { throw FileFault("the file is JSON: it has members, and no columns to name") }
            let next = window.bytes[(first + 1)...].firstIndex { !Blank.isBlank($0) && !LineEnd.isOne($0) }
            // The object's first member is on a line of its own.
            if let next, window.bytes[next] == UInt8(ascii: "\""), LineEnd.first(in: window.bytes, first..<next) != nil {
                advice.append("The first JSON object takes several lines; events are read one a line: jq -c . \(name) | sluice load -")
            }
            let shape = options.shape
            if options.table.separator != nil || !options.table.hasQuotes || !shape.numberColumns.isEmpty || !shape.textColumns.isEmpty {
                guesses.append("JSON: its values keep their kinds; options of separators, quotes, --number and --text are for CSV")
            }
            reader = .lines
            return true
        case UInt8(ascii: "[") where isList(after: first):
            throw FileFault("the file is one JSON list; events are read one a line: jq -c '.[]' \(name) | sluice load -")
        default:
            return try beginTable()
        }
    }

    private var name: String { path == "-" ? "FILE" : shellWord(path) }

    /// Whether a `[` begins a list of objects; a header may begin so, too.
    private func isList(after bracket: Int) -> Bool {
        let next = window.bytes[(bracket + 1)...].first { !Blank.isBlank($0) && !LineEnd.isOne($0) }
        return next == nil || next == UInt8(ascii: "{") || next == UInt8(ascii: "]")
    }

    /// Excel's line `sep=;`, which names the separator and is no record.
    private func separatorLine() -> UInt8? {
        let line = window.bytes[window.at...].prefix(5)
        guard line.starts(with: "sep=".utf8), let separator = line.last, line.count == 5,
            let end = LineEnd.first(in: window.bytes, window.rest), end == window.at + 5, window.passLineEnd(at: end)
        else { return nil }
        return separator
    }

    private func beginTable() throws -> Bool {
        var table = options.table
        if let separator = separatorLine() { table.separator = table.separator ?? separator }
        if table.separator == nil {
            let (separator, counts) = guessSeparator()
            table.separator = separator
            guesses.append("separator: \(SeparatorName.text(separator)) (\(counts) in the first line)")
        }
        let csv = CSVReader(separator: table.separator ?? UInt8(ascii: ","), hasQuotes: table.hasQuotes)
        var header = csv
        var columns: TableFormat.Columns
        switch table.header {
        case .firstRecord:
            // Read in place: what follows are the events.
            var step = header.next(&window)
            while case .needsMore = step {
                try readMore()
                step = header.next(&window)
            }
            if case .bad(_, let reason) = step { throw FileFault("the header cannot be read: \(reason)") }
            guard case .record = step else { return false }
            columns = TableFormat.Columns([])
            columns.names = header.fields.map { ByteString(($0.isDecoded ? header.scratch : window.bytes)[$0.start..<$0.end]) }
        case .none(let choices):
            columns = choices[0]
            if choices.count > 1 { columns = try choose(among: choices, csv) }
        }
        if case .firstRecord = table.header { nameless = columns.names.indices.filter { columns.names[$0].isEmpty }.map { $0 + 1 } }
        reader = .table(csv, try TableRow(columns.names, options.shape, required: options.required, event: columns.event))
        return true
    }

    /// The columns that fit the first whole record, which is read again later.
    private func choose(among choices: [TableFormat.Columns], _ csv: CSVReader) throws -> TableFormat.Columns {
        while true {
            var probe = window
            var csv = csv
            var step = csv.next(&probe)
            while case .bad = step { step = csv.next(&probe) }
            if case .record = step {
                if let fit = choices.first(where: { $0.names.count == csv.fields.count }) { return fit }
                let counts = choices.map { "\($0.names.count)" }.joined(separator: " or ")
                throw FileFault("the first record has \(csv.fields.count) fields; \(counts) are expected")
            }
            if window.isWhole || window.bytes.count > 4 * Self.firstBytes { return choices[0] }
            try readMore()
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
            if window.bytes[range].allSatisfy(Blank.isBlank) { continue }
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

import EventSDKs
import EventShapes
import FunnelModel
import TimeZones

/// Options for reading a file.
package struct FileOptions: Sendable {
    package var shape = EventShape()
    /// The product whose SDKs send such records; nil if each record is an event by `shape` alone.
    package var product: ExportedProduct?
    package var table = TableFormat()
    /// Time zone of times without one; nil is UTC.
    package var zone: NamedZone?
    package var required: [RequiredColumn] = []
    /// Reads the events of a line of a file of rejected events; nil for any other file.
    package var unwrap: (@Sendable (JSONValue) throws(EventFault) -> Unwrapped)?

    package init() {}

    /// The contents of a line.
    package enum Unwrapped: Sendable {
        /// Native events.
        case events([JSONValue])
        /// A record of the form that the other options describe.
        case record(JSONValue)
    }
}

/// The outcome of one record.
package struct RecordOutcome: Sendable {
    package enum Kind: Sendable {
        /// Its rows in the batch: an event, or rows of a profile, or both. None if the record is claims alone.
        case rows(Range<Int>)
        case rejected(EventFault)
        /// A record that says nothing that is stored, and why.
        case skipped(String)
    }

    package var lines: FileLines
    package var kind: Kind
    /// A rejected record, so that it can be repaired: the member `event` with a native event, or `text` with its start; of a line of a file
    /// of rejected events what it had.
    package var record: [JSONValue.Member] = []
    /// The claims of the record. Without a product, only one of consecutive events with equal claims has it.
    package var claims: [Claim] = []
    /// Parts of the record that are not stored, and why.
    package var leftOut: [String] = []
}

/// Consecutive records of a file as a batch.
package struct FileBatch: Sendable {
    package var batch: EventBatch
    /// By row of the batch: 0-based number of its record in the file.
    package var records: [Int]
    /// By row: its lines in the file.
    package var lines: [FileLines]
    /// By row: whether its user id is the anonymous one.
    package var isAnonymous: [Bool]
    /// By record: its outcome.
    package var outcomes: [RecordOutcome]
    /// The index is that of the record in `outcomes`.
    package var claims = ClaimList()
}

/// Reads the records of one file as events, or with the reason why they are none. Memory does not grow with the file.
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
    private var records: FileRecordReader
    private var times: TimeReader
    /// Number of records so far.
    private var count = 0
    /// A fault of the file after records that were read; thrown by the next call of `next`.
    private var fault: (any Error)?
    /// Messages on what was guessed about the file, and why.
    package private(set) var guesses: [String] = []
    /// Messages on what to do with a file that probably has another format.
    package private(set) var advice: [String] = []
    /// Numbers of the columns without a name, 1-based.
    package private(set) var nameless: [Int] = []

    /// Opens a file; `-` is standard input.
    /// - Parameter now: the server's time in microseconds, which timestamps are checked against.
    /// - Throws: `FileFault`.
    package init(path: String, options: FileOptions, now: Int64) throws {
        self.path = path
        source = try TextSource(path: path)
        self.options = options
        self.now = now
        let clock = options.zone.map { LocalClock($0) }
        records = FileRecordReader(
            shapes: ShapeReader(options.shape, clock: clock),
            product: options.product.map { ProductReader($0, shape: options.shape, clock: clock, now: now) })
        times = TimeReader(format: options.shape.timeFormat, clock: clock)
    }

    /// The fraction of the stored file that was read, 0 to 1; nil if its size is not known.
    package var fractionRead: Double? { source.size.map { Double(source.bytesRead) / Double(max(1, $0)) } }

    /// Whether the file is CSV; known once its first records are read.
    package var isTable: Bool {
        if case .table? = reader { return true }
        return false
    }

    /// Columns with numbers in some records and text in others.
    package var mixed: [MixedColumn] {
        if case .table(_, let row)? = reader { return row.mixed }
        return []
    }

    /// The next records; nil at the end of the file.
    /// - Parameters:
    ///   - rows: max number of records.
    ///   - bytes: approximate max bytes of the batch on the wire.
    /// - Throws: `FileFault` for faults of the file as a whole.
    package func next(rows: Int, bytes: Int) throws -> FileBatch? {
        if let fault { throw fault }
        var collector = RecordCollector(now: now, takesAnonymous: !options.shape.anonymous.isEmpty, first: count)
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
        return collector.count == 0 ? nil : collector.finish(options)
    }

    private func readMore() throws {
        if let more = try source.next() { window.feed(more) } else { window.isWhole = true }
    }

    /// Reads records from the window, up to `rows` records and `bytes` bytes of the batch.
    private func read(_ rows: Int, _ bytes: Int, _ collector: inout RecordCollector) {
        switch reader {
        case nil: break
        case .lines:
            while collector.count < rows, collector.approximateBytes < bytes, readLine(&collector) {}
        case .table(var csv, var row):
            // Moved out and back, so that the arrays inside are not copied.
            reader = nil
            while collector.count < rows, collector.approximateBytes < bytes, readRecord(&csv, &row, &collector) {}
            reader = .table(csv, row)
        }
    }

    // MARK: - Start

    /// Max bytes to read before the format is known.
    private static let firstBytes = 1 << 20

    /// Finds the format from the first line; false if the file has none.
    private func begin() throws -> Bool {
        while true {
            let start = ByteOrderMark.length(in: window.bytes)
            let first = window.bytes[start...].firstIndex { !Blank.isBlank($0) && !LineEnd.isOne($0) }
            // Separators are counted in the first line, so all of it is read, up to a limit.
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
            if case .none = options.table.header { throw FileFault("the file is JSON, which has no columns to name") }
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
            if options.unwrap != nil { throw FileFault("the file does not begin with a JSON object, as a file of rejected events does") }
            return try beginTable()
        }
    }

    private var name: String { path == "-" ? "FILE" : shellWord(path) }

    /// Whether a `[` begins a list of objects; a table's header can begin with it, too.
    private func isList(after bracket: Int) -> Bool {
        let next = window.bytes[(bracket + 1)...].first { !Blank.isBlank($0) && !LineEnd.isOne($0) }
        return next == nil || next == UInt8(ascii: "{") || next == UInt8(ascii: "]")
    }

    /// The separator in Excel's line `sep=;`, which is no record.
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
            // Read in place: the events follow.
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
        let row = try TableRow(
            columns.names, options.shape, required: options.required, event: columns.event, needsDocument: options.product != nil)
        reader = .table(csv, row)
        return true
    }

    /// The columns whose number is that of the first valid record, which is read again later.
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

    /// The most frequent of the usual separators outside quotes in the first line, and how often it occurs.
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
            collector.take(line: line, window.bytes, range, &records, options.unwrap)
            return true
        }
        return false
    }

    private func readRecord(_ csv: inout CSVReader, _ row: inout TableRow, _ collector: inout RecordCollector) -> Bool {
        switch csv.next(&window) {
        case .needsMore, .end: return false
        case .bad(let lines, let reason):
            collector.reject(lines, EventFault("", reason))
            keepRow(from: csv.start, &collector)
        case .record(let lines):
            let extra = csv.fields.count - row.count
            guard extra == 0 || (extra == 1 && csv.fields[row.count].start == csv.fields[row.count].end) else {
                let reason = "the record has \(csv.fields.count) fields; there are \(row.count) columns"
                collector.reject(lines, EventFault("", reason))
                keepRow(from: csv.start, &collector)
                return true
            }
            collector.take(lines, csv, window.bytes, &row, &records, &times)
            keepRow(from: csv.start, &collector)
        }
        return true
    }

    /// Keeps the text of the record that was just read, if it was rejected before it was an event.
    private func keepRow(from start: Int, _ collector: inout RecordCollector) {
        guard collector.isLastRejected else { return }
        var end = window.at
        while end > start, LineEnd.isOne(window.bytes[end - 1]) { end -= 1 }
        collector.keepIfRejected(text: window.bytes, start..<end)
    }
}

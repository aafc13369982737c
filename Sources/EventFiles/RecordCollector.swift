import EventShapes
import FunnelModel

/// Collects records as the rows of a batch, with the outcome of each.
struct RecordCollector {
    private enum Outcome {
        /// An event that the scanner accepted or rejected: its place there.
        case scanned(Int)
        case rejected(EventFault)
        case skipped(String)
    }

    private var scanner: EventScanner
    private let first: Int
    private var outcomes: [(lines: FileLines, outcome: Outcome)] = []
    private var anonymous: [Int: Bool] = [:]
    /// By record: what was rejected.
    private var kept: [Int: JSONValue.Member] = [:]
    private var keptBytes = 0

    /// Begins a batch; `first` is the 0-based number of its first record in the file.
    init(_ scanner: EventScanner, first: Int) {
        self.scanner = scanner
        self.first = first
    }

    var count: Int { outcomes.count }

    /// Of the batch on the wire and of the rejected records, so that memory is bounded if every record is rejected.
    var approximateBytes: Int { scanner.approximateBytes + keptBytes }

    mutating func reject(_ lines: FileLines, _ fault: EventFault) { outcomes.append((lines, .rejected(fault))) }

    /// The fault of a native event, with the name that the field has in the file.
    private static func fault(_ fault: EventFault, _ shape: EventShape) -> EventFault {
        var told = fault
        told.field = shape.name(ofField: fault.field)
        if fault.message == "field required" { told.message = "is missing or empty" }
        if fault.type == "datetime_parsing", !fault.message.hasPrefix("is ") { told.message += "; --timestamp-format reads other forms" }
        return told
    }

    // MARK: - Lines

    mutating func take(
        line: Int, _ bytes: [UInt8], _ range: Range<Int>, _ shapes: inout ShapeReader,
        _ unwrap: (@Sendable (JSONValue) throws(EventFault) -> FileOptions.Unwrapped)?
    ) {
        if let unwrap { return take(wrapped: line, bytes, range, &shapes, unwrap) }
        let place = scanner.count
        if shapes.isNative, scanner.isRead(bytes, range) {
            outcomes.append((line...line, .scanned(place)))
            return
        }
        do {
            take(try JSONParser.parse(bytes, range: range), text: bytes, range, line...line, &shapes)
        } catch {
            var reason = "malformed JSON at byte \(error.offset - range.lowerBound + 1) of the line: \(error.reason)"
            if !isValidUTF8(bytes[range]) { reason += Self.encodingAdvice }
            keep(text: bytes, range)
            reject(line...line, EventFault("", reason))
        }
    }

    /// A line of a file of rejected events.
    private mutating func take(
        wrapped line: Int, _ bytes: [UInt8], _ range: Range<Int>, _ shapes: inout ShapeReader,
        _ unwrap: (JSONValue) throws(EventFault) -> FileOptions.Unwrapped
    ) {
        let document: JSONValue
        do throws(JSONError) {
            document = try JSONParser.parse(bytes, range: range)
        } catch {
            // The process that wrote the file may have been killed within a line.
            outcomes.append((line...line, .skipped("no whole line of a file of rejected events")))
            return
        }
        do throws(EventFault) {
            switch try unwrap(document) {
            case .events(let events): for event in events { take(native: event, line...line) }
            case .record(let record): take(record, text: [], 0..<0, line...line, &shapes)
            }
        } catch {
            for name in ["event", "record", "text"] as [ByteString] {
                if let value = document[name] { keep(name, value) }
            }
            reject(line...line, error)
        }
    }

    private mutating func take(native event: JSONValue, _ lines: FileLines) {
        let place = scanner.count
        scanner.take(event)
        if scanner.isLastRejected { keep("event", event) }
        outcomes.append((lines, .scanned(place)))
    }

    private mutating func keep(text bytes: [UInt8], _ range: Range<Int>) {
        keep("text", .string(ByteString(bytes[range].prefix(Self.keptMax))))
    }

    private mutating func keep(_ name: ByteString, _ value: JSONValue) {
        kept[outcomes.count] = .init(name, value)
        keptBytes += value.encode().count
    }

    /// Max bytes of a rejected line's text that are kept.
    private static let keptMax = 64 << 10

    private mutating func take(
        _ document: JSONValue, text: [UInt8], _ range: Range<Int>, _ lines: FileLines, _ shapes: inout ShapeReader
    ) {
        do {
            switch try shapes.read(document, text: text, range) {
            case .skipped(let reason): outcomes.append((lines, .skipped(reason)))
            case .event(let event, let isAnonymous):
                let place = scanner.count
                take(native: event, lines)
                if isAnonymous { anonymous[place] = true }
            }
        } catch {
            if !range.isEmpty { keep(text: text, range) }
            reject(lines, error)
        }
    }

    // MARK: - Tables

    mutating func take(
        _ lines: FileLines, _ csv: borrowing CSVReader, _ bytes: [UInt8], _ row: inout TableRow, _ shapes: inout ShapeReader,
        _ times: inout TimeReader
    ) {
        let record = Record(window: bytes.span, scratch: csv.scratch.span, fields: csv.fields.span)
        for i in 0..<row.count {
            let cell = record.cell(i)
            guard isValidUTF8(cell.bytes) else {
                return reject(lines, EventFault(String(row.name(i).string.prefix(60)), "is not UTF-8" + Self.encodingAdvice))
            }
        }
        do throws(EventFault) {
            if row.isDocument { return take(try row.document(record), text: [], 0..<0, lines, &shapes) }
            try row.write(record) { cell throws(EventFault) in try times.text(cell) }
        } catch {
            return reject(lines, error)
        }
        let place = scanner.count
        scanner.scan(row.text, 0..<row.text.count)
        if scanner.isLastRejected, let event = try? JSONParser.parse(row.text) { keep("event", event) }
        outcomes.append((lines, .scanned(place)))
        if row.isAnonymous { anonymous[place] = true }
    }

    private static let encodingAdvice = "; if the file is Latin-1, convert it first: iconv -f LATIN1 -t UTF-8"

    // MARK: - End

    consuming func finish(_ shape: EventShape) -> FileBatch {
        let scanned = scanner.finish()
        var faults: [Int: EventFault] = [:]
        for (place, fault) in scanned.rejected { faults[place] = fault }
        var rows: [Int: Int] = [:]
        if !scanned.claims.isEmpty { for (row, place) in scanned.index.enumerated() { rows[place] = row } }
        var out = FileBatch(batch: scanned.batch, records: [], lines: [], isAnonymous: [], outcomes: [])
        for (i, (lines, outcome)) in outcomes.enumerated() {
            switch outcome {
            case .rejected(let fault): out.outcomes.append(.init(lines: lines, kind: .rejected(Self.fault(fault, shape)), record: kept[i]))
            case .skipped(let reason): out.outcomes.append(.init(lines: lines, kind: .skipped(reason)))
            case .scanned(let place):
                if let fault = faults[place] {
                    out.outcomes.append(.init(lines: lines, kind: .rejected(Self.fault(fault, shape)), record: kept[i]))
                    continue
                }
                out.outcomes.append(.init(lines: lines, kind: .row(out.records.count)))
                out.records.append(first + i)
                out.lines.append(lines)
                out.isAnonymous.append(anonymous[place] ?? false)
            }
        }
        for i in 0..<scanned.claims.count {
            if let row = rows[scanned.claims.indexes[i]] { out.claims.append(scanned.claims[i], index: row) }
        }
        return out
    }
}

import EventSDKs
import EventShapes
import FunnelModel

/// How the records of a file are read.
struct FileRecordReader {
    var shapes: ShapeReader
    /// Nil if each record is an event by its shape alone.
    var product: ProductReader?
    /// Whether records are native events without conversion.
    var isNative: Bool { shapes.isNative && product == nil }
}

/// Collects records as the rows of a batch, with the outcome of each.
struct RecordCollector {
    private enum Outcome {
        /// An event that the scanner accepted or rejected: its place there.
        case scanned(Int)
        /// A record of a product: the places of its rows, all accepted.
        case read(Range<Int>, [Claim], leftOut: [String])
        case rejected(EventFault)
        /// A line that is no record, and why.
        case skipped(String)
    }

    private var scanner: EventScanner
    private let events: EventReader
    private let first: Int
    private let now: Int64
    private var outcomes: [(lines: FileLines, outcome: Outcome)] = []
    private var anonymous: [Int: Bool] = [:]
    /// By record: what was rejected.
    private var kept: [Int: [JSONValue.Member]] = [:]
    private var keptBytes = 0
    private var claimBytes = 0

    /// Begins a batch.
    /// - Parameters:
    ///   - takesAnonymous: whether events can have an `anonymous_id`.
    ///   - first: the 0-based number of its first record in the file.
    init(now: Int64, takesAnonymous: Bool, first: Int) {
        scanner = EventScanner(now: now, takesOtherMembers: true, takesAnonymous: takesAnonymous)
        events = EventReader(now: now)
        self.now = now
        self.first = first
    }

    var count: Int { outcomes.count }

    /// Whether the last record was rejected before it was an event.
    var isLastRejected: Bool {
        if case .rejected? = outcomes.last?.outcome { return true }
        return false
    }

    /// Of the batch and the claims on the wire, and of the rejected records, so that memory is bounded if every record is rejected.
    var approximateBytes: Int { scanner.approximateBytes + claimBytes + keptBytes }

    mutating func reject(_ lines: FileLines, _ fault: EventFault) { outcomes.append((lines, .rejected(fault))) }

    /// Keeps the text of the last record if it was rejected and nothing else of it is kept.
    mutating func keepIfRejected(text bytes: [UInt8], _ range: Range<Int>) { keepIfRejected(Self.text(bytes, range)) }

    private mutating func keepIfRejected(_ members: @autoclosure () -> [JSONValue.Member]) {
        guard isLastRejected, kept[outcomes.count - 1] == nil else { return }
        keep(members(), ofRecord: outcomes.count - 1)
    }

    /// The fault of a native event, with the name that the field has in the file.
    /// - Parameter kept: what is kept of the record; with `event`, a line of a file of rejected events has the names of native events.
    private static func fault(_ fault: EventFault, _ options: FileOptions, _ kept: [JSONValue.Member]) -> EventFault {
        var told = fault
        if options.unwrap != nil, kept.contains(where: { $0.key == "event" }) {
            told.field = EventShape().name(ofField: fault.field)
        } else {
            told.field = options.product?.name(ofField: fault.field, options.shape) ?? options.shape.name(ofField: fault.field)
        }
        if fault.message == "field required" { told.message = "is missing or empty" }
        // A rejected event is repaired in its file.
        if options.unwrap == nil, fault.type == "datetime_parsing", isOfAnotherForm(fault.message) {
            told.message += "; --timestamp-format reads other forms"
        }
        return told
    }

    /// Whether the form of a time is not known; its value may also not exist or be out of range. The reason follows the text of the time.
    private static func isOfAnotherForm(_ message: String) -> Bool {
        let reason = message.split(separator: "\": ").last ?? ""
        return ["expected ", "text after ", "ends in "].contains(where: reason.hasPrefix)
    }

    // MARK: - Lines

    mutating func take(
        line: Int, _ bytes: [UInt8], _ range: Range<Int>, _ reader: inout FileRecordReader,
        _ unwrap: (@Sendable (JSONValue) throws(EventFault) -> FileOptions.Unwrapped)?
    ) {
        if let unwrap { return take(wrapped: line, bytes, range, &reader, unwrap) }
        let place = scanner.count
        if reader.isNative, scanner.isRead(bytes, range) {
            outcomes.append((line...line, .scanned(place)))
            return
        }
        do {
            take(try JSONParser.parse(bytes, range: range), text: bytes, range, line...line, &reader)
        } catch {
            var reason = "malformed JSON at byte \(error.offset - range.lowerBound + 1) of the line: \(error.reason)"
            if !isValidUTF8(bytes[range]) { reason += Self.encodingAdvice }
            reject(line...line, EventFault("", reason))
            keepIfRejected(text: bytes, range)
        }
    }

    /// A line of a file of rejected events.
    private mutating func take(
        wrapped line: Int, _ bytes: [UInt8], _ range: Range<Int>, _ reader: inout FileRecordReader,
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
            // As ingest reads it, which refuses a member that is given twice.
            if document["event"] != nil { try Self.checkStrictly(bytes, range) }
            switch try unwrap(document) {
            case .events(let events): for event in events { take(native: event, line...line) }
            case .record(let record): take(record, text: [], 0..<0, line...line, &reader)
            }
        } catch {
            reject(line...line, error)
        }
        keepIfRejected(Self.retryMembers.compactMap { name in document[name].map { .init(name, $0) } })
    }

    /// What a line of a file of rejected events needs to be sent again.
    private static let retryMembers: [ByteString] = ["time", "project", "endpoint", "product", "event", "record", "text", "cut"]

    private static func checkStrictly(_ line: [UInt8], _ range: Range<Int>) throws(EventFault) {
        do throws(JSONError) {
            _ = try JSONParser.parseStrictly(line, range: range)
        } catch {
            throw EventFault(String(error.field.trimmingPrefix("event.")), error.reason, "json_invalid")
        }
    }

    private mutating func take(native event: JSONValue, _ lines: FileLines) {
        let place = scanner.count
        scanner.take(event)
        if scanner.isLastRejected { keep([.init("event", event)], ofRecord: outcomes.count) }
        outcomes.append((lines, .scanned(place)))
    }

    private static func text(_ bytes: [UInt8], _ range: Range<Int>) -> [JSONValue.Member] {
        [.init("text", .string(ByteString(bytes[range].prefix(Self.keptMax))))]
    }

    private mutating func keep(_ members: [JSONValue.Member], ofRecord record: Int) {
        kept[record] = members
        keptBytes += JSONValue.object(members).encode().count
    }

    /// Max bytes of a rejected line's text that are kept.
    private static let keptMax = 64 << 10

    private mutating func take(
        _ document: JSONValue, text: [UInt8], _ range: Range<Int>, _ lines: FileLines, _ reader: inout FileRecordReader
    ) {
        do throws(EventFault) {
            if reader.shapes.shape.hasClaims, let kind = document["claim"], kind != .null {
                let claim = try ClaimLine.claim(kind, document, now: now)
                claimBytes += claim.child.count + claim.parent.count + 16
                outcomes.append((lines, .read(scanner.count..<scanner.count, [claim], leftOut: [])))
                return
            }
            let source = SourceRecord(value: document, text: text, range: range)
            if let record = try reader.product?.read(source) { return try take(record, lines) }
            let reading = try reader.shapes.read(document, text: text, range)
            let place = scanner.count
            take(native: reading.event, lines)
            if reading.isAnonymous { anonymous[place] = true }
        } catch {
            reject(lines, error)
            if !range.isEmpty { keepIfRejected(text: text, range) }
        }
    }

    private mutating func take(_ record: SDKRecord, _ lines: FileLines) throws(EventFault) {
        let start = scanner.count
        var leftOut = record.ignored
        for document in record.events {
            let event: Event
            do throws(EventFault) {
                event = try events.read(document, text: [], 0..<0)
            } catch {
                if scanner.count == start { throw error }
                // The rows after the first are of a profile; the event counts without them.
                leftOut.append("values of a user property over a limit")
                break
            }
            if record.isAnonymous { anonymous[scanner.count] = true }
            scanner.take(.event(event, nil))
        }
        claimBytes += record.claims.reduce(0) { $0 + $1.child.count + $1.parent.count + 16 }
        outcomes.append((lines, .read(start..<scanner.count, record.claims, leftOut: leftOut)))
    }

    // MARK: - Tables

    mutating func take(
        _ lines: FileLines, _ csv: borrowing CSVReader, _ bytes: [UInt8], _ row: inout TableRow, _ reader: inout FileRecordReader,
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
            if row.isDocument { return take(try row.document(record), text: [], 0..<0, lines, &reader) }
            try row.write(record) { cell throws(EventFault) in try times.text(cell) }
        } catch {
            return reject(lines, error)
        }
        let place = scanner.count
        scanner.scan(row.text, 0..<row.text.count)
        if scanner.isLastRejected, let event = try? JSONParser.parse(row.text) {
            keep([.init("event", event)], ofRecord: outcomes.count)
        }
        outcomes.append((lines, .scanned(place)))
        if row.isAnonymous { anonymous[place] = true }
    }

    private static let encodingAdvice = "; if the file is Latin-1, convert it first: iconv -f LATIN1 -t UTF-8"

    // MARK: - End

    consuming func finish(_ options: FileOptions) -> FileBatch {
        let scanned = scanner.finish()
        var faults: [Int: EventFault] = [:]
        for (place, fault) in scanned.rejected { faults[place] = fault }
        // Claims of events are in the order of their places.
        var nextClaim = 0
        var out = FileBatch(batch: scanned.batch, records: [], lines: [], isAnonymous: [], outcomes: [])
        for (i, (lines, outcome)) in outcomes.enumerated() {
            func rejected(_ fault: EventFault) -> RecordOutcome {
                let members = kept[i] ?? []
                return .init(lines: lines, kind: .rejected(Self.fault(fault, options, members)), record: members)
            }
            switch outcome {
            case .rejected(let fault): out.outcomes.append(rejected(fault))
            case .skipped(let reason): out.outcomes.append(.init(lines: lines, kind: .skipped(reason)))
            case .scanned(let place):
                if let fault = faults[place] {
                    out.outcomes.append(rejected(fault))
                } else {
                    while nextClaim < scanned.claims.count, scanned.claims.indexes[nextClaim] < place { nextClaim += 1 }
                    let hasClaim = nextClaim < scanned.claims.count && scanned.claims.indexes[nextClaim] == place
                    add(place..<place + 1, hasClaim ? [scanned.claims[nextClaim]] : [], [], of: i, lines, to: &out)
                }
            case .read(let places, let claims, let leftOut): add(places, claims, leftOut, of: i, lines, to: &out)
            }
        }
        return out
    }

    /// Adds what an accepted record has become; rows of a batch are in the order of their places.
    private func add(
        _ places: Range<Int>, _ claims: [Claim], _ leftOut: [String], of record: Int, _ lines: FileLines, to out: inout FileBatch
    ) {
        if places.isEmpty, claims.isEmpty {
            out.outcomes.append(.init(lines: lines, kind: .skipped(leftOut.first ?? "no event and no user property")))
            return
        }
        let start = out.records.count
        for place in places {
            out.records.append(first + record)
            out.lines.append(lines)
            out.isAnonymous.append(anonymous[place] ?? false)
        }
        var own: [Claim] = []
        for claim in claims where !own.contains(claim) {
            own.append(claim)
            out.claims.append(claim, index: record)
        }
        out.outcomes.append(.init(lines: lines, kind: .rows(start..<out.records.count), claims: own, leftOut: leftOut))
    }
}

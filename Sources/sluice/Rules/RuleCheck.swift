import EventFiles
import EventRules
import FunnelModel
import ServiceRuntime

/// Reads events as ingest does, applies rules and shows what changes.
struct RuleCheck {
    private let tables: RuleTables
    private let endpoint: EventEndpoint
    private let isTable: Bool
    /// The server's time, for events without one.
    private let now = WallClock.now()
    private var counts = Counts()
    private var batch = Pending()

    /// Max events that change, and max rejected ones, in a table.
    private static let shown = 20
    private static let rowsPerBatch = 10_000

    private struct Counts {
        var events = 0
        var changed = 0
        var dropped = 0
        /// By a rule.
        var rejected = 0
        /// Not valid before any rule.
        var invalid = 0
        var shown = 0
        var faultsShown = 0
    }

    /// Events that were read and not yet shown, and faults, by line.
    private struct Pending {
        var builder = EventBatchBuilder()
        var lines: [Int] = []
        var hasServerTime: [Bool] = []
        var invalid: [(line: Int, fault: EventFault)] = []
    }

    private enum Result {
        case changed(Event)
        case dropped(rule: Int)
        case rejected(EventFault)
    }

    init(_ tables: RuleTables, endpoint: EventEndpoint, isTable: Bool) {
        self.tables = tables
        self.endpoint = endpoint
        self.isTable = isTable
    }

    var hasRejected: Bool { counts.rejected + counts.invalid > 0 }

    /// Reads a file, `-` being standard input, and shows its events.
    mutating func read(_ path: String) throws {
        do {
            var lines = EventLines(try TextSource(path: path))
            while let (number, line) = try lines.next() {
                take(line, number)
                if batch.lines.count + batch.invalid.count == Self.rowsPerBatch { show() }
            }
        } catch let fault as FileFault {
            let words = fault.description
            throw Failure((path == "-" || words.contains(path) ? words : "\(path): \(words)").printable)
        }
        show()
        if isTable { end() }
        if counts.events > 0, counts.invalid == counts.events {
            Terminal.note("No line is an event. Give native events as JSON, one object a line (RULES.md section 1).")
        }
    }

    private mutating func take(_ line: [UInt8], _ number: Int) {
        counts.events += 1
        do throws(EventFault) {
            // An alias is no event, and no rule changes it.
            guard let (event, hasServerTime) = try read(line) else { return }
            batch.builder.append(event)
            batch.lines.append(number)
            batch.hasServerTime.append(hasServerTime)
        } catch {
            counts.invalid += 1
            batch.invalid.append((number, error))
        }
    }

    /// Nil for a record that is an alias.
    private func read(_ line: [UInt8]) throws(EventFault) -> (event: Event, hasServerTime: Bool)? {
        if line.count > Limits.eventTextBytes {
            throw EventFault("body", "the event's text has more than \(Limits.eventTextBytes) bytes, the limit", "too_long")
        }
        var document: JSONValue
        do throws(JSONError) {
            document = try JSONParser.parseStrictly(line, range: 0..<line.count)
        } catch {
            throw error.field.isEmpty
                ? EventFault("body", "malformed JSON at byte \(error.offset) of the event: \(error.reason)", "json_invalid")
                : EventFault(error.field, error.reason, "json_invalid")
        }
        if document["type"] == "alias", document["event"] == nil, document["event_type"] == nil {
            _ = try EventReader(now: now, missingTime: tables.missingTime(at: endpoint)).record(document, text: line, 0..<line.count)
            return nil
        }
        if document["user_id"] ?? .null == .null, let anonymous = document["anonymous_id"], anonymous != .null {
            document = .object((document.asObject ?? []).filter { $0.key != "user_id" } + [.init("user_id", anonymous)])
        }
        return try tables.read(document, text: line, 0..<line.count, at: endpoint, now: now)
    }

    // MARK: - Output

    /// Applies the rules to the events that were read, and shows them in the order of their lines.
    private mutating func show() {
        var before = Pending()
        swap(&before, &batch)
        let events = before.builder.finish()
        let ruled = tables.apply(to: events)
        var results: [(line: Int, row: Int?, result: Result)] = before.invalid.map { ($0.line, nil, .rejected($0.fault)) }
        results += ruled.dropped.map { (before.lines[$0.row], $0.row, .dropped(rule: $0.rule)) }
        results += ruled.rejected.map { (before.lines[$0.row], $0.row, .rejected($0.fault)) }
        let changed = Set(ruled.changed)
        for (after, row) in ruled.rows.enumerated() where changed.contains(row) || before.hasServerTime[row] {
            results.append((before.lines[row], row, .changed(ruled.batch.event(after))))
            counts.changed += 1
        }
        counts.dropped += ruled.dropped.count
        counts.rejected += ruled.rejected.count
        for (line, row, result) in results.sorted(by: { $0.line < $1.line }) {
            let event = row.map { (event: events.event($0), hasServerTime: before.hasServerTime[$0]) }
            if isTable { showBlock(line, event, result) } else { writeJSON(line, event, result) }
        }
    }

    private mutating func showBlock(_ line: Int, _ before: (event: Event, hasServerTime: Bool)?, _ result: Result) {
        if case .rejected = result {
            counts.faultsShown += 1
            if counts.faultsShown > Self.shown { return }
        } else {
            counts.shown += 1
            if counts.shown > Self.shown { return }
        }
        let name = before.map { ValueText.name($0.event.name.string) }
        let head = "line \(line)" + (name.map { "  \($0)" } ?? "")
        switch result {
        case .dropped(let rule): Terminal.out("\(head)  dropped (rules[\(rule)])")
        case .rejected(let fault): Terminal.out("\(head)  rejected: \(fault.reason.printable)")
        case .changed(let after):
            guard let before else { return }
            let isRenamed = before.event.name != after.name
            Terminal.out(head + (isRenamed ? " → \(ValueText.name(after.name.string))" : ""))
            for row in RuleDifference.rows(before.event, after, hasServerTime: before.hasServerTime) { Terminal.out("  \(row)") }
        }
    }

    private func writeJSON(_ line: Int, _ before: (event: Event, hasServerTime: Bool)?, _ result: Result) {
        var members: [JSONValue.Member] = [.init("line", .count(line))]
        if let before { members.append(.init("before", Self.json(before.event, hasTime: !before.hasServerTime))) }
        switch result {
        case .changed(let event):
            members.append(.init("after", Self.json(event, hasTime: true)))
            if before?.hasServerTime == true { members.append(.init("server_time", true)) }
        case .dropped(let rule): members.append(.init("dropped", .text("rules[\(rule)]")))
        case .rejected(let fault): members.append(.init("rejected", .text(fault.reason)))
        }
        var out: [UInt8] = []
        JSONValue.object(members).write(to: &out)
        out.append(10)
        Terminal.write(out)
    }

    private static func json(_ event: Event, hasTime: Bool) -> JSONValue {
        [
            "user_id": .string(event.user), "event": .string(event.name),
            "timestamp": hasTime ? .text(Timestamp.format(event.time)) : .null, "event_id": .string(event.id),
            "properties": .object(event.properties.map { .init($0.key, $0.value.json) }),
        ]
    }

    private func end() {
        let more = [(counts.shown, "that change"), (counts.faultsShown, "that are rejected")].filter { $0.0 > Self.shown }
        for (count, what) in more {
            Terminal.out("… \(Terminal.number(count - Self.shown)) more \(what); --format json shows all")
        }
        if counts.shown + counts.faultsShown > 0 { Terminal.out("") }
        let rejected = counts.rejected + counts.invalid
        let same = counts.events - counts.changed - counts.dropped - rejected
        var line =
            "\(Terminal.count(counts.events, "event")): \(Terminal.number(same)) unchanged, \(Terminal.number(counts.changed)) changed, "
        line += "\(Terminal.number(counts.dropped)) dropped, \(Terminal.number(rejected)) rejected"
        if counts.invalid > 0 { line += " (\(Terminal.number(counts.invalid)) of them not by a rule)" }
        Terminal.out(line)
    }
}

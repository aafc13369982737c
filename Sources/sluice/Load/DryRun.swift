import EventFiles
import EventShapes
import FunnelModel
import ServiceRuntime

/// Shows how files are read, and sends nothing.
struct DryRun {
    let options: FileOptions
    let format: LoadingOptions.Format

    /// Max events, and max rejected records, shown in a table.
    private static let shown = 10
    /// Max records that a table counts.
    private static let sampled = 100_000

    func show(_ file: String, _ identity: RowIdentity) throws -> Load.Outcome {
        let source = try EventFile(path: file, options: options, now: WallClock.now())
        switch format {
        case .json: return try writeAll(file, source, identity)
        case .table: return try showTable(file, source, identity)
        }
    }

    // MARK: - JSON

    private func writeAll(_ file: String, _ source: EventFile, _ identity: RowIdentity) throws -> Load.Outcome {
        var identity = identity
        var result = Load.Outcome.complete
        while var read = try source.next(rows: Loader.rowsPerBatch, bytes: Loader.bytesPerBatch) {
            try identity.complete(&read)
            var out: [UInt8] = []
            for outcome in read.outcomes {
                var members: [JSONValue.Member] = [
                    .init("file", .text(file)), .init("lines", [.count(outcome.lines.lowerBound), .count(outcome.lines.upperBound)]),
                ]
                switch outcome.kind {
                case .rows(let rows):
                    if let row = rows.first { members.append(.init("event", read.batch.event(row).json)) }
                    let more = rows.dropFirst().map { read.batch.event($0).json }
                    if !more.isEmpty { members.append(.init("profile", .array(more))) }
                    if !outcome.claims.isEmpty { members.append(.init("claims", .array(outcome.claims.map(Self.json)))) }
                    if !outcome.leftOut.isEmpty { members.append(.init("left_out", .array(outcome.leftOut.map { .text($0) }))) }
                case .rejected(let fault):
                    members.append(.init("reason", .text(fault.reason)))
                    result = .rejectedRows
                case .skipped(let reason): members.append(.init("skipped", .text(reason)))
                }
                JSONValue.object(members).write(to: &out)
                out.append(10)
            }
            Terminal.write(out)
        }
        return result
    }

    private static func json(_ claim: Claim) -> JSONValue {
        ["kind": claim.kind == .alias ? "alias" : "identify", "child": .string(claim.child), "parent": .string(claim.parent)]
    }

    // MARK: - Table

    private func showTable(_ file: String, _ source: EventFile, _ identity: RowIdentity) throws -> Load.Outcome {
        var identity = identity
        var blocks: [String] = []
        var rejected: [String] = []
        var counts = (records: 0, events: 0, rejected: 0, claims: 0)
        var skipped: [String: Int] = [:]
        var leftOut: [String: Int] = [:]
        var isWhole = false
        while counts.records < Self.sampled {
            guard var read = try source.next(rows: 1_000, bytes: Loader.bytesPerBatch) else {
                isWhole = true
                break
            }
            try identity.complete(&read)
            counts.records += read.outcomes.count
            counts.claims += read.claims.count
            for outcome in read.outcomes {
                switch outcome.kind {
                case .rows(let rows):
                    counts.events += rows.count
                    for row in rows where blocks.count < Self.shown {
                        blocks.append(EventBlock.text(read.batch.event(row), outcome.lines))
                    }
                case .rejected(let fault):
                    counts.rejected += 1
                    if rejected.count < Self.shown { rejected.append("  \(EventBlock.text(outcome.lines)): \(fault.reason.printable)") }
                case .skipped(let reason): skipped[reason, default: 0] += 1
                }
                for reason in outcome.leftOut { leftOut[reason, default: 0] += 1 }
            }
        }
        Terminal.out("\(file.printable): how it is read; nothing is sent")
        for guess in source.guesses { Terminal.out("  \(guess)") }
        if options.zone == nil { Terminal.out("  times without a zone: UTC (--time-zone names another)") }
        Terminal.out("")
        for block in blocks { Terminal.out(block) }
        let scope = isWhole ? "in all" : "of the first \(Terminal.number(Self.sampled)) records"
        if counts.events > blocks.count { Terminal.out("… \(Terminal.number(counts.events - blocks.count)) more") }
        var line = "\(Terminal.count(counts.events, "event")), \(Terminal.number(counts.rejected)) rejected"
        line += LoadTotals.text(skipped, "skipped") + LoadTotals.text(leftOut, "stored in part")
        if counts.claims > 0 { line += ", \(Terminal.count(counts.claims, "claim"))" }
        Terminal.out("\(line) \(scope)")
        for text in rejected { Terminal.out(text) }
        if counts.rejected > rejected.count {
            Terminal.out("  … and \(Terminal.number(counts.rejected - rejected.count)) more; --format json shows all")
        }
        for note in ColumnNotes.notes(source, isSent: false) { Terminal.out(note) }
        if isWhole, counts.rejected > 0, counts.rejected == counts.records, let hint = FormatHint.text(file) { Terminal.out(hint) }
        return counts.rejected > 0 ? .rejectedRows : .complete
    }
}

/// One event as a few lines of a table: name, time, ids, then each property with its kind.
private enum EventBlock {
    static func text(_ event: Event, _ lines: FileLines) -> String {
        var rows: [(String, String, String)] = [
            ("event", "", event.name.string), ("time", "", Timestamp.format(event.time)), ("user id", "", event.user.string),
            ("event id", "", event.id.string),
        ]
        for property in event.properties { rows.append((property.key.string, kind(property.value), value(property.value))) }
        let width = min(40, rows.map(\.0.columns).max() ?? 0)
        let body = rows.map { row in
            "  " + row.0.printable.padded(to: width) + "  " + row.1.padded(to: 7) + "  "
                + String(row.2.prefix(100)).printable
        }
        return (["\(text(lines))"] + body + [""]).joined(separator: "\n")
    }

    static func text(_ lines: FileLines) -> String {
        lines.count == 1 ? "line \(lines.lowerBound)" : "lines \(lines.lowerBound) to \(lines.upperBound)"
    }

    private static func kind(_ value: PropertyValue) -> String {
        switch value {
        case .string: "text"
        case .integer, .double: "number"
        case .bool: "boolean"
        }
    }

    private static func value(_ value: PropertyValue) -> String {
        if case .string(let text) = value { return text.string }
        return String(decoding: value.json.encode(), as: UTF8.self)
    }
}

import EventFiles
import FunnelModel

/// Counts a file's records by outcome.
struct LoadTotals {
    var accepted = 0
    var rejected = 0
    var rows = 0
    /// Records that are claims and nothing else.
    private var claims = 0
    private var skipped: [String: Int] = [:]
    private var leftOut: [String: Int] = [:]
    private let start = ContinuousClock.now

    /// Number of records with an outcome.
    var records: Int { accepted + rejected + claims + skipped.values.reduce(0, +) }

    mutating func note(_ outcomes: [RecordOutcome], _ rejects: RejectedRows) {
        for outcome in outcomes {
            switch outcome.kind {
            case .rows(let rows):
                if rows.isEmpty { claims += 1 }
                for reason in outcome.leftOut { leftOut[reason, default: 0] += 1 }
            case .rejected(let fault):
                rejected += 1
                rejects.write(outcome.lines, fault.reason, outcome.record)
            case .skipped(let reason): skipped[reason, default: 0] += 1
            }
        }
    }

    /// Counts by reason, each after a comma.
    static func text(_ counts: [String: Int], _ word: String) -> String {
        counts.sorted { $0.key < $1.key }.map { ", \(Terminal.number($0.value)) \(word) (\($0.key.printable))" }.joined()
    }

    func line(_ file: String, _ rejects: RejectedRows) -> String {
        let seconds = max(0.001, Double((ContinuousClock.now - start) / .seconds(1)))
        var line = "\(file.printable): \(Terminal.number(accepted)) accepted, \(Terminal.number(rejected)) rejected"
        if claims > 0 { line += ", \(Terminal.number(claims)) with claims alone" }
        line += Self.text(skipped, "skipped") + Self.text(leftOut, "stored in part")
        line += " (\(Terminal.number(Int(Double(accepted) / seconds)))/s)"
        if records == 0 { line += "; the file holds no events" }
        if let fault = rejects.fault {
            line += "; \(rejects.path.printable) cannot be written: \(fault)"
        } else if rejected > 0 {
            line += "; lines and reasons in \(rejects.path.printable)"
        }
        return line
    }
}

/// Notes on columns that may have been meant to be read in another way.
enum ColumnNotes {
    /// `isSent` is true if the events were stored, false for a dry run.
    static func notes(_ source: EventFile, isSent: Bool) -> [String] {
        var notes = source.advice + source.nameless.map { "Column \($0) has no name and is left out" }
        notes += source.mixed.map(note)
        if isSent, !source.mixed.isEmpty {
            notes.append(
                "The loaded events are stored as they were read. Loading again with one of these options adds other events to them")
        }
        return notes
    }

    private static func note(_ column: MixedColumn) -> String {
        let name = column.name.string.printable
        let word = shellWord(name)
        let texts = Terminal.count(column.texts, "text")
        if column.isNumber {
            return "Column \"\(name)\": \(texts) beside \(Terminal.count(column.numbers, "number")), though --number is given"
        }
        return
            "Column \"\(name)\" came out mixed, \(Terminal.count(column.numbers, "number")) and \(texts): --text \(word) makes all text, "
            + "--number \(word) makes 12.50 and the like numbers"
    }
}

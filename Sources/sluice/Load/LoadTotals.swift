import EventFiles
import FunnelModel

/// What became of a file's records.
struct LoadTotals {
    var accepted = 0
    var rejected = 0
    var rows = 0
    private var skipped: [String: Int] = [:]
    private let start = ContinuousClock.now

    mutating func note(_ outcomes: [RecordOutcome], _ rejects: RejectedRows) throws {
        for outcome in outcomes {
            switch outcome.kind {
            case .row: break
            case .rejected(let fault):
                rejected += 1
                try rejects.write(outcome.lines, fault.reason)
            case .skipped(let reason): skipped[reason, default: 0] += 1
            }
        }
    }

    func line(_ file: String, _ rejectsPath: String) -> String {
        let seconds = max(0.001, Double((ContinuousClock.now - start) / .seconds(1)))
        var line = "\(file.printable): \(Terminal.number(accepted)) accepted, \(Terminal.number(rejected)) rejected"
        for (reason, count) in skipped.sorted(by: { $0.key < $1.key }) {
            line += ", \(Terminal.number(count)) skipped (\(reason.printable))"
        }
        line += " (\(Terminal.number(Int(Double(accepted) / seconds)))/s)"
        if rejected > 0 { line += "; reasons in \(rejectsPath.printable)" }
        return line
    }
}

/// Words about columns whose cells are numbers in some rows and text in others.
enum MixedColumns {
    static func notes(_ columns: [MixedColumn]) -> [String] {
        columns.map { column in
            let name = column.name.string.printable
            let counts = "Column \"\(name)\" holds \(Terminal.number(column.numbers)) numbers and \(Terminal.number(column.texts)) texts"
            let asText = "--text \"\(name)\" reads all as text"
            return counts + (column.isNumber ? ": \(asText)" : ": --number \"\(name)\" reads every number as one, \(asText)")
        }
    }
}

import Foundation
import FunnelModel
import Synchronization

/// Where words for people go.
enum Terminal {
    static let isInteractive = isatty(STDERR_FILENO) == 1

    static func out(_ text: String) { write(Array((text + "\n").utf8)) }

    /// Ends the program where nobody reads on, as other commands do, or where there is no room.
    static func write(_ bytes: [UInt8]) {
        do {
            try FileHandle.standardOutput.write(contentsOf: Data(bytes))
        } catch {
            if errno != EPIPE { note("Error: the output cannot be written") }
            exit(1)
        }
    }

    /// Writes a line to standard error, in place of a progress bar's.
    static func note(_ text: String) {
        try? FileHandle.standardError.write(contentsOf: Data(((isInteractive ? "\r\u{1B}[K" : "") + text + "\n").utf8))
    }

    static var width: Int {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return Int(size.ws_col)
    }

    /// An answer as it came, with one line end.
    static func out(json: [UInt8]) { out(String(decoding: json.last == 10 ? json.dropLast() : json[...], as: UTF8.self).printableJSON) }

    /// "1 row", "1,200 rows".
    static func count(_ number: Int, _ noun: String) -> String { "\(Self.number(number)) \(noun)\(number == 1 ? "" : "s")" }

    /// 12345678 as 12,345,678.
    static func number(_ value: Int) -> String {
        var digits = Array(String(abs(value)))
        var at = digits.count - 3
        while at > 0 {
            digits.insert(",", at: at)
            at -= 3
        }
        return (value < 0 ? "-" : "") + String(digits)
    }
}

/// One line that is drawn over itself; silent where nobody watches.
final class ProgressBar: Sendable {
    private let label: String
    private let start = ContinuousClock.now
    private let state = Mutex((drawn: ContinuousClock.now - .seconds(1), width: 0))

    init(_ label: String) { self.label = label }

    /// - Parameters:
    ///   - fraction: 0...1; nil where the whole is not known.
    func show(rows: Int, fraction: Double?, force: Bool = false) {
        guard Terminal.isInteractive else { return }
        let now = ContinuousClock.now
        let due = state.withLock { state -> Bool in
            guard force || now - state.drawn > .milliseconds(100) else { return false }
            state.drawn = now
            return true
        }
        guard due else { return }
        let seconds = max(0.001, Double((now - start) / .seconds(1)))
        var line = "\r\(label) "
        if let fraction {
            line += "[\(Bar.text(fraction, width: 30))] "
            line += "\(Int(min(1, fraction) * 100)) % "
        }
        line += "\(Terminal.number(rows)) events, \(Terminal.number(Int(Double(rows) / seconds)))/s"
        try? FileHandle.standardError.write(contentsOf: Data((line + "\u{1B}[K").utf8))
    }

    func end() {
        guard Terminal.isInteractive else { return }
        try? FileHandle.standardError.write(contentsOf: Data("\n".utf8))
    }
}

import Foundation
import FunnelModel

/// How a document changes, as lines.
enum DocumentDiff {
    /// Unchanged lines around a change.
    private static let context = 2

    /// Whether standard output is a terminal that takes colours (`https://no-color.org`).
    static let isColoured: Bool = {
        let environment = ProcessInfo.processInfo.environment
        return isatty(STDOUT_FILENO) == 1 && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
    }()

    /// `-` before lines that go, `+` before lines that come; `…` in place of lines that stay and are far from both.
    static func lines(from old: JSONValue?, to new: JSONValue?) -> [String] {
        let (before, after) = (old.map(lines) ?? [], new.map(lines) ?? [])
        var (gone, come): (Set<Int>, Set<Int>) = ([], [])
        for change in after.difference(from: before) {
            switch change {
            case .remove(let offset, _, _): gone.insert(offset)
            case .insert(let offset, _, _): come.insert(offset)
            }
        }
        var all: [(mark: String, text: String)] = []
        var (i, j) = (0, 0)
        while i < before.count || j < after.count {
            if i < before.count, gone.contains(i) {
                all.append(("-", before[i]))
                i += 1
            } else if j < after.count, come.contains(j) {
                all.append(("+", after[j]))
                j += 1
            } else if i < before.count {
                all.append((" ", before[i]))
                (i, j) = (i + 1, j + 1)
            } else {
                break
            }
        }
        return shortened(all)
    }

    private static func shortened(_ all: [(mark: String, text: String)]) -> [String] {
        var near = [Bool](repeating: false, count: all.count)
        for (i, line) in all.enumerated() where line.mark != " " {
            for k in max(0, i - context)...min(all.count - 1, i + context) { near[k] = true }
        }
        var shown: [String] = []
        for (i, line) in all.enumerated() {
            if near[i] {
                shown.append(coloured("  \(line.mark) \(line.text)", line.mark))
            } else if i == 0 || near[i - 1] {
                shown.append("    …")
            }
        }
        return shown
    }

    /// The text in the colour of a mark, on a terminal.
    static func coloured(_ text: String, _ mark: String) -> String {
        guard isColoured else { return text }
        let code =
            switch mark {
            case "-": 31
            case "+": 32
            case "~": 33
            default: 0
            }
        return code == 0 ? text : "\u{1B}[\(code)m\(text)\u{1B}[0m"
    }

    /// A line for each member, and for each element of a list.
    private static func lines(_ document: JSONValue) -> [String] {
        (document.asObject ?? []).flatMap { member -> [String] in
            let key = text(.string(member.key), isKey: true)
            if case .array(let values) = member.value, !values.isEmpty { return ["\(key):"] + values.map { "  - " + text($0) } }
            if case .object(let inner) = member.value, !inner.isEmpty {
                return ["\(key):"] + inner.map { "  \(text(.string($0.key), isKey: true)): \(text($0.value))" }
            }
            return ["\(key): \(text(member.value))"]
        }
    }

    private static func text(_ value: JSONValue, isKey: Bool = false) -> String {
        if isKey, let name = value.asString, FunnelDefinition.isValidID(name) { return name.string }
        return String(decoding: value.encode(), as: UTF8.self).printableJSON
    }
}

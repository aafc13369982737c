import FunnelModel

/// Lists of the coordinator as columns of text.
enum TextTable {
    /// A text of an answer; `-` if it has none.
    static func text(_ value: JSONValue?) -> String { (value?.asString?.string ?? "-").printable }

    /// A time without its seconds: `2026-01-31T12:00Z`.
    static func minute(_ value: JSONValue?) -> String {
        let text = text(value)
        return text.count > 16 ? text.prefix(16) + "Z" : text
    }

    /// A line for each row, all of which have the same number of cells.
    static func lines(_ rows: [[String]]) -> [String] {
        let widths = (rows.first ?? []).indices.map { column in rows.map { $0[column].columns }.max() ?? 0 }
        return rows.map { row in
            let cells = zip(row, widths).map { $0.padded(to: $1) }.joined(separator: "  ")
            return String(cells.reversed().drop { $0 == " " }.reversed())
        }
    }
}

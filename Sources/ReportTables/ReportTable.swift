import FunnelModel

/// Rows of a report, for formats that are tables: CSV and NDJSON. A row has cells in some of the table's columns; in the others it is
/// empty.
package struct ReportTable: Equatable, Sendable {
    package typealias Row = [JSONValue.Member]

    /// As the parameter `table` of a request names it.
    package let name: String
    /// In the order in which they first occur.
    package let columns: [ByteString]
    /// By row, a cell for each column; null is an empty cell.
    package let rows: [[JSONValue]]

    /// - Parameter columns: those of a table without rows; other tables have the columns of their rows.
    package init(_ name: String, _ rows: [Row], columns: [ByteString] = []) {
        self.name = name
        guard !rows.isEmpty else {
            self.columns = columns
            self.rows = []
            return
        }
        var places: [ByteString: Int] = [:]
        var found: [ByteString] = []
        for member in rows.joined() where places[member.key] == nil {
            places[member.key] = found.count
            found.append(member.key)
        }
        self.columns = found
        self.rows = rows.map { row in
            var cells = [JSONValue](repeating: .null, count: found.count)
            // The first cell of a column counts.
            for member in row.reversed() {
                if let place = places[member.key] { cells[place] = member.value }
            }
            return cells
        }
    }

    package var isEmpty: Bool { rows.isEmpty }

    /// One JSON object a row, with every column and a line end each (NDJSON).
    package var jsonLines: [UInt8] {
        var out: [UInt8] = []
        for row in rows {
            JSONValue.object(zip(columns, row).map { .init($0, $1) }).write(to: &out)
            out.append(10)
        }
        return out
    }
}

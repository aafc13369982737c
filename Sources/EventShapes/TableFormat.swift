import FunnelModel

/// How a table's text is split into cells, and the names of its columns.
package struct TableFormat: Sendable {
    /// Nil: guessed from the first line.
    package var separator: UInt8?
    package var hasQuotes = true
    package var header = Header.firstRecord

    package enum Header: Sendable {
        case firstRecord
        /// No header; the number of cells in the first record chooses among these columns.
        case none([Columns])
    }

    package struct Columns: Sendable {
        package var names: [ByteString]
        /// The name of all events of such a table.
        package var event: ByteString?

        package init(_ names: [String], event: ByteString? = nil) {
            self.names = names.map { ByteString($0) }
            self.event = event
        }
    }

    package init() {}
}

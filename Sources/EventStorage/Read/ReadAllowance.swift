/// Limits the rows that one thread reads of a slice of users, and checks for cancellation.
final class ReadAllowance {
    /// Bytes of text that count as a further row.
    private static let rowBytes = 64
    /// Rows between two checks for cancellation.
    private static let interval = 1 << 16

    private let isCancelled: @Sendable () -> Bool
    private var room = Int.max
    private var left = ReadAllowance.interval

    private static let tooMany = StoreError(.tooManyRows, "the users have more events than may be read at once")

    init(_ isCancelled: @escaping @Sendable () -> Bool) { self.isCancelled = isCancelled }

    /// Call before each slice: sets the max rows of it.
    func begin(rowsMax: Int) { room = rowsMax }

    /// Call before rows are read whose number is known, except for a pack at either end.
    /// - Throws: `.tooManyRows`, if they are certainly too many.
    func require(_ rows: Int) throws(StoreError) {
        if rows - 2 * KeyPage.packRows > room { throw Self.tooMany }
    }

    /// Counts rows.
    /// - Throws: `.tooManyRows` if the slice has more than its max; `.cancelled`.
    func take(_ rows: Int) throws(StoreError) {
        room -= rows
        if room < 0 { throw Self.tooMany }
        try pass(rows)
    }

    /// Counts text of rows that is held in memory, as further rows.
    func take(bytes: Int) throws(StoreError) {
        try take(bytes / Self.rowBytes)
    }

    /// Counts rows that are read again: only for the check for cancellation.
    func pass(_ rows: Int) throws(StoreError) {
        left -= rows
        if left > 0 { return }
        left = Self.interval
        if isCancelled() { throw StoreError(.cancelled, "the caller gave up") }
    }
}

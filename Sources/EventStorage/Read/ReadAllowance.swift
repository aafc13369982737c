/// What one thread may still read of a slice of users, and whether anybody still waits for it.
final class ReadAllowance {
    /// Text beside this many bytes a row counts as further rows.
    private static let rowBytes = 64
    /// Rows between two looks at whether the caller still waits.
    private static let interval = 1 << 16

    private let isCancelled: @Sendable () -> Bool
    private var room = Int.max
    private var left = ReadAllowance.interval

    private static let tooMany = StoreError(.tooManyRows, "the users have more events than may be read at once")

    init(_ isCancelled: @escaping @Sendable () -> Bool) { self.isCancelled = isCancelled }

    /// Before each slice.
    func begin(rowsMax: Int) { room = rowsMax }

    /// Before rows are read whose number is known but for a pack at either end.
    /// - Throws: as `take`.
    func require(_ rows: Int) throws(StoreError) {
        if rows - 2 * KeyPage.packRows > room { throw Self.tooMany }
    }

    /// Counts rows.
    /// - Throws: `.tooManyRows` where the slice has more than it may; `.cancelled`.
    func take(_ rows: Int) throws(StoreError) {
        room -= rows
        if room < 0 { throw Self.tooMany }
        try pass(rows)
    }

    /// For rows held with all that is in them.
    func take(bytes: Int) throws(StoreError) {
        try take(bytes / Self.rowBytes)
    }

    /// Notes rows that are looked at once more.
    func pass(_ rows: Int) throws(StoreError) {
        left -= rows
        if left > 0 { return }
        left = Self.interval
        if isCancelled() { throw StoreError(.cancelled, "the caller gave up") }
    }
}

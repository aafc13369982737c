import FunnelModel

/// A project's data at one moment. Safe on any thread, for as long as it is kept.
package struct Snapshot<Files: FileSystem>: Sendable {
    let scanner: Scanner
    /// The greatest event time, hidden users' included.
    package let newestTime: Int64?

    /// All event names, in ascending byte order.
    package func eventNames() -> [ByteString] { scanner.names }

    /// Users in ascending byte order, each with its rows in the store's order, duplicates merged and hidden users left
    /// out. A user without rows of the wanted events is not told.
    /// - Parameters:
    ///   - events: the wanted names; nil is all, with indexes into `eventNames()`.
    ///   - properties: whether `UserRows.property` and `row` will be used.
    ///   - user: only users behind it.
    ///   - keep: whether a user is wanted.
    ///   - isCancelled: asked at least once a block; true ends the scan with `.cancelled`.
    ///   - body: false ends the scan. The rows hold during the call alone.
    package func scan(
        events: [ByteString]? = nil, properties: Bool, after user: ByteString? = nil,
        keep: ((ByteString) -> Bool)? = nil, isCancelled: () -> Bool = { false }, body: (UserRows) throws -> Bool
    ) throws {
        var filter = scanner.filter(events, properties)
        filter.from = user
        try scanner.scan(filter, events ?? scanner.names, keep, isCancelled, body)
    }

    /// One user with all its events, under indexes into `eventNames()`; `body` is not called where there are none.
    package func scan(user: ByteString, properties: Bool, body: (UserRows) throws -> Bool) throws {
        var filter = scanner.filter(nil, properties)
        filter.from = user
        filter.fromInclusive = true
        filter.upTo = user
        try scanner.scan(filter, scanner.names, nil, { false }, body)
    }
}

/// The work of a snapshot.
struct Scanner: Sendable {
    let runs: [SortedRows]
    let segments: [Segment]
    let suppressed: Set<ByteString>
    /// All event names, ascending.
    let names: [ByteString]

    func filter(_ events: [ByteString]?, _ properties: Bool) -> RowFilter {
        var indexes: [ByteString: Int32] = [:]
        for (i, name) in (events ?? names).enumerated() where indexes[name] == nil { indexes[name] = Int32(i) }
        return RowFilter(events: indexes, full: properties)
    }

    func scan(
        _ filter: RowFilter, _ events: [ByteString], _ keep: ((ByteString) -> Bool)?, _ isCancelled: () -> Bool,
        _ body: (UserRows) throws -> Bool
    ) throws {
        var merge = try UserMerge(runs: runs, segments: segments, filter: filter, isCancelled: isCancelled)
        let rows = UserRows(events: events, full: filter.full)
        var users = 0
        while try merge.next(isCancelled) {
            users += 1
            // Runs in memory have no blocks at which to ask.
            if users & 1023 == 0 && isCancelled() { throw StoreError(.cancelled, "the scan was cancelled") }
            if !suppressed.isEmpty || keep != nil {
                let user = ByteString(merge.user)
                if suppressed.contains(user) { continue }
                if let keep, !keep(user) { continue }
            }
            rows.reset()
            for part in merge.parts { rows.gather(part.loaded, user: part.user, part.rows, source: part.source) }
            if rows.count == 0 { continue }
            try rows.settle()
            if try !body(rows) { return }
        }
    }
}

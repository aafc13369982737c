import FunnelModel

/// The rows of one user as a scan tells them. One object serves a whole scan: keep nothing of it.
package final class UserRows {
    private struct Row {
        var time: Int64
        var event: Int32
        var block: Int32
        var row: Int32
    }

    private var rows: [Row] = []
    private var blocks: [LoadedRows] = []
    private var userPlace = 0
    private var firstSource = 0
    private var severalSources = false
    private var hasServerTimes = false
    private let events: [ByteString]
    /// The place of each event in byte order.
    private let rank: [Int32]
    private let full: Bool
    /// Server-timed (event, id) pairs of the user that stand already.
    private var seen: Set<Identity> = []

    private struct Identity: Hashable {
        var event: Int32
        var id: ByteString
    }

    init(events: [ByteString], full: Bool) {
        self.events = events
        self.full = full
        var rank = [Int32](repeating: 0, count: events.count)
        for (place, i) in events.indices.sorted(by: { events[$0] < events[$1] }).enumerated() { rank[i] = Int32(place) }
        self.rank = rank
    }

    package var user: ByteString {
        blocks.isEmpty ? "" : blocks[0].rows.batch.users[userPlace]
    }

    package var count: Int { rows.count }

    /// Microseconds since 1970 UTC.
    package func time(_ i: Int) -> Int64 { rows[i].time }

    /// The index of the event's name in the names the scan was given, or in `Snapshot.eventNames()`.
    package func event(_ i: Int) -> Int { Int(rows[i].event) }

    /// The value of a property; nil where the row has none, or the scan was asked for none.
    package func property(_ i: Int, _ key: ByteString) -> PropertyValue? {
        guard full else { return nil }
        let row = rows[i]
        let batch = blocks[Int(row.block)].rows.batch
        let code = blocks[Int(row.block)].keyCode(key)
        guard code >= 0 else { return nil }
        for p in Int(batch.propertyStart[Int(row.row)])..<Int(batch.propertyStart[Int(row.row) + 1])
        where Int32(truncatingIfNeeded: batch.propertyKey[p]) == code { return batch.value(ofProperty: p) }
        return nil
    }

    /// The whole event; without id and properties where the scan was not asked for properties.
    package func row(_ i: Int) -> Event {
        let row = rows[i]
        let batch = blocks[Int(row.block)].rows.batch
        if full { return batch.event(Int(row.row)) }
        return Event(
            user: user, name: events[Int(row.event)], time: row.time,
            serverTimed: batch.flags[Int(row.row)] & EventBatch.serverTimedFlag != 0)
    }

    func reset() {
        rows.removeAll(keepingCapacity: true)
        blocks.removeAll(keepingCapacity: true)
        severalSources = false
        hasServerTimes = false
    }

    func gather(_ loaded: LoadedRows, user: Int, _ range: Range<Int>, source: Int) {
        let place = Int32(blocks.count)
        let before = rows.count
        var flags: UInt8 = 0
        let batch = loaded.rows.batch
        for row in range {
            let event = loaded.events[Int(batch.name[row])]
            if event < 0 { continue }
            flags |= batch.flags[row]
            rows.append(Row(time: batch.time[row], event: event, block: place, row: Int32(truncatingIfNeeded: row)))
        }
        if rows.count == before { return }
        if flags & EventBatch.serverTimedFlag != 0 { hasServerTimes = true }
        if blocks.isEmpty {
            userPlace = user
            firstSource = source
        } else if source != firstSource {
            severalSources = true
        }
        blocks.append(loaded)
    }

    /// Puts the rows in order and merges duplicates.
    func settle() throws(StoreError) {
        if severalSources { sort(0..<rows.count) { self.byTimeAndName($0, $1) } }
        if !hasServerTimes && !hasTies { return }
        for block in blocks { try block.needIDs() }
        seen.removeAll(keepingCapacity: true)
        var kept = 0
        var start = 0
        while start < rows.count {
            var end = start + 1
            while end < rows.count, ties(end, start) { end += 1 }
            if end - start > 1 { sort(start..<end) { self.byIdentity($0, $1) } }
            kept = merge(start..<end, into: kept)
            start = end
        }
        rows.removeSubrange(kept...)
    }

    private var hasTies: Bool {
        for i in rows.indices.dropFirst() where ties(i, i - 1) { return true }
        return false
    }

    private func ties(_ i: Int, _ j: Int) -> Bool { rows[i].time == rows[j].time && rows[i].event == rows[j].event }

    /// Of the rows of one time and event, those with the same id become the one that was durable first; server-timed
    /// rows that stand at an earlier time already are left out before.
    private func merge(_ range: Range<Int>, into target: Int) -> Int {
        var kept = target
        var at = range.lowerBound
        while at < range.upperBound {
            let id = idBytes(rows[at])
            var end = at + 1
            if !id.isEmpty {
                while end < range.upperBound, compareBytes(idBytes(rows[end]), id) == 0 { end += 1 }
            }
            if !hasServerTimes || id.isEmpty {
                rows[kept] = rows[at]
                kept += 1
            } else {
                let identity = Identity(event: rows[at].event, id: ByteString(id))
                let isKnown = seen.contains(identity)
                var isFlagged = false
                var first: Row?
                for row in rows[at..<end] {
                    let flagged = isServerTimed(row)
                    if flagged { isFlagged = true }
                    if flagged && isKnown { continue }
                    first = first ?? row
                }
                if isFlagged { seen.insert(identity) }
                if let first {
                    rows[kept] = first
                    kept += 1
                }
            }
            at = end
        }
        return kept
    }

    private func isServerTimed(_ row: Row) -> Bool {
        blocks[Int(row.block)].rows.batch.flags[Int(row.row)] & EventBatch.serverTimedFlag != 0
    }

    private func idBytes(_ row: Row) -> ArraySlice<UInt8> {
        blocks[Int(row.block)].rows.batch.ids.slice(Int(row.row))
    }

    private func byTimeAndName(_ a: Row, _ b: Row) -> Bool {
        a.time == b.time ? rank[Int(a.event)] < rank[Int(b.event)] : a.time < b.time
    }

    /// Within one time and event: by id, then, of equal ids the earlier durable first, of rows without by properties.
    private func byIdentity(_ a: Row, _ b: Row) -> Bool {
        let left = blocks[Int(a.block)].rows
        let right = blocks[Int(b.block)].rows
        let ids = compareBytes(idBytes(a), idBytes(b))
        if ids != 0 { return ids < 0 }
        if full && left.batch.ids.isEmpty(Int(a.row)) {
            let order = propertyOrder(left.batch, Int(a.row), right.batch, Int(b.row))
            if order != 0 { return order < 0 }
        }
        return left.sequence[Int(a.row)] < right.sequence[Int(b.row)]
    }

    /// Insertion sort for the few rows that a user mostly has, since it allocates nothing.
    private func sort(_ range: Range<Int>, by precedes: (Row, Row) -> Bool) {
        guard range.count <= 32 else { return rows[range].sort(by: precedes) }
        for i in range.dropFirst() {
            let row = rows[i]
            var at = i
            while at > range.lowerBound, precedes(row, rows[at - 1]) {
                rows[at] = rows[at - 1]
                at -= 1
            }
            rows[at] = row
        }
    }
}

/// Rows of a batch that are sent together: few enough for one frame even if all belong to one shard.
package struct BatchSlice: Equatable, Sendable {
    /// The rows, as a range of the batch. It depends on the batch alone, not on the cluster map.
    package let rows: Range<Int>
    /// Shards ascending, each with at least one row.
    package let shards: [ShardRows]
}

extension BatchSlice {
    /// The slice with at most `bytes` of a shard's rows.
    fileprivate func limited(by bytes: ([Int]) -> Int) -> BatchSlice {
        BatchSlice(
            rows: rows,
            shards: shards.map { ShardRows(shard: $0.shard, rows: $0.rows, bytes: min($0.bytes, bytes($0.rows))) })
    }
}

/// Rows of a slice that belong to one shard.
package struct ShardRows: Equatable, Sendable {
    /// Index in the map's `shards`.
    package let shard: Int
    /// Ascending rows of the batch.
    package let rows: [Int]
    /// Approximate bytes on the wire, at most: the rows' columns, ids and strings. Strings count for each row, even if shared, or all
    /// strings of the batch count once, whichever is less.
    package let bytes: Int
}

extension EventBatch {
    /// Splits the batch into slices, and each slice by the shard that owns the row's user.
    /// - Parameters:
    ///   - sliceBytes: max bytes of a slice; a single larger row is a slice of its own.
    ///   - starts: the first rows of the slices, ascending from 0, in place of those by `sliceBytes`. A slice may be empty.
    /// - Returns: empty if the map has no shards.
    package func split(over map: ClusterMap, sliceBytes: Int, starts given: [Int]? = nil) -> [BatchSlice] {
        guard !map.shards.isEmpty, count > 0 else { return [] }
        let owners = owners(map)
        let sizes = rowSizes()
        let total = sizes.reduce(0, +)
        if users.count == 1, given.map({ $0.count == 1 }) ?? (total <= sliceBytes) {
            // The usual case for requests with one event.
            let bytes = min(total, stringBytes + ownBytes(0..<count))
            return [BatchSlice(rows: 0..<count, shards: [ShardRows(shard: owners[0], rows: Array(0..<count), bytes: bytes)])]
        }
        // The rows share long strings, as rules can give them: 6 GB of rows may be 3 MB on the wire.
        let isShared = total > 2 * (stringBytes + ownBytes(0..<count))
        let starts = given ?? Self.sliceStarts(sizes, sliceBytes)
        return starts.indices.map { i in
            let end = i + 1 < starts.count ? starts[i + 1] : count
            var found = slice(starts[i]..<end, owners, sizes, shards: map.shards.count)
            if isShared { found = found.limited(by: { rows in stringBytes + rows.reduce(0) { $0 + ownBytes($1..<$1 + 1) } }) }
            return found
        }
    }

    /// Bytes of all users, names, keys and property strings, each once.
    private var stringBytes: Int { users.heap.count + names.heap.count + keys.heap.count + strings.heap.count }

    /// Bytes of rows without strings that rows can share.
    private func ownBytes(_ rows: Range<Int>) -> Int {
        let ids = ids.count >= rows.upperBound ? Int(ids.offsets[rows.upperBound] - ids.offsets[rows.lowerBound]) : 0
        let hasProperties = propertyStart.count > rows.upperBound
        return 16 * rows.count + ids
            + (hasProperties ? 10 * Int(propertyStart[rows.upperBound] - propertyStart[rows.lowerBound]) : 0)
    }

    /// The first rows of the slices into which `split` cuts the batch.
    package func sliceStarts(sliceBytes: Int) -> [Int] { Self.sliceStarts(rowSizes(), sliceBytes) }

    private static func sliceStarts(_ sizes: [Int], _ sliceBytes: Int) -> [Int] {
        var starts = [0]
        var size = 0
        for row in sizes.indices {
            if size + sizes[row] > sliceBytes, size > 0 {
                starts.append(row)
                size = 0
            }
            size += sizes[row]
        }
        return starts
    }

    /// By user: the index of the owner. Each user is hashed once.
    private func owners(_ map: ClusterMap) -> [Int] {
        (0..<users.count).map { map.owner(ofBucket: ClusterMap.bucket(of: users.hash($0))) }
    }

    private func rowSizes() -> [Int] {
        let sizes = RowSizes(self)
        return [Int](capacity: count) { out in
            var row = 0
            while row < count {
                out.append(sizes.bytes(ofRow: row))
                row &+= 1
            }
        }
    }

    /// Distributes the rows to their owners; a shard's rows stay in order.
    private func slice(_ range: Range<Int>, _ owners: [Int], _ sizes: [Int], shards: Int) -> BatchSlice {
        var counts = Array(repeating: 0, count: shards)
        for row in range { counts[owners[Int(user[row])]] += 1 }
        var rows = counts.map { count -> [Int] in
            var rows: [Int] = []
            rows.reserveCapacity(count)
            return rows
        }
        var bytes = Array(repeating: 0, count: shards)
        for row in range {
            let owner = owners[Int(user[row])]
            rows[owner].append(row)
            bytes[owner] += sizes[row]
        }
        return BatchSlice(
            rows: range,
            shards: rows.indices.filter { !rows[$0].isEmpty }.map { ShardRows(shard: $0, rows: rows[$0], bytes: bytes[$0]) })
    }
}

/// Approximate bytes of each row on the wire: its columns, its id and its strings, even if shared.
private struct RowSizes: ~Escapable {
    private let user: Span<UInt32>
    private let name: Span<UInt32>
    private let propertyStart: Span<UInt32>
    private let propertyKey: Span<UInt32>
    private let propertyTag: Span<UInt8>
    private let propertyBits: Span<UInt64>
    private let users: Span<UInt32>
    private let names: Span<UInt32>
    private let ids: Span<UInt32>
    private let keys: Span<UInt32>
    private let strings: Span<UInt32>

    @_lifetime(borrow batch)
    init(_ batch: borrowing EventBatch) {
        user = batch.user.span
        name = batch.name.span
        propertyStart = batch.propertyStart.span
        propertyKey = batch.propertyKey.span
        propertyTag = batch.propertyTag.span
        propertyBits = batch.propertyBits.span
        users = batch.users.offsets.span
        names = batch.names.offsets.span
        ids = batch.ids.offsets.span
        keys = batch.keys.offsets.span
        strings = batch.strings.offsets.span
    }

    @inline(__always)
    private func length(_ offsets: Span<UInt32>, _ i: Int) -> Int { Int(offsets[i &+ 1] &- offsets[i]) }

    @inline(__always)
    func bytes(ofRow row: Int) -> Int {
        var bytes = 16 &+ length(users, Int(user[row])) &+ length(names, Int(name[row]))
        if ids.count > row &+ 1 { bytes &+= length(ids, row) }
        guard propertyStart.count > row &+ 1 else { return bytes }
        var p = Int(propertyStart[row])
        let end = Int(propertyStart[row &+ 1])
        while p < end {
            bytes &+= 10 &+ length(keys, Int(propertyKey[p]))
            if propertyTag[p] == EventBatch.Tag.string { bytes &+= length(strings, Int(truncatingIfNeeded: propertyBits[p])) }
            p &+= 1
        }
        return bytes
    }
}

/// Rows of a batch that belong to one shard.
package struct ShardRows: Equatable, Sendable {
    /// Index in the map's `shards`.
    package let shard: Int
    /// What is sent at once, in the order of the rows; a part's number is its index.
    package internal(set) var parts: [Part] = []
    /// Of all parts, as estimated.
    package internal(set) var bytes = 0

    package struct Part: Equatable, Sendable {
        /// Ascending rows of the batch.
        package let rows: [Int]
        /// On the wire, roughly: the rows' columns, ids and strings, shared or not.
        package let bytes: Int
    }
}

extension EventBatch {
    /// Every row with the shard that owns its user, shards ascending, each with one row or more.
    /// - Parameter partBytes: a part is closed before it gets larger; a row that is larger by itself is a part by itself.
    /// - Returns: nothing where the map has no shards.
    package func split(over map: ClusterMap, partBytes: Int) -> [ShardRows] {
        guard !map.shards.isEmpty else { return [] }
        let sorted = RowsByShard(self, map)
        var out: [ShardRows] = []
        for shard in map.shards.indices {
            let range = sorted.range(ofShard: shard)
            if !range.isEmpty { out.append(sorted.cut(range, shard, partBytes)) }
        }
        return out
    }
}

/// All rows, those of one shard side by side, and what each takes. A shard's rows stay in their order.
private struct RowsByShard {
    private let rows: [Int]
    private let bytes: [Int]
    /// Where the rows of each shard end; those of the next one follow.
    private let ends: [Int]

    init(_ batch: EventBatch, _ map: ClusterMap) {
        let owners = Self.owners(batch.users, map)
        var next = Self.starts(batch.user, owners, shards: map.shards.count)
        var rows = Array(repeating: 0, count: batch.count)
        var bytes = rows
        Self.place(batch, owners, &next, &rows, &bytes)
        (self.rows, self.bytes, ends) = (rows, bytes, next)
    }

    /// The owner of each user, hashed once however many rows it has.
    private static func owners(_ users: StringTable, _ map: ClusterMap) -> [Int] {
        (0..<users.count).map { map.owner(ofBucket: XXH64.bucket(of: users.hash($0))) }
    }

    /// - Parameter next: where each shard's next row goes.
    private static func place(
        _ batch: EventBatch, _ owners: [Int], _ next: inout [Int], _ rows: inout [Int], _ bytes: inout [Int]
    ) {
        let sizes = RowSizes(batch)
        let users = batch.user.span
        var placed = rows.mutableSpan
        var sized = bytes.mutableSpan
        var row = 0
        while row < users.count {
            let owner = owners[Int(users[row])]
            let at = next[owner]
            next[owner] = at &+ 1
            placed[at] = row
            sized[at] = sizes.bytes(ofRow: row)
            row &+= 1
        }
    }

    private static func starts(_ users: [UInt32], _ owners: [Int], shards: Int) -> [Int] {
        var counts = Array(repeating: 0, count: shards)
        for user in users { counts[owners[Int(user)]] += 1 }
        var total = 0
        for shard in counts.indices {
            total += counts[shard]
            counts[shard] = total - counts[shard]
        }
        return counts
    }

    func range(ofShard shard: Int) -> Range<Int> { (shard == 0 ? 0 : ends[shard - 1])..<ends[shard] }

    func cut(_ range: Range<Int>, _ shard: Int, _ partBytes: Int) -> ShardRows {
        var out = ShardRows(shard: shard)
        var start = range.lowerBound
        var size = 0
        for at in range {
            if size + bytes[at] > partBytes, size > 0 {
                out.parts.append(.init(rows: Array(rows[start..<at]), bytes: size))
                out.bytes += size
                (start, size) = (at, 0)
            }
            size += bytes[at]
        }
        out.parts.append(.init(rows: Array(rows[start..<range.upperBound]), bytes: size))
        out.bytes += size
        return out
    }
}

/// What a row takes on the wire, roughly: its columns, its id and its strings, shared or not.
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

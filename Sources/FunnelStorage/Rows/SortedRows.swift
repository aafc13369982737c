import FunnelModel

/// Rows in the store's order: by user bytes, then by time, event name, event id and properties. What a run of the
/// memtable and a decoded block of a segment both are.
final class SortedRows: Sendable {
    /// Its users ascend, each once.
    let batch: EventBatch
    /// The rows of user `u` are `userStart[u]..<userStart[u + 1]`.
    let userStart: [UInt32]
    /// When a row became durable, counted in rows of the shard; none where ids were not read.
    let sequence: [UInt64]

    init(batch: EventBatch, userStart: [UInt32], sequence: [UInt64]) {
        self.batch = batch
        self.userStart = userStart
        self.sequence = sequence
    }

    /// Takes a block from disk; nil where its rows are not grouped by user in the order of its users.
    convenience init?(checking batch: consuming EventBatch, sequence: [UInt64]) {
        var starts: [UInt32] = []
        starts.reserveCapacity(batch.users.count + 1)
        var previous = UInt32.max
        for (row, user) in batch.user.enumerated() where user != previous {
            guard user == previous &+ 1 else { return nil }
            starts.append(UInt32(truncatingIfNeeded: row))
            previous = user
        }
        guard starts.count == batch.users.count, sequence.isEmpty || sequence.count == batch.count else { return nil }
        starts.append(UInt32(truncatingIfNeeded: batch.count))
        self.init(batch: batch, userStart: starts, sequence: sequence)
    }

    var count: Int { batch.count }
    var users: Int { batch.users.count }
    var hasIDs: Bool { sequence.count == batch.count }

    func rows(ofUser user: Int) -> Range<Int> { Int(userStart[user])..<Int(userStart[user + 1]) }

    /// The first user not before `bound` (or after it, if not `inclusive`).
    func firstUser(from bound: ByteString, inclusive: Bool) -> Int {
        var low = 0
        var high = users
        while low < high {
            let middle = (low + high) / 2
            let order = compareBytes(batch.users.slice(middle), bound.bytes[...])
            if order < 0 || (order == 0 && !inclusive) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The byte order of a user here and one there.
    func compareUser(_ user: Int, with other: SortedRows, _ otherUser: Int) -> Int {
        batch.users.compare(user, with: other.batch.users, otherUser)
    }

    /// Roughly what it takes in memory.
    var bytes: Int {
        let heaps = batch.users.heap.count + batch.names.heap.count + batch.keys.heap.count + batch.strings.heap.count
        let tables = 4 * (2 * users + batch.keys.count + batch.strings.count)
        return heaps + batch.ids.heap.count + tables + count * 33 + batch.propertyKey.count * 13
    }

    /// The rows of a batch, sorted. Row `i` is given the durability sequence `firstSequence + i`.
    static func sorting(_ batch: EventBatch, firstSequence: UInt64) -> SortedRows {
        let users = batch.users
        let order = (0..<users.count).sorted { users.compare($0, with: users, $1) < 0 }
        // A peer's dictionary may name a user twice; equal users share one rank.
        var rank = [Int](repeating: 0, count: users.count)
        var ranks = 0
        for (i, user) in order.enumerated() {
            if i > 0 && users.compare(order[i - 1], with: users, user) != 0 { ranks += 1 }
            rank[user] = ranks
        }
        var starts = [Int](repeating: 0, count: ranks + 2)
        for user in batch.user { starts[rank[Int(user)] + 1] += 1 }
        for i in 1..<starts.count { starts[i] += starts[i - 1] }
        var next = starts
        var rows = [Int](repeating: 0, count: batch.count)
        for row in 0..<batch.count {
            let place = rank[Int(batch.user[row])]
            rows[next[place]] = row
            next[place] += 1
        }
        var builder = RowsBuilder(sources: 1)
        for place in 0...ranks where starts[place] < starts[place + 1] {
            let range = starts[place]..<starts[place + 1]
            if range.count > 1 {
                rows[range].sort {
                    let order = rowOrder(batch, $0, batch, $1)
                    return order == 0 ? $0 < $1 : order < 0
                }
            }
            builder.beginUser(users.slice(Int(batch.user[rows[range.lowerBound]])))
            for row in rows[range] {
                builder.add(source: 0, batch, row, sequence: firstSequence &+ UInt64(row))
            }
        }
        return builder.finish()
    }
}

/// The order of two rows of one user: time, event name bytes, event id bytes, canonical property bytes.
func rowOrder(_ a: EventBatch, _ i: Int, _ b: EventBatch, _ j: Int) -> Int {
    if a.time[i] != b.time[j] { return a.time[i] < b.time[j] ? -1 : 1 }
    let names = a.names.compare(Int(a.name[i]), with: b.names, Int(b.name[j]))
    if names != 0 { return names }
    let ids = a.ids.compare(i, with: b.ids, j)
    return ids != 0 ? ids : propertyOrder(a, i, b, j)
}

/// The order of two rows' properties, by their canonical bytes.
func propertyOrder(_ a: EventBatch, _ i: Int, _ b: EventBatch, _ j: Int) -> Int {
    if a.propertyStart[i] == a.propertyStart[i + 1] && b.propertyStart[j] == b.propertyStart[j + 1] { return 0 }
    return compareBytes(canonicalProperties(a, i)[...], canonicalProperties(b, j)[...])
}

/// For each property in key order: key, tag and value. Only an order among otherwise equal rows comes of it.
private func canonicalProperties(_ batch: EventBatch, _ row: Int) -> [UInt8] {
    var out = ByteWriter()
    for p in Int(batch.propertyStart[row])..<Int(batch.propertyStart[row + 1]) {
        out.string(batch.keys[Int(batch.propertyKey[p])])
        out.integer(batch.propertyTag[p])
        if batch.propertyTag[p] == EventBatch.Tag.string {
            out.string(batch.strings[Int(batch.propertyBits[p])])
        } else {
            out.integer(batch.propertyBits[p])
        }
    }
    return out.bytes
}

/// Collects rows that come in order, from several batches, under dictionaries of its own.
struct RowsBuilder {
    private var batch = EventBatch()
    private var starts: [UInt32] = []
    private var sequence: [UInt64] = []
    private var names = StringInterner()
    private var keys = StringInterner()
    private var strings = StringInterner()
    /// Codes of a source's dictionaries here, each with the epoch it holds for in its upper half: starting anew
    /// takes no clearing.
    private var maps: [Maps]
    private var epoch: UInt64 = 1
    private(set) var approximateBytes = 0

    private struct Maps {
        var names: [UInt64] = []
        var keys: [UInt64] = []
        var strings: [UInt64] = []
    }

    init(sources: Int) { maps = Array(repeating: Maps(), count: sources) }

    var count: Int { batch.count }

    mutating func beginUser(_ user: ArraySlice<UInt8>) {
        starts.append(UInt32(truncatingIfNeeded: batch.count))
        batch.users.append(user)
        approximateBytes += user.count
    }

    mutating func add(source: Int, _ from: EventBatch, _ row: Int, sequence: UInt64) {
        batch.user.append(UInt32(truncatingIfNeeded: batch.users.count - 1))
        batch.name.append(Self.code(Int(from.name[row]), from.names, &maps[source].names, &names, epoch))
        batch.time.append(from.time[row])
        batch.flags.append(from.flags[row])
        batch.ids.append(from.ids.slice(row))
        self.sequence.append(sequence)
        approximateBytes += 33 + from.ids.range(row).count
        for p in Int(from.propertyStart[row])..<Int(from.propertyStart[row + 1]) {
            let key = Self.code(Int(from.propertyKey[p]), from.keys, &maps[source].keys, &keys, epoch)
            batch.propertyKey.append(key)
            batch.propertyTag.append(from.propertyTag[p])
            var bits = from.propertyBits[p]
            if from.propertyTag[p] == EventBatch.Tag.string {
                approximateBytes += from.strings.range(Int(bits)).count
                bits = UInt64(Self.code(Int(bits), from.strings, &maps[source].strings, &strings, epoch))
            }
            batch.propertyBits.append(bits)
            approximateBytes += 13
        }
        batch.propertyStart.append(UInt32(truncatingIfNeeded: batch.propertyKey.count))
    }

    /// What was collected; the builder is empty again.
    mutating func finish() -> SortedRows {
        batch.names = names.table
        batch.keys = keys.table
        batch.strings = strings.table
        starts.append(UInt32(truncatingIfNeeded: batch.count))
        let rows = SortedRows(batch: batch, userStart: starts, sequence: sequence)
        batch = EventBatch()
        starts = []
        sequence = []
        names = StringInterner()
        keys = StringInterner()
        strings = StringInterner()
        epoch += 1
        approximateBytes = 0
        return rows
    }

    private static func code(
        _ code: Int, _ table: StringTable, _ map: inout [UInt64], _ interner: inout StringInterner, _ epoch: UInt64
    ) -> UInt32 {
        if map.count < table.count {
            map.append(contentsOf: repeatElement(0, count: table.count - map.count))
        }
        if map[code] >> 32 == epoch { return UInt32(truncatingIfNeeded: map[code]) }
        let mine = interner.code(table[code])
        map[code] = epoch << 32 | UInt64(mine)
        return mine
    }
}

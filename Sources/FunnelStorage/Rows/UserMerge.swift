import FunnelModel

/// What a reader wants of its sources.
struct RowFilter: Sendable {
    /// The index of each wanted event name; nil is all rows, without indexes.
    var events: [ByteString: Int32]?
    /// Ids and properties too.
    var full = false
    var from: ByteString?
    var fromInclusive = false
    var upTo: ByteString?
}

/// The rows of a source that are in memory now: a run, or one block of a segment.
final class LoadedRows {
    private(set) var rows: SortedRows
    /// The wanted events' indexes by the rows' own name codes, -1 for the others.
    let events: [Int32]
    private let reload: (() throws(StoreError) -> SortedRows)?
    private var keyCodes: [ByteString: Int32] = [:]

    init(_ rows: SortedRows, _ filter: RowFilter, reload: (() throws(StoreError) -> SortedRows)? = nil) {
        self.rows = rows
        self.reload = reload
        let names = rows.batch.names
        events = filter.events.map { wanted in (0..<names.count).map { wanted[names[$0]] ?? -1 } } ?? []
    }

    /// The rows' own code of a property key, -1 where they have none.
    func keyCode(_ key: ByteString) -> Int32 {
        if let code = keyCodes[key] { return code }
        let keys = rows.batch.keys
        let code = (0..<keys.count).first { keys.slice($0).elementsEqual(key.bytes) }.map { Int32($0) } ?? -1
        keyCodes[key] = code
        return code
    }

    /// Reads ids and durability sequences, unless they are there.
    func needIDs() throws(StoreError) {
        guard !rows.hasIDs, let reload else { return }
        rows = try reload()
        keyCodes.removeAll()
    }
}

/// Steps through the users of several sources together, in ascending order.
struct UserMerge {
    /// A cursor's number and the beginning of its user, which decides most comparisons without a look at the cursor.
    private struct Entry {
        /// The first sixteen bytes, with zeros behind shorter users.
        var prefix: UInt128
        /// Bytes of the user.
        var count: Int
        var cursor: Int

        init(_ cursor: Int, _ user: ArraySlice<UInt8>) {
            var value: UInt128 = 0
            var shift = 128
            for byte in user.prefix(16) {
                shift -= 8
                value |= UInt128(byte) << UInt128(shift)
            }
            prefix = value
            count = user.count
            self.cursor = cursor
        }
    }

    /// One source's rows of the current user.
    struct Part {
        var loaded: LoadedRows
        var source: Int
        var user: Int
        var rows: Range<Int>
    }

    /// The current user's parts: of one source in order, of several in any.
    private(set) var parts: [Part] = []
    private var cursors: [Cursor] = []
    /// A binary heap of cursors, the least user on top.
    private var heap: [Entry] = []
    private let filter: RowFilter

    init(
        runs: [SortedRows], segments: [Segment], filter: RowFilter, isCancelled: () -> Bool
    ) throws(StoreError) {
        self.filter = filter
        for run in runs { cursors.append(Cursor(run: run, segment: nil, wanted: [])) }
        for segment in segments {
            cursors.append(Cursor(run: nil, segment: segment, wanted: segment.wanted(filter.events)))
        }
        for i in cursors.indices where try cursors[i].start(filter, isCancelled) {
            heap.append(Entry(i, cursors[i].userBytes))
            siftUp(heap.count - 1)
        }
    }

    /// The bytes of the current user.
    var user: ArraySlice<UInt8> {
        guard let part = parts.first else { return [] }
        return part.loaded.rows.batch.users.slice(part.user)
    }

    /// Goes to the next user; false at the end.
    mutating func next(_ isCancelled: () -> Bool) throws(StoreError) -> Bool {
        parts.removeAll(keepingCapacity: true)
        guard let top = heap.first, let loaded = cursors[top.cursor].loaded else { return false }
        let rows = loaded.rows
        let user = cursors[top.cursor].user
        repeat {
            let cursor = cursors[heap[0].cursor]
            guard let loaded = cursor.loaded else { return false }
            let place = cursor.user
            parts.append(
                Part(loaded: loaded, source: heap[0].cursor, user: place, rows: loaded.rows.rows(ofUser: place)))
            if try cursor.advance(filter, isCancelled) {
                heap[0] = Entry(heap[0].cursor, cursor.userBytes)
                siftDown()
            } else {
                heap[0] = heap[heap.count - 1]
                heap.removeLast()
                if !heap.isEmpty { siftDown() }
            }
        } while isTop(rows, user, top)
        return true
    }

    private func isTop(_ rows: SortedRows, _ user: Int, _ entry: Entry) -> Bool {
        guard let top = heap.first, top.prefix == entry.prefix, top.count == entry.count else { return false }
        if top.count <= 16 { return true }
        let cursor = cursors[top.cursor]
        guard let loaded = cursor.loaded else { return false }
        return loaded.rows.compareUser(cursor.user, with: rows, user) == 0
    }

    private func precedes(_ a: Entry, _ b: Entry) -> Bool {
        if a.prefix != b.prefix { return a.prefix < b.prefix }
        // Of two that are all prefix the shorter is the beginning of the longer.
        if a.count <= 16 && b.count <= 16 { return a.count < b.count }
        let left = cursors[a.cursor]
        let right = cursors[b.cursor]
        guard let leftRows = left.loaded?.rows, let rightRows = right.loaded?.rows else { return false }
        return leftRows.compareUser(left.user, with: rightRows, right.user) < 0
    }

    private mutating func siftUp(_ start: Int) {
        var at = start
        while at > 0, precedes(heap[at], heap[(at - 1) / 2]) {
            heap.swapAt(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
    }

    private mutating func siftDown() {
        var at = 0
        while true {
            var least = at
            for child in [2 * at + 1, 2 * at + 2] where child < heap.count && precedes(heap[child], heap[least]) {
                least = child
            }
            if least == at { return }
            heap.swapAt(at, least)
            at = least
        }
    }

    /// A place in one source.
    private final class Cursor {
        let run: SortedRows?
        let segment: Segment?
        /// The wanted names by the segment's name codes.
        let wanted: [Bool]
        var loaded: LoadedRows?
        var user = 0
        private var nextBlock = 0

        var userBytes: ArraySlice<UInt8> { loaded?.rows.batch.users.slice(user) ?? [] }

        init(run: SortedRows?, segment: Segment?, wanted: [Bool]) {
            self.run = run
            self.segment = segment
            self.wanted = wanted
        }

        func start(_ filter: RowFilter, _ isCancelled: () -> Bool) throws(StoreError) -> Bool {
            if let run {
                loaded = LoadedRows(run, filter)
            } else if let segment {
                if let from = filter.from {
                    nextBlock = segment.firstBlock(from: from, inclusive: filter.fromInclusive)
                }
                guard try load(filter, isCancelled) else { return false }
            }
            if let from = filter.from, let loaded {
                user = loaded.rows.firstUser(from: from, inclusive: filter.fromInclusive)
            }
            return try settle(filter, isCancelled)
        }

        func advance(_ filter: RowFilter, _ isCancelled: () -> Bool) throws(StoreError) -> Bool {
            user += 1
            return try settle(filter, isCancelled)
        }

        /// Goes on to the next block where this one is used up; false at the end.
        private func settle(_ filter: RowFilter, _ isCancelled: () -> Bool) throws(StoreError) -> Bool {
            while let loaded {
                if user < loaded.rows.users {
                    if let upTo = filter.upTo, compareBytes(userBytes, upTo.bytes[...]) > 0 { break }
                    return true
                }
                user = 0
                guard try load(filter, isCancelled) else { break }
            }
            loaded = nil
            return false
        }

        private func load(_ filter: RowFilter, _ isCancelled: () -> Bool) throws(StoreError) -> Bool {
            guard let segment else { return false }
            while nextBlock < segment.blocks.count {
                let number = nextBlock
                let block = segment.blocks[number]
                if let upTo = filter.upTo, upTo < block.firstUser { return false }
                nextBlock += 1
                guard filter.events == nil || block.names.contains(where: { wanted[Int($0)] }) else { continue }
                if isCancelled() { throw StoreError(.cancelled, "the scan was cancelled") }
                // Where rows within the block need ids there is no point in reading it twice.
                let rows = try segment.read(block: number, ids: filter.full || block.needsIDs, properties: filter.full)
                loaded = LoadedRows(rows, filter) { () throws(StoreError) -> SortedRows in
                    try segment.read(block: number, ids: true, properties: filter.full)
                }
                return true
            }
            return false
        }
    }
}

/// Merges sorted runs, every row kept, in the store's order.
func mergeRows(
    _ runs: [SortedRows], blockRows: Int = .max, blockBytes: Int = .max,
    emit: (SortedRows) throws(StoreError) -> Void
) throws(StoreError) {
    var merge = try UserMerge(runs: runs, segments: [], filter: RowFilter()) { false }
    var builder = RowsBuilder(sources: runs.count)
    var order: [(source: Int, row: Int)] = []
    while try merge.next({ false }) {
        order.removeAll(keepingCapacity: true)
        for part in merge.parts {
            for row in part.rows { order.append((part.source, row)) }
        }
        if merge.parts.count > 1 {
            order.sort {
                let (a, b) = (runs[$0.source], runs[$1.source])
                let order = rowOrder(a.batch, $0.row, b.batch, $1.row)
                return order == 0 ? a.sequence[$0.row] < b.sequence[$1.row] : order < 0
            }
        }
        var begun = false
        for (source, row) in order {
            if builder.count >= blockRows || builder.approximateBytes >= blockBytes {
                try emit(builder.finish())
                begun = false
            }
            if !begun { builder.beginUser(merge.user) }
            begun = true
            builder.add(source: source, runs[source].batch, row, sequence: runs[source].sequence[row])
        }
    }
    if builder.count > 0 { try emit(builder.finish()) }
}

/// Rows dealt to positions, each row to one of its own and each position to one row, with as many rows as possible
/// (augmenting paths on bits).
struct PositionMatching: Sendable {
    /// By position: the row that has it, and the positions of that row.
    private(set) var owner: [Int]
    private var ownerMask: [UInt64]
    private var reachedFrom: [Int]
    private(set) var taken: UInt64 = 0
    /// Positions taken by rows that fit nowhere else, for good: a row that fits only these can't be added.
    private(set) var saturated: UInt64 = 0

    init(positions: Int) {
        owner = Array(repeating: 0, count: positions)
        ownerMask = Array(repeating: 0, count: positions)
        reachedFrom = Array(repeating: 0, count: positions)
    }

    var count: Int { taken.nonzeroBitCount }

    mutating func reset() {
        taken = 0
        saturated = 0
    }

    /// Gives the row a position, and others new ones where that helps; false where there is no way.
    mutating func add(_ row: Int, _ mask: UInt64) -> Bool {
        let own = mask & ~saturated
        let free = own & ~taken
        if free != 0 {
            put(row, mask, at: free.trailingZeroBitCount)
            return true
        }
        var visited = own
        var todo = own
        for position in PositionBits(own) { reachedFrom[position] = -1 }
        while todo != 0 {
            let position = todo.trailingZeroBitCount
            todo &= todo - 1
            let new = ownerMask[position] & ~visited & ~saturated
            for other in PositionBits(new) { reachedFrom[other] = position }
            visited |= new
            todo |= new
            if new & ~taken != 0 {
                shift(row, mask, to: (new & ~taken).trailingZeroBitCount)
                return true
            }
        }
        saturated |= visited
        return false
    }

    private mutating func shift(_ row: Int, _ mask: UInt64, to free: Int) {
        var position = free
        while reachedFrom[position] >= 0 {
            let from = reachedFrom[position]
            put(owner[from], ownerMask[from], at: position)
            position = from
        }
        put(row, mask, at: position)
    }

    private mutating func put(_ row: Int, _ mask: UInt64, at position: Int) {
        owner[position] = row
        ownerMask[position] = mask
        taken |= 1 << UInt64(position)
    }
}

/// The positions of a mask, ascending.
struct PositionBits: Sequence, IteratorProtocol {
    private var rest: UInt64

    init(_ mask: UInt64) { rest = mask }

    mutating func next() -> Int? {
        if rest == 0 { return nil }
        defer { rest &= rest - 1 }
        return rest.trailingZeroBitCount
    }
}

/// A matching of rows to positions: each row gets one of its own positions, and each position at most one row. The number of
/// rows is maximal (augmenting paths on bit sets).
struct PositionMatching: Sendable {
    /// By position: the row that has it.
    private(set) var owner: [Int]
    /// By position: all positions of that row.
    private var ownerMask: [StepSet]
    private var reachedFrom: [Int]
    private(set) var taken = StepSet()
    /// Positions that stay taken: a row that fits only these cannot be added.
    private(set) var saturated = StepSet()

    init(positions: Int) {
        owner = Array(repeating: 0, count: positions)
        ownerMask = Array(repeating: StepSet(), count: positions)
        reachedFrom = Array(repeating: 0, count: positions)
    }

    var count: Int { taken.count }

    mutating func reset() {
        taken = StepSet()
        saturated = StepSet()
    }

    /// Gives the row a position, if necessary by moving others; false if that is impossible.
    mutating func add(_ row: Int, _ mask: StepSet) -> Bool {
        let own = mask - saturated
        let free = own - taken
        if !free.isEmpty {
            put(row, mask, at: free.lowest)
            return true
        }
        var visited = own
        var todo = own
        for position in own { reachedFrom[position] = -1 }
        while !todo.isEmpty {
            let position = todo.lowest
            todo.removeLowest()
            let new = ownerMask[position] - visited - saturated
            for other in new { reachedFrom[other] = position }
            visited |= new
            todo |= new
            if !(new - taken).isEmpty {
                shift(row, mask, to: (new - taken).lowest)
                return true
            }
        }
        saturated |= visited
        return false
    }

    private mutating func shift(_ row: Int, _ mask: StepSet, to free: Int) {
        var position = free
        while reachedFrom[position] >= 0 {
            let from = reachedFrom[position]
            put(owner[from], ownerMask[from], at: position)
            position = from
        }
        put(row, mask, at: position)
    }

    private mutating func put(_ row: Int, _ mask: StepSet, at position: Int) {
        owner[position] = row
        ownerMask[position] = mask
        taken.insert(position)
    }
}

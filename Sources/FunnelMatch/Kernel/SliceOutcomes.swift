/// The chosen attempts of one slice's users: one row for each user, or for each user and group, ascending; with serial rules,
/// one for each attempt. Columns of equal length, reused from slice to slice.
package struct SliceOutcomes: Sendable {
    /// The user's place in the slice.
    package internal(set) var user: [UInt32] = []
    package internal(set) var depth: [UInt8] = []
    /// Depth of the deepest open attempt of a user who has not converted; 0 is none.
    package internal(set) var openDepth: [UInt8] = []
    /// Index of the group in which the attempts began; 0 if the rules set no boundaries.
    package internal(set) var group: [UInt32] = []
    /// `chosen[k][j]`: index in step k's list of the event that did step k in row j, if k < depth[j]; other elements mean
    /// nothing.
    package internal(set) var chosen: [[UInt32]]

    package var count: Int { user.count }

    init(steps: Int) { chosen = Array(repeating: [], count: steps) }

    mutating func resize(to rows: Int) {
        Self.resize(&user, rows)
        Self.resize(&depth, rows)
        Self.resize(&openDepth, rows)
        Self.resize(&group, rows)
        for k in chosen.indices { Self.resize(&chosen[k], rows) }
    }

    /// Removes the rows of depth 0.
    mutating func removeEmpty() {
        var kept = 0
        for row in 0..<count where depth[row] > 0 {
            if kept < row {
                user[kept] = user[row]
                depth[kept] = depth[row]
                openDepth[kept] = openDepth[row]
                group[kept] = group[row]
                for k in chosen.indices { chosen[k][kept] = chosen[k][row] }
            }
            kept += 1
        }
        resize(to: kept)
    }

    private static func resize<T: FixedWidthInteger>(_ column: inout [T], _ rows: Int) {
        if column.count > rows {
            column.removeLast(column.count - rows)
        } else {
            column.append(contentsOf: repeatElement(0, count: rows - column.count))
        }
    }
}

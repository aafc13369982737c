import EventStorage
import FunnelMatch
import FunnelModel

/// One thread's reader of a property in the rows that a kernel chose.
struct ChosenValues {
    private let kernel: KernelPlan
    private let reader: KernelReader
    private var values: PropertyCodes

    init(_ kernel: KernelPlan, _ reader: KernelReader, _ values: PropertyCodes) {
        self.kernel = kernel
        self.reader = reader
        self.values = values
    }

    /// The tally's code of each user's value, by row of the outcomes. Goes step by step, and reads rows only of users whose
    /// value is not known yet.
    /// - Parameter steps: 0-based, in the order in which they are tried.
    mutating func codes(_ outcomes: borrowing SliceOutcomes, _ steps: [Int], _ tally: inout GroupTally) throws -> [Int32] {
        var codes = [Int32](repeating: PropertyCodes.none, count: outcomes.count)
        for (turn, step) in steps.enumerated() {
            if turn == 0, step == 0 {
                // Everyone did step 1.
                codes = try self.codes(outcomes.chosen[0], list: kernel.listOfStep[0], &tally)
                continue
            }
            let users = Self.users(without: codes, outcomes.depth, beyond: step)
            if users.isEmpty { continue }
            let found = try self.codes(users.map { outcomes.chosen[step][$0] }, list: kernel.listOfStep[step], &tally)
            for (user, code) in zip(users, found) { codes[user] = code }
        }
        return codes
    }

    private static func users(without codes: [Int32], _ depth: [UInt8], beyond step: Int) -> [Int] {
        codes.indices.filter { codes[$0] == PropertyCodes.none && Int(depth[$0]) > step }
    }

    private mutating func codes(_ indexes: [UInt32], list: Int, _ tally: inout GroupTally) throws -> [Int32] {
        let rows = try reader.rows(list)
        var refs: [RowRef] = []
        refs.reserveCapacity(indexes.count)
        switch rows.from {
        case .neighbours(let first): for i in indexes { refs.append(RowRef(bits: first.bits &+ UInt64(i))) }
        case .each(let places): for i in indexes { refs.append(RowRef(bits: places[Int(i)])) }
        }
        // With held properties the rows are in canonical order already, so the chosen one is exact.
        if !kernel.query.plan.held.isEmpty { return try values.codes(of: refs) { try tally.code(of: $0) } }
        for user in Self.tied(indexes, rows.keys) { refs[user] = try first(Int(indexes[user]), list, rows) }
        return try values.codes(of: refs) { try tally.code(of: $0) }
    }

    /// The users, as positions in `indexes`, whose key equals the next key of the list. A kernel takes the first of the events
    /// that its clock cannot distinguish.
    private static func tied(_ indexes: [UInt32], _ keys: KeyList) -> [Int] {
        unsafe keys.withKeys { key in
            var tied: [Int] = []
            for (user, index) in indexes.enumerated() {
                let i = Int(index)
                // A sentinel follows the last key.
                if i < keys.count, unsafe key[i] == key[i + 1] { tied.append(user) }
            }
            return tied
        }
    }

    /// The first row in canonical order (`FUNNEL.md` section 1) of those with the key at index `i`, the first of its equals. To
    /// order rows, everything in them is read; rows of equal values need no order.
    private mutating func first(_ i: Int, _ list: Int, _ rows: ListRows) throws -> RowRef {
        var end = i + 1
        while end < rows.keys.count, rows.keys[end] == rows.keys[i] { end += 1 }
        let refs = (i..<end).map { rows[$0] }
        return try values.areEqual(refs) ? refs[0] : reader.first(of: refs, list: list)
    }
}

import FunnelModel

/// The keys of one user from the lists of a slice: grouped by equal held values and then by step; and by exclusion.
struct NarrowedRows: Sendable {
    private let steps: Int
    private let isHeld: Bool

    /// Rows in the order of addition.
    private var added: [(step: Int, key: UInt64, index: UInt32)] = []
    /// With held properties: `number of the values << 32 | index in added`.
    private var byValue: [UInt64] = []
    /// Rows by group, then step, then key: the key.
    private(set) var key: [UInt64] = []
    /// The row's index in the step's list.
    private(set) var index: [UInt32] = []
    private(set) var groups = 0
    private var begin: [Int] = []
    /// Keys by exclusion.
    private(set) var excluded: [[UInt64]]
    /// Exclusions that have keys.
    private(set) var present = ExclusionSet()
    private var excludedCount = 0

    init(steps: Int, exclusions: Int, isHeld: Bool) {
        self.steps = steps
        self.isHeld = isHeld
        excluded = Array(repeating: [], count: exclusions)
    }

    subscript(group: Int, step: Int) -> Range<Int> { begin[group * steps + step]..<begin[group * steps + step + 1] }

    mutating func removeAll() {
        added.removeAll(keepingCapacity: true)
        byValue.removeAll(keepingCapacity: true)
        excludedCount = 0
        present = ExclusionSet()
    }

    /// Adds a step's keys; call in order of steps.
    /// - Parameter numbers: the number of the held values of each key; negative is none, which leaves the key out.
    mutating func add(_ step: Int, _ list: KeyList, _ range: Range<Int>, _ numbers: ArraySlice<Int32>) {
        let keys = list.span
        for i in range {
            if isHeld {
                let number = numbers[numbers.startIndex + i - range.lowerBound]
                guard number >= 0 else { continue }
                byValue.append(UInt64(number) << 32 | UInt64(added.count))
            }
            added.append((step, keys[i], UInt32(truncatingIfNeeded: i)))
        }
    }

    /// Adds the keys of an exclusion; call in order of exclusions.
    mutating func add(excluded list: KeyList, _ range: Range<Int>) {
        let e = excludedCount
        excludedCount += 1
        excluded[e].removeAll(keepingCapacity: true)
        let keys = list.span
        for i in range { excluded[e].append(keys[i]) }
        if !range.isEmpty { present.insert(e) }
    }

    /// Sorts the added rows by group and step.
    mutating func arrange() {
        key.removeAll(keepingCapacity: true)
        index.removeAll(keepingCapacity: true)
        begin.removeAll(keepingCapacity: true)
        groups = 1
        if isHeld {
            byValue.sort()
            for (i, entry) in byValue.enumerated() {
                if i > 0, entry >> 32 != byValue[i - 1] >> 32 {
                    beginSteps(through: groups * steps - 1)
                    groups += 1
                }
                let row = added[Int(entry & 0xFFFF_FFFF)]
                beginSteps(through: (groups - 1) * steps + row.step)
                key.append(row.key)
                index.append(row.index)
            }
        } else {
            for row in added {
                beginSteps(through: row.step)
                key.append(row.key)
                index.append(row.index)
            }
        }
        beginSteps(through: groups * steps)
    }

    private mutating func beginSteps(through last: Int) {
        while begin.count <= last { begin.append(key.count) }
    }
}

import EventStorage
import FunnelMatch
import FunnelModel

/// One thread's reader of chosen attempts, with or without exclusions and held properties.
final class NarrowedReader {
    private let kernel: KernelPlan
    let reader: KernelReader
    private var narrowed: NarrowedScan
    private var values: HeldColumns

    /// Nil if the kernel does not take the rules.
    /// - Parameters:
    ///   - rules: replace the plan's.
    ///   - rowsOfLists: lists whose rows are needed in every slice.
    init?(_ kernel: KernelPlan, _ rules: KernelRules? = nil, rowsOfLists: Set<Int> = []) {
        let plan = kernel.query.plan
        let isCancelled = kernel.query.view.isCancelled
        guard let narrowed = NarrowedScan(rules ?? kernel.rules, Narrowing(plan, now: kernel.now), isCancelled: isCancelled) else {
            return nil
        }
        self.kernel = kernel
        self.narrowed = narrowed
        let isHeld = !plan.held.isEmpty
        // Which of several rows of one time a chain can take depends on the properties they hold.
        reader = KernelReader(kernel, rowsOfLists: isHeld ? Set(kernel.listOfStep) : rowsOfLists, ordersRows: isHeld)
        values = HeldColumns(kernel, reader)
    }

    /// Reads and matches a slice.
    /// - Throws: `MatchError`, `StoreError`.
    func load(_ slice: Range<Int>) throws {
        try reader.load(slice)
        values.beginSlice()
        try narrowed.scan(reader.lists, listOfStep: kernel.listOfStep, listOfExclusion: kernel.listOfExclusion, &values) { place, reason in
            try kernel.query.heavy.meet(slice.lowerBound + place, reason)
        }
    }

    /// All users of the slice who have an attempt.
    var outcomes: SliceOutcomes { narrowed.outcomes }
    var lists: [KeyList] { reader.lists }

    func add(to tally: inout FunnelTally) {
        let outcomes = narrowed.outcomes
        tally.add(outcomes, reader.lists, listOfStep: kernel.listOfStep)
        tally.add(entered: outcomes.count, open: 0)
    }
}

/// The held properties of the rows of a reader's slice.
private struct HeldColumns: HeldValues {
    private let kernel: KernelPlan
    private let reader: KernelReader
    private var columns: [PropertyCodes]
    private var values = ValueNumbers()
    /// With several held properties: one number for each pair of numbers.
    private var pairs: [UInt64: Int32] = [:]

    init(_ kernel: KernelPlan, _ reader: KernelReader) {
        self.kernel = kernel
        self.reader = reader
        columns = Self.columns(kernel)
    }

    private static func columns(_ kernel: KernelPlan) -> [PropertyCodes] {
        kernel.query.plan.heldProperties.map { PropertyCodes(kernel.query.view, $0) }
    }

    /// Forgets values if there are too many; numbers are only compared within a slice.
    mutating func beginSlice() {
        if values.values.count > ValueNumbers.kept {
            values = ValueNumbers()
            columns = Self.columns(kernel)
        }
        if pairs.count > ValueNumbers.kept { pairs.removeAll() }
    }

    mutating func numbers(step: Int, of indexes: [UInt32]) throws -> [Int32] {
        let rows = try reader.rows(kernel.listOfStep[step])
        var refs: [RowRef] = []
        refs.reserveCapacity(indexes.count)
        for i in indexes { refs.append(rows[Int(i)]) }
        var numbers: [Int32] = []
        for (turn, properties) in kernel.query.plan.held.enumerated() {
            let found = try columns[properties[step]].codes(of: refs) { values.number(of: $0) }
            numbers = turn == 0 ? found : zip(numbers, found).map { pair($0, $1) }
        }
        return numbers
    }

    private mutating func pair(_ a: Int32, _ b: Int32) -> Int32 {
        if a < 0 || b < 0 { return PropertyCodes.none }
        let both = UInt64(UInt32(bitPattern: a)) << 32 | UInt64(UInt32(bitPattern: b))
        let new = Int32(truncatingIfNeeded: pairs.count)
        let number = pairs[both] ?? new
        if number == new { pairs[both] = new }
        return number
    }
}

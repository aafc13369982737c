import EventStorage
import FunnelMatch
import FunnelModel

/// A running count of events by the value of a property, without duplicates and suppressed users. Threads call `run`
/// concurrently; their results are added up.
package struct ValueScan: Sendable {
    private let view: StoreView
    private let property: ByteString
    private let prefix: ByteString
    private let selection: RowSelection
    private let names: Int
    private let queue: SliceQueue

    private static let slicePlaces = 4_096

    /// Prepares a count over all users of a view.
    /// - Parameters:
    ///   - event: only events of this name; nil is all.
    ///   - prefix: only values whose text begins with these bytes.
    package init(_ view: StoreView, property: ByteString, event: ByteString?, prefix: ByteString) {
        self.view = view
        self.property = property
        self.prefix = prefix
        let wanted = event.map { EventName.isReserved($0) ? [] : [$0] } ?? view.eventNames().behaviour()
        selection = view.selection(wanted)
        names = wanted.count
        queue = SliceQueue([0..<view.places.users], size: Self.slicePlaces, HeavyUsers(areNoted: true))
    }

    /// Number of slices; more threads than that have no work.
    package var slices: Int { queue.count }

    /// Processes slices until none is left.
    /// - Parameter isCancelled: called once a slice and name.
    /// - Throws: `MatchError.cancelled`, `StoreError`.
    package func run(isCancelled: () -> Bool) throws -> ValueRows {
        var found = ValueRows()
        guard let times = selection.times else { return found }
        let span = UInt64(times.upperBound / selection.unit - times.lowerBound / selection.unit)
        let layout = KeyLayout(unit: selection.unit, base: times.lowerBound / selection.unit, timeBits: 64 - span.leadingZeroBitCount)
        let keyReader = selection.reader(layout)
        var values = PropertyCodes(view, property)
        // Counts by code, and codes by value; codes are kept from slice to slice.
        var counter = Counter(prefix: prefix)
        func count(_ name: Int, _ places: Range<Int>) throws {
            if isCancelled() { throw MatchError.cancelled }
            keyReader.begin(rowsMax: Limits.userRows)
            do {
                let rows = try keyReader.loadRows(name, places: places, isOrdered: false)
                return counter.add(try values.codes(of: (0..<rows.count).map { rows.ref($0) }) { counter.code(of: $0) })
            } catch let error as StoreError where error.code == .tooManyRows {
                // A user with too many events is skipped, so values may be missing.
                guard places.count > 1 else { return counter.truncate() }
            }
            let middle = places.lowerBound + places.count / 2
            try count(name, places.lowerBound..<middle)
            try count(name, middle..<places.upperBound)
        }
        try queue.each(isCancelled) { slice in
            for start in stride(from: slice.lowerBound, to: slice.upperBound, by: layout.placesMax) {
                let places = start..<min(slice.upperBound, start + layout.placesMax)
                for name in 0..<names { try count(name, places) }
            }
        }
        counter.finish(into: &found)
        return found
    }

    /// Numbers values in the order of their appearance. Values without the prefix, and those over the limits, share number 0.
    private struct Counter {
        let prefix: ByteString
        private var codes: [PropertyValue: Int32] = [:]
        private var counts: [UInt64] = [0]
        private var bytes = 0
        private var isTruncated = false

        private static let leftOut: Int32 = 0

        init(prefix: ByteString) { self.prefix = prefix }

        mutating func code(of value: PropertyValue) -> Int32 {
            let value = value.canonical
            if let known = codes[value] { return known }
            guard prefix.isEmpty || value.textBytes.starts(with: prefix.bytes) else { return Self.leftOut }
            guard codes.count < Limits.foundValues, bytes + value.wireBytes <= Limits.foundBytes else {
                isTruncated = true
                return Self.leftOut
            }
            bytes += value.wireBytes
            let new = Int32(counts.count)
            codes[value] = new
            counts.append(0)
            return new
        }

        mutating func truncate() { isTruncated = true }

        mutating func add(_ codes: [Int32]) {
            for code in codes where code >= 0 { counts[Int(code)] += 1 }
        }

        func finish(into found: inout ValueRows) {
            found.isTruncated = isTruncated
            for (value, code) in codes { found.add(value, rows: counts[Int(code)]) }
        }
    }
}

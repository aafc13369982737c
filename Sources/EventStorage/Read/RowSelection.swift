import FunnelModel

/// The rows of some event names in a view, prepared once for a query and read slice by slice by any number of threads.
package struct RowSelection: Sendable {
    struct Name: Sendable {
        var name: ByteString
        var sources: [RunSource]
        var serverTimed: Bool
    }

    let view: StoreView
    let names: [Name]
    /// Min and max time of the rows, in microseconds; nil if there are no rows.
    package let times: ClosedRange<Int64>?
    /// Microseconds of the coarsest unit in which all times of the rows are whole.
    package let unit: Int64
    private let memoryTests = MemoryTests()

    /// - Parameter range: if given, segment files are left out that have no rows of a name in this range of times. Of a name with
    ///   server-timed rows all files are read, since a row of one may remove a row of another.
    init(_ view: StoreView, _ wanted: [ByteString], within range: Range<Int64>? = nil) {
        self.view = view
        var least = Int64.max
        var greatest = Int64.min
        var finest = TimeUnit.second
        names = wanted.map { name in
            var found = Name(name: name, sources: [], serverTimed: false)
            let runs = view.segments.map { $0.run(name) }
            let isServerTimed = range != nil && (runs.contains { $0?.serverTimed == true } || Self.isServerTimed(name, view))
            for (i, segment) in view.segments.enumerated() {
                guard let run = runs[i] else { continue }
                if let range, !isServerTimed, run.maxTime < range.lowerBound || run.minTime >= range.upperBound { continue }
                found.sources.append(.segment(i, segment, run))
                found.serverTimed = found.serverTimed || run.serverTimed
                least = min(least, run.minTime)
                greatest = max(greatest, run.maxTime)
                finest = max(finest, run.unit)
            }
            guard let code = view.nameCodes[name] else { return found }
            for (i, run) in view.memtable.runs.enumerated() {
                let rows = run.rows(ofName: code)
                if rows.isEmpty { continue }
                found.sources.append(.memory(view.segments.count + i, run, rows))
                found.serverTimed = found.serverTimed || run.serverTimed.contains(code)
                for time in run.time[rows] {
                    least = min(least, time)
                    greatest = max(greatest, time)
                    if finest < .microsecond, time % finest.microseconds != 0 { finest = time % 1_000 == 0 ? .millisecond : .microsecond }
                }
            }
            return found
        }
        times = least <= greatest ? least...greatest : nil
        unit = finest.microseconds
    }

    /// Whether the memtable has server-timed rows of a name.
    private static func isServerTimed(_ name: ByteString, _ view: StoreView) -> Bool {
        guard let code = view.nameCodes[name] else { return false }
        return view.memtable.runs.contains { $0.serverTimed.contains(code) }
    }

    package var places: PlaceMap { view.places }

    /// The layout with the fewest time bits that is exact for all times of the rows; nil if there are no rows.
    package var exactLayout: KeyLayout? {
        guard let times else { return nil }
        let span = UInt64(times.upperBound / unit - times.lowerBound / unit)
        return KeyLayout(unit: unit, base: times.lowerBound / unit, timeBits: 64 - span.leadingZeroBitCount)
    }

    /// Rows of a name, duplicates included.
    package func rows(_ name: Int) -> Int { names[name].sources.reduce(0) { $0 + $1.rows } }

    /// Whether a name has server-timed rows: then ids must be read to decide which rows survive.
    package func isServerTimed(_ name: Int) -> Bool { names[name].serverTimed }

    /// Whether all rows of some names are in one source.
    package func hasOneSource(_ wanted: [Int]) -> Bool { wanted.reduce(0) { $0 + names[$1].sources.count } == 1 }

    package func reader(_ layout: KeyLayout) -> KeyReader { KeyReader(self, layout) }

    /// Which rows of the memtable meet conditions; nil if the memtable has no rows or none of the names.
    func memoryFlags(_ conditions: [Predicate]) -> MemoryFlags? {
        let codes = Set(names.compactMap { view.nameCodes[$0.name] })
        if codes.isEmpty || view.memtable.rows == 0 { return nil }
        return memoryTests.flags(conditions) { MemoryFlags(view.memtable, names: codes, conditions) }
    }
}

extension TimeUnit: Comparable {
    static func < (a: TimeUnit, b: TimeUnit) -> Bool { a.rawValue < b.rawValue }
}

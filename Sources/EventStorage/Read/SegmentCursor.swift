import Codec
import FunnelModel

/// Reads one run of a segment file slice by slice. A page's checksum is verified when the page is opened.
final class SegmentCursor {
    private let segment: Segment
    private let run: RunEntry
    private let places: PlaceMap
    private let layout: KeyLayout
    /// Mapped from the first read on.
    private var file: FileBytes?
    private var page = -1
    private var view: KeyPageView?
    /// Unpacked columns of one pack.
    private var ordinals = [UInt32](repeating: 0, count: KeyPage.packRows)
    private var low = [UInt32](repeating: 0, count: KeyPage.packRows)
    private var high = [UInt32](repeating: 0, count: KeyPage.packRows)

    init(_ segment: Segment, _ run: RunEntry, _ places: PlaceMap, _ layout: KeyLayout) {
        self.segment = segment
        self.run = run
        self.places = places
        self.layout = layout
    }

    /// A range that has all rows of a slice, and at most a pack of other rows at either end.
    func rows(ofPlaces slice: Range<Int>) throws(StoreError) -> Range<Int> {
        let from = slice.lowerBound == 0 ? run.firstRow : try packRow(notBelow: places.ordinal(slice.lowerBound))
        let to =
            slice.upperBound >= places.users
            ? run.range.upperBound : try packRow(notBelow: places.ordinal(slice.upperBound)) + KeyPage.packRows
        return from..<max(from, min(to, run.range.upperBound))
    }

    /// The first row of a pack (or of the run), such that the first row with an ordinal of at least `bound` is at most a pack after it.
    private func packRow(notBelow bound: UInt64) throws(StoreError) -> Int {
        let range = run.range
        var first = range.lowerBound / KeyPage.rows
        var last = (range.upperBound - 1) / KeyPage.rows
        // The last page that begins below the bound; a run's first page begins with another run's rows.
        while first < last {
            let middle = (first + last + 1) / 2
            if UInt64(segment.footer.pages[middle].firstOrdinal) < bound { first = middle } else { last = middle - 1 }
        }
        let view = try open(page: first)
        let pageStart = first * KeyPage.rows
        var pack = max(0, range.lowerBound - pageStart) / KeyPage.packRows
        var end = (min(range.upperBound, pageStart + view.rows) - 1 - pageStart) / KeyPage.packRows
        while pack < end {
            let middle = (pack + end + 1) / 2
            guard let header = view.pack(middle) else { throw segment.damaged(page: first) }
            if UInt64(header.firstOrdinal) < bound { pack = middle } else { end = middle - 1 }
        }
        return max(range.lowerBound, pageStart + pack * KeyPage.packRows)
    }

    private func open(page number: Int) throws(StoreError) -> KeyPageView {
        if page == number, let view { return view }
        let file = try bytes()
        let opened = try segment.keyPage(number, file)
        page = number
        view = opened
        return opened
    }

    private func bytes() throws(StoreError) -> FileBytes {
        if let file { return file }
        let bytes = try segment.bytes()
        file = bytes
        return bytes
    }

    /// Writes the keys of the slice's rows among `rows`, and returns these rows. `target` must have room for all of `rows`.
    func keys(
        of rows: Range<Int>, places slice: Range<Int>, to target: UnsafeMutablePointer<UInt64>
    ) throws(StoreError) -> Range<Int> {
        var written = 0
        var firstRow = rows.lowerBound
        var row = rows.lowerBound
        let from = places.ordinal(slice.lowerBound)
        let to = slice.upperBound >= places.users ? UInt64(1) << 32 : places.ordinal(slice.upperBound)
        while row < rows.upperBound {
            let number = row / KeyPage.rows
            let view = try open(page: number)
            let inPage = row - number * KeyPage.rows
            guard let pack = view.pack(inPage / KeyPage.packRows) else { throw segment.damaged(page: number) }
            var start = inPage % KeyPage.packRows
            var end = min(KeyPage.packRows, start + rows.upperBound - row, view.rows - (inPage - start))
            let packRow = row - inPage % KeyPage.packRows
            let next = row + (end - start)
            unsafe ordinals.withUnsafeMutableBufferPointer { ordinals in
                unsafe low.withUnsafeMutableBufferPointer { low in
                    unsafe high.withUnsafeMutableBufferPointer { high in
                        guard let o = ordinals.baseAddress, let l = low.baseAddress, let h = high.baseAddress else { return }
                        unsafe view.unpack(pack, ordinals: o, low: l, high: h)
                        while start < end, unsafe UInt64(o[start]) < from { start += 1 }
                        while start < end, unsafe UInt64(o[end - 1]) >= to { end -= 1 }
                        if start == end { return }
                        unsafe compose(pack, view.unit, o + start, l + start, h + start, end - start, slice.lowerBound, target + written)
                    }
                }
            }
            row = next
            if start == end { continue }
            if written == 0 { firstRow = packRow + start }
            // Ordinals ascend in a run, so the rows of a slice follow each other.
            guard packRow + start == firstRow + written else { throw segment.damaged(page: number) }
            written += end - start
        }
        if let file { try segment.check(file) }
        return firstRow..<(firstRow + written)
    }

    /// Writes the keys of `count` rows of a pack.
    private func compose(
        _ pack: KeyPageView.Pack, _ unit: TimeUnit, _ ordinals: UnsafePointer<UInt32>, _ low: UnsafePointer<UInt32>,
        _ high: UnsafePointer<UInt32>, _ count: Int, _ firstPlace: Int, _ target: UnsafeMutablePointer<UInt64>
    ) {
        // A page that other names share may be in a finer unit than this name's times need.
        let divisor = UInt64(truncatingIfNeeded: max(1, layout.unit / unit.microseconds))
        let scale = divisor > 1 ? 1 : UInt64(truncatingIfNeeded: unit.microseconds / layout.unit)
        let shift = UInt64(layout.timeBits)
        let timeBase = pack.leastTime &* scale &- UInt64(bitPattern: layout.base)
        let bucket = unsafe Ordinal.bucket(ordinals[0])
        let oneBucket = unsafe Ordinal.bucket(ordinals[count - 1]) == bucket
        let placeBase = places.shift(ofBucket: bucket) &- UInt64(firstPlace)
        var i = 0
        if oneBucket, pack.highWidth == 0, scale == 1, divisor == 1 {
            while i < count {
                let place = unsafe UInt64(ordinals[i]) &+ placeBase
                unsafe target[i] = unsafe (place &<< shift &+ UInt64(low[i]) &+ timeBase) & KeyLayout.mask
                i &+= 1
            }
            return
        }
        while i < count {
            let ordinal = unsafe ordinals[i]
            let base = oneBucket ? placeBase : places.shift(ofBucket: Ordinal.bucket(ordinal)) &- UInt64(firstPlace)
            var time = unsafe UInt64(low[i])
            if pack.highWidth > 0 { time |= unsafe UInt64(high[i]) &<< 32 }
            let tick = divisor == 1 ? time &* scale &+ timeBase : (pack.leastTime &+ time) / divisor &- UInt64(bitPattern: layout.base)
            unsafe target[i] = ((UInt64(ordinal) &+ base) &<< shift &+ tick) & KeyLayout.mask
            i &+= 1
        }
    }
}

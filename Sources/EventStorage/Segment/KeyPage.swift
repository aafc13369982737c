import Codec
import FunnelModel

/// A unit of the times of a key page or run.
enum TimeUnit: UInt8, Sendable, CaseIterable {
    case second, millisecond, microsecond

    var microseconds: Int64 {
        switch self {
        case .second: 1_000_000
        case .millisecond: 1_000
        case .microsecond: 1
        }
    }

    /// The coarsest unit in which all times, given in microseconds, are whole.
    static func exact(for times: ArraySlice<Int64>) -> TimeUnit {
        var unit = TimeUnit.second
        for time in times {
            if unit == .second, time % 1_000_000 != 0 { unit = .millisecond }
            if unit == .millisecond, time % 1_000 != 0 { return .microsecond }
        }
        return unit
    }
}

/// The ordinals and times of up to 4,096 neighbouring rows, in packs of 256. Ordinals are differences at a width that fits most
/// of them, with exceptions for the rest; times are offsets from the pack's min. Layout: `Protocol/SEGMENT.md`, "Key page".
enum KeyPage {
    static let rows = 4_096
    static let packRows = PackedIntegers.blockValues
    static let headerBytes = 8
    static let packHeaderBytes = 16

    /// Encodes one page; times are in microseconds.
    static func encode(ordinals: ArraySlice<UInt32>, times: ArraySlice<Int64>) -> [UInt8] {
        let count = ordinals.count
        let packs = (count + packRows - 1) / packRows
        let unit = TimeUnit.exact(for: times)
        var out = [UInt8](repeating: 0, count: headerBytes + (2 * packs + 7) / 8 * 8)
        put(UInt16(count), &out, 0)
        out[2] = unit.rawValue
        for pack in 0..<packs {
            put(UInt16(out.count / 8), &out, headerBytes + 2 * pack)
            let rows = (pack * packRows)..<min(count, (pack + 1) * packRows)
            let first = ordinals.startIndex
            encodePack(
                ordinals[(first + rows.lowerBound)..<(first + rows.upperBound)],
                times[(times.startIndex + rows.lowerBound)..<(times.startIndex + rows.upperBound)], unit, &out)
        }
        out.append(contentsOf: repeatElement(0, count: PackedIntegers.slack))
        return out
    }

    private static func encodePack(_ ordinals: ArraySlice<UInt32>, _ times: ArraySlice<Int64>, _ unit: TimeUnit, _ out: inout [UInt8]) {
        var differences = [UInt32](repeating: 0, count: packRows)
        var previous = ordinals[ordinals.startIndex]
        let base = previous
        for (i, ordinal) in ordinals.enumerated() {
            differences[i] = ordinal &- previous
            previous = ordinal
        }
        let width = cheapestWidth(differences)
        var exceptions: [(place: Int, value: UInt32)] = []
        for i in differences.indices where PackedIntegers.width(of: differences[i]) > width {
            exceptions.append((i, differences[i]))
            differences[i] = 0
        }
        let ticks = times.map { $0 / unit.microseconds }
        let least = ticks.min() ?? 0
        var low = [UInt32](repeating: 0, count: packRows)
        var high = low
        var allLow: UInt32 = 0
        var allHigh: UInt32 = 0
        for (i, tick) in ticks.enumerated() {
            let above = UInt64(bitPattern: tick &- least)
            low[i] = UInt32(truncatingIfNeeded: above)
            high[i] = UInt32(truncatingIfNeeded: above >> 32)
            allLow |= low[i]
            allHigh |= high[i]
        }
        let lowWidth = allHigh == 0 ? PackedIntegers.width(of: allLow) : 32
        let highWidth = PackedIntegers.width(of: allHigh)
        let start = out.count
        out.append(contentsOf: repeatElement(0, count: packHeaderBytes))
        put(base, &out, start)
        put(UInt64(bitPattern: least), &out, start + 4)
        out[start + 12] = UInt8(width)
        out[start + 13] = UInt8(lowWidth)
        out[start + 14] = UInt8(highWidth)
        out[start + 15] = UInt8(exceptions.count)
        PackedIntegers.pack(differences, from: 0, width: width, into: &out)
        PackedIntegers.pack(low, from: 0, width: lowWidth, into: &out)
        PackedIntegers.pack(high, from: 0, width: highWidth, into: &out)
        for exception in exceptions {
            let at = out.count
            out.append(contentsOf: [0, 0, 0, 0])
            put(exception.value, &out, at)
        }
        for exception in exceptions { out.append(UInt8(exception.place)) }
        while out.count % 8 != 0 { out.append(0) }
    }

    /// The cheapest width: an exception costs five bytes, each bit of width 32 bytes.
    private static func cheapestWidth(_ differences: [UInt32]) -> Int {
        var counts = [Int](repeating: 0, count: 33)
        for value in differences { counts[PackedIntegers.width(of: value)] += 1 }
        var best = 32
        var bestCost = Int.max
        var wider = 0
        for width in stride(from: 32, through: 0, by: -1) {
            let cost = PackedIntegers.bytes(width: width) + 5 * wider
            if cost <= bestCost, wider < 256 {
                best = width
                bestCost = cost
            }
            wider += counts[width]
        }
        return best
    }

    private static func put<T: FixedWidthInteger>(_ value: T, _ out: inout [UInt8], _ at: Int) {
        for i in 0..<(T.bitWidth / 8) { out[at + i] = UInt8(truncatingIfNeeded: value >> T(8 * i)) }
    }
}

/// The footer's entry of a key page.
struct PageEntry: Sendable {
    var offset: Int
    var bytes: Int
    var checksum: UInt32
    /// The ordinal of the page's first row.
    var firstOrdinal: UInt32
    /// Microseconds, inclusive.
    var minTime: Int64
    var maxTime: Int64
}

/// A view of a key page whose checksum was verified; valid while the segment file's bytes are kept.
@safe struct KeyPageView {
    private let base: UnsafeRawPointer
    private let bytes: Int
    let rows: Int
    let unit: TimeUnit

    /// nil if the header is not valid.
    init?(_ pointer: UnsafeRawPointer, bytes: Int) {
        guard bytes >= KeyPage.headerBytes else { return nil }
        unsafe base = unsafe pointer
        self.bytes = bytes
        rows = Int(unsafe UInt16(littleEndian: pointer.loadUnaligned(as: UInt16.self)))
        guard rows > 0, rows <= KeyPage.rows, let unit = TimeUnit(rawValue: unsafe pointer.load(fromByteOffset: 2, as: UInt8.self)),
            KeyPage.headerBytes + 2 * ((rows + 255) / 256) <= bytes
        else { return nil }
        self.unit = unit
    }

    struct Pack {
        var offset: Int
        var firstOrdinal: UInt32
        /// The pack's min time, in the page's unit.
        var leastTime: UInt64
        var ordinalWidth: Int
        var lowWidth: Int
        var highWidth: Int
        var exceptions: Int
    }

    /// The header of a pack; nil if the pack is not all inside the page.
    @inline(__always) func pack(_ number: Int) -> Pack? {
        let at = unsafe Int(UInt16(littleEndian: base.loadUnaligned(fromByteOffset: KeyPage.headerBytes + 2 * number, as: UInt16.self))) * 8
        guard at + KeyPage.packHeaderBytes <= bytes else { return nil }
        let pack = unsafe Pack(
            offset: at + KeyPage.packHeaderBytes,
            firstOrdinal: UInt32(littleEndian: base.loadUnaligned(fromByteOffset: at, as: UInt32.self)),
            leastTime: UInt64(littleEndian: base.loadUnaligned(fromByteOffset: at + 4, as: UInt64.self)),
            ordinalWidth: Int(base.load(fromByteOffset: at + 12, as: UInt8.self)),
            lowWidth: Int(base.load(fromByteOffset: at + 13, as: UInt8.self)),
            highWidth: Int(base.load(fromByteOffset: at + 14, as: UInt8.self)),
            exceptions: Int(base.load(fromByteOffset: at + 15, as: UInt8.self)))
        let widths = pack.ordinalWidth + pack.lowWidth + pack.highWidth
        guard pack.ordinalWidth <= 32, pack.lowWidth <= 32, pack.highWidth <= 32 else { return nil }
        let end = pack.offset + 32 * widths
        return end + max(PackedIntegers.slack, 5 * pack.exceptions) <= bytes ? pack : nil
    }

    /// Unpacks 256 ordinals, and the low and high 32 bits of 256 times above the pack's min. Each pointer needs room for 256
    /// values; `high` is written only if `highWidth` is not 0.
    @inline(__always) func unpack(
        _ pack: Pack, ordinals: UnsafeMutablePointer<UInt32>, low: UnsafeMutablePointer<UInt32>, high: UnsafeMutablePointer<UInt32>
    ) {
        var at = pack.offset
        unsafe PackedIntegers.unpack(base + at, width: pack.ordinalWidth, to: ordinals)
        at += 32 * pack.ordinalWidth
        unsafe PackedIntegers.unpack(base + at, width: pack.lowWidth, to: low)
        at += 32 * pack.lowWidth
        if pack.highWidth > 0 {
            unsafe PackedIntegers.unpack(base + at, width: pack.highWidth, to: high)
            at += 32 * pack.highWidth
        }
        if pack.exceptions > 0 {
            let places = at + 4 * pack.exceptions
            for i in 0..<pack.exceptions {
                let place = unsafe Int(base.load(fromByteOffset: places + i, as: UInt8.self))
                unsafe ordinals[place] = unsafe UInt32(littleEndian: base.loadUnaligned(fromByteOffset: at + 4 * i, as: UInt32.self))
            }
        }
        unsafe Self.sum(ordinals, from: pack.firstOrdinal)
    }

    /// Turns differences into values, in place; the first difference is 0.
    @inline(__always) private static func sum(_ values: UnsafeMutablePointer<UInt32>, from base: UInt32) {
        typealias V = SIMD8<UInt32>
        let raw = UnsafeMutableRawPointer(values)
        var carry = V(repeating: base)
        var i = 0
        while i < 32 {
            var x = unsafe raw.loadUnaligned(fromByteOffset: i &* 32, as: V.self)
            x = x &+ V(0, x[0], x[1], x[2], 0, x[4], x[5], x[6])
            x = x &+ V(0, 0, x[0], x[1], 0, 0, x[4], x[5])
            x = x &+ V(0, 0, 0, 0, x[3], x[3], x[3], x[3])
            x = x &+ carry
            unsafe raw.storeBytes(of: x, toByteOffset: i &* 32, as: V.self)
            carry = V(repeating: x[7])
            i &+= 1
        }
    }
}

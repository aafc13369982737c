/// Gives each distinct string a code: 0, 1, 2 … in order of first appearance.
///
/// A hash table with open addressing over a `StringTable`. Looking up a known string makes no copy of it.
package struct StringInterner: Sendable {
    package private(set) var table = StringTable()
    /// `hash << 32 | code + 1`; 0 is a free slot. The size is a power of two, or 0 until the first string; at most half is
    /// full.
    private var slots: [UInt64] = []
    private let hasher = SeededHash.process

    package init() {}

    package init(_ table: StringTable) {
        for i in 0..<table.count { _ = code(table[i]) }
    }

    package var count: Int { table.count }

    /// The code of a string, which is added if it is new.
    package mutating func code(_ string: ByteString) -> UInt32 { code(string.bytes.span) }

    /// The code of a string; nil if it has none.
    package func find(_ string: ByteString) -> UInt32? { find(string.bytes.span) }

    package mutating func code(_ string: Span<UInt8>) -> UInt32 {
        if slots.count <= table.count &* 2 { grow() }
        let hash = hasher.hash(string)
        let (known, free) = probe(string, hash)
        if known != Self.none { return known }
        let code = UInt32(truncatingIfNeeded: table.count)
        slots[free] = UInt64(hash) << 32 | UInt64(code &+ 1)
        table.append(string)
        return code
    }

    package func find(_ string: Span<UInt8>) -> UInt32? {
        if slots.isEmpty { return nil }
        let known = probe(string, hasher.hash(string)).code
        return known == Self.none ? nil : known
    }

    private static let none = UInt32.max

    /// The code of a string; or `none`, and the free slot where it belongs.
    @inline(__always)
    private func probe(_ string: Span<UInt8>, _ hash: UInt32) -> (code: UInt32, free: Int) {
        let slots = self.slots.span
        let mask = slots.count &- 1
        var i = Int(hash) & mask
        while true {
            let slot = slots[i]
            if slot == 0 { return (Self.none, i) }
            if slot >> 32 == UInt64(hash) {
                let code = UInt32(truncatingIfNeeded: slot) &- 1
                if table.equals(Int(code), string) { return (code, i) }
            }
            i = (i &+ 1) & mask
        }
    }

    /// Enlarges the table. Slots contain the hash, so no string is read.
    private mutating func grow() {
        let size = max(16, slots.count &* (slots.count < 4096 ? 4 : 2))
        var larger = [UInt64](repeating: 0, count: size)
        let mask = size &- 1
        for slot in slots where slot != 0 {
            var i = Int(slot >> 32) & mask
            while larger[i] != 0 { i = (i &+ 1) & mask }
            larger[i] = slot
        }
        slots = larger
    }
}

/// A hash of bytes for tables in memory, by folded 64-bit multiplications. Its keys are random, once for each process, so that
/// a client cannot choose strings that collide. Never store a hash.
struct SeededHash: Sendable {
    static let process = SeededHash(seed: UInt64.random(in: 0 ... .max), factor: UInt64.random(in: 0 ... .max) | 1)

    private let seed: UInt64
    private let factor: UInt64

    init(seed: UInt64, factor: UInt64) {
        self.seed = seed
        self.factor = factor
    }

    @inline(__always)
    func hash(_ bytes: Span<UInt8>) -> UInt32 {
        let count = bytes.count
        var h = seed ^ UInt64(truncatingIfNeeded: count)
        if count >= 8 {
            var at = 0
            while at &+ 8 < count {
                h = fold(h ^ bytes.word(at))
                at &+= 8
            }
            h = fold(h ^ bytes.word(count &- 8))
        } else {
            h = fold(h ^ bytes.shortWord)
        }
        return UInt32(truncatingIfNeeded: fold(h ^ seed))
    }

    @inline(__always)
    private func fold(_ x: UInt64) -> UInt64 {
        let (high, low) = x.multipliedFullWidth(by: factor)
        return high ^ low
    }
}

extension Span<UInt8> {
    /// The eight bytes from `offset` on, the first lowest. Traps past the end.
    @inline(__always)
    func word(_ offset: Int) -> UInt64 {
        precondition(offset >= 0 && offset &+ 8 <= count)
        return UInt64(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self))
    }

    @inline(__always)
    private func halfWord(_ offset: Int) -> UInt64 {
        precondition(offset >= 0 && offset &+ 4 <= count)
        return UInt64(UInt32(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt32.self)))
    }

    /// A word of all bytes, of at most seven; different texts of one length have different words.
    @inline(__always)
    var shortWord: UInt64 {
        if count >= 4 { return halfWord(0) | halfWord(count &- 4) << 32 }
        if count == 0 { return 0 }
        return UInt64(self[0]) | UInt64(self[count >> 1]) << 8 | UInt64(self[count &- 1]) << 16
    }

    @inline(__always)
    func equals(_ other: Span<UInt8>) -> Bool {
        guard count == other.count else { return false }
        if count < 8 { return shortWord == other.shortWord }
        var at = 0
        while at &+ 8 < count {
            if word(at) != other.word(at) { return false }
            at &+= 8
        }
        return word(count &- 8) == other.word(count &- 8)
    }

    /// Byte order: negative, 0 or positive.
    func compare(_ other: Span<UInt8>) -> Int {
        let shared = Swift.min(count, other.count)
        var i = 0
        while i < shared {
            let difference = Int(self[i]) &- Int(other[i])
            if difference != 0 { return difference }
            i &+= 1
        }
        return count &- other.count
    }
}

import FunnelModel

/// The users of one bucket in a user file: an index from hashes to places, then the ids in the order of their places. Layout:
/// `Protocol/SEGMENT.md`, "Users". Valid while the file's bytes are kept.
@safe struct UserBlock {
    static let headerBytes = 24
    /// Users in a group of the index, on average.
    static let groupUsers = 4
    /// Bits of the hash stored with a place: they exclude most other users without reading an id.
    static let tagBits = 6
    /// Bytes that must follow a block: eight are read from any of its bytes on.
    static let slack = 8

    /// Low part of the first ordinal.
    let first: UInt32
    /// Holes included.
    let users: Int
    /// Users that are not holes.
    private let entries: Int
    private let slope: Int
    private let bias: Int
    private let formBits: Int
    private let idBits: Int
    private let leastForm: UInt8
    private let groups: Int
    private let placeBits: Int
    private let base: UnsafeRawPointer
    private let entriesAt: Int
    private let idsAt: Int
    private let heapAt: Int
    private let end: Int

    /// nil if the tables reach beyond the range, or a number is out of range. All lookups rely on these checks.
    @inline(__always)
    init?(_ file: FileBytes, _ range: Range<Int>) {
        guard range.count >= Self.headerBytes,
            let base = unsafe file.pointer(at: range.lowerBound, need: range.count + Self.slack)
        else { return nil }
        unsafe self.base = unsafe base
        end = range.count
        first = unsafe Self.load(base, 0)
        users = Int(unsafe Self.load(base, 4, as: UInt32.self))
        entries = Int(unsafe Self.load(base, 8, as: UInt32.self))
        slope = Int(unsafe Self.load(base, 12, as: UInt32.self))
        bias = Int(unsafe Self.load(base, 16, as: UInt32.self))
        let offsetBits = Int(unsafe Self.load(base, 20, as: UInt8.self))
        formBits = Int(unsafe Self.load(base, 21, as: UInt8.self))
        leastForm = unsafe Self.load(base, 22)
        groups = Self.groups(entries)
        placeBits = Self.width(UInt64(users))
        idBits = offsetBits &+ formBits
        entriesAt = Self.headerBytes &+ BitWriter.bytes(groups &+ 1, placeBits)
        idsAt = entriesAt &+ BitWriter.bytes(entries, placeBits &+ Self.tagBits)
        heapAt = idsAt &+ BitWriter.bytes(users &+ 1, idBits)
        guard users >= 1, entries <= users, Int(first) &+ users <= Limits.usersPerBucket, offsetBits <= 32, formBits <= 3,
            heapAt <= end
        else { return nil }
    }

    /// Number of groups of an index; group and tag of a hash (`SEGMENT.md`, Users).
    static func groups(_ entries: Int) -> Int { max(1, (entries &+ groupUsers &- 1) / groupUsers) }
    static func group(_ hash: UInt64, of groups: Int) -> Int { Int(truncatingIfNeeded: ((hash &>> 32) &* UInt64(groups)) &>> 32) }
    static func tag(_ hash: UInt64) -> UInt64 { hash & (1 << UInt64(tagBits) - 1) }
    /// Bits that hold `value`.
    static func width(_ value: UInt64) -> Int { 64 - value.leadingZeroBitCount }

    @unsafe @inline(__always)
    private static func load<T: FixedWidthInteger & BitwiseCopyable>(_ base: UnsafeRawPointer, _ at: Int, as type: T.Type = T.self) -> T {
        T(littleEndian: unsafe base.loadUnaligned(fromByteOffset: at, as: T.self))
    }

    /// At least 57 bits, from bit `bit` after byte `at` on, the lowest first.
    @unsafe @inline(__always)
    private func bits(_ at: Int, _ bit: Int) -> UInt64 {
        unsafe Self.load(base, at &+ bit &>> 3, as: UInt64.self) &>> UInt64(truncatingIfNeeded: bit & 7)
    }

    /// The place of a user: the first of those that may have this hash for which `isUser` is true; nil if there is none.
    @inline(__always)
    func place(_ hash: UInt64, _ isUser: (Int) -> Bool) -> Int? {
        let group = Self.group(hash, of: groups)
        let placeMask = UInt64(1) &<< UInt64(placeBits) &- 1
        // A place has at most 23 bits.
        let ends = unsafe bits(Self.headerBytes, group &* placeBits)
        let start = Int(truncatingIfNeeded: ends & placeMask)
        let stop = min(Int(truncatingIfNeeded: (ends &>> UInt64(placeBits)) & placeMask), entries)
        let width = placeBits &+ Self.tagBits
        let tag = Self.tag(hash)
        var bit = start &* width
        let last = stop &* width
        while bit < last {
            let entry = unsafe bits(entriesAt, bit)
            if Self.tag(entry) == tag {
                let place = Int(truncatingIfNeeded: entry &>> UInt64(Self.tagBits) & placeMask)
                if place < users, isUser(place) { return place }
            }
            bit &+= width
        }
        return nil
    }

    /// The id at a place below `users`; empty for a hole, and if an offset is damaged.
    @inline(__always)
    func id(_ place: Int, _ symbols: IDSymbols) -> StoredID {
        let mask = UInt64(1) &<< UInt64(idBits) &- 1
        let this = unsafe bits(idsAt, place &* idBits) & mask
        let next = unsafe bits(idsAt, (place &+ 1) &* idBits) & mask
        let line = place &* slope
        let from = heapAt &+ line &>> 16 &+ Int(truncatingIfNeeded: this &>> UInt64(formBits)) &- bias
        let to = heapAt &+ (line &+ slope) &>> 16 &+ Int(truncatingIfNeeded: next &>> UInt64(formBits)) &- bias
        let form = leastForm &+ UInt8(truncatingIfNeeded: this & (1 &<< UInt64(formBits) &- 1))
        let isSound = from >= heapAt && to >= from && to <= end
        let bytes = unsafe UnsafeRawBufferPointer(start: base + (isSound ? from : 0), count: isSound ? to &- from : 0)
        return unsafe StoredID(bytes, form: form, symbols)
    }

    /// Encodes one block.
    /// - Parameters:
    ///   - places: the bucket's users in `ids`; an empty id is a hole.
    ///   - stored: the ids in the forms in which the file stores them.
    static func encode(
        _ ids: StringTable, _ stored: StoredIDs, _ places: Range<Int>, first: UInt32, seed: UInt64, into out: inout ByteWriter
    ) {
        let users = places.count
        let start = Int(stored.table.offsets[places.lowerBound])
        let offsets = (places.lowerBound...places.upperBound).map { Int(stored.table.offsets[$0]) - start }
        // Offsets are close to a line, so only their distance above it is stored.
        let slope = offsets[users] << 16 / max(1, users)
        let above = offsets.enumerated().map { $1 - ($0 * slope) >> 16 }
        let bias = -(above.min() ?? 0)
        let offsetBits = width(UInt64((above.max() ?? 0) + bias))
        let named = places.filter { !ids.isEmpty($0) }
        let forms = named.map { stored.forms[$0] }
        let leastForm = forms.min() ?? 0
        let formBits = width(UInt64((forms.max() ?? 0) - leastForm))

        out.integer(first)
        for value in [users, named.count, slope, bias] { out.integer(UInt32(truncatingIfNeeded: value)) }
        for value in [UInt8(offsetBits), UInt8(formBits), leastForm, 0] { out.integer(value) }
        encodeIndex(named.map { ($0 - places.lowerBound, XXH64.hash(ids.slice($0), seed: seed)) }, users, &out)
        var bits = BitWriter()
        for (i, value) in above.enumerated() {
            let form = i < users && !ids.isEmpty(places.lowerBound + i) ? stored.forms[places.lowerBound + i] - leastForm : 0
            bits.append(UInt64(value + bias) << UInt64(formBits) | UInt64(form), offsetBits + formBits)
        }
        out.append(bits.finish())
        out.append(stored.table.heap[start..<(start + offsets[users])])
    }

    /// Entries are in the order of groups, which come from the hash's upper half, and within a group in the order of places.
    private static func encodeIndex(_ entries: [(place: Int, hash: UInt64)], _ users: Int, _ out: inout ByteWriter) {
        let groups = groups(entries.count)
        let placeBits = width(UInt64(users))
        var ends = [Int](repeating: 0, count: groups + 1)
        for entry in entries { ends[group(entry.hash, of: groups) + 1] += 1 }
        for i in 0..<groups { ends[i + 1] += ends[i] }
        var bits = BitWriter()
        for end in ends { bits.append(UInt64(end), placeBits) }
        out.append(bits.finish())
        var sorted = [UInt64](repeating: 0, count: entries.count)
        for entry in entries {
            let group = group(entry.hash, of: groups)
            sorted[ends[group]] = UInt64(entry.place) << UInt64(tagBits) | tag(entry.hash)
            ends[group] += 1
        }
        for value in sorted { bits.append(value, placeBits + tagBits) }
        out.append(bits.finish())
    }
}

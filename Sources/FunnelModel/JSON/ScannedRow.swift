/// One event between reading and storing: its scalars, and the places of its strings in the text. Reused from event to event,
/// so that a row allocates nothing.
struct ScannedRow: Sendable {
    struct Property {
        var key: TextRange
        /// The key's code in the batch; `unknown` if the key is new.
        var code: UInt32
        var value: ScannedScalar
    }

    static let unknown = UInt32.max

    var user = TextRange.none
    /// The id of the device, if the event has both ids.
    var anonymous = TextRange.none
    var name = TextRange.none
    var id = TextRange.none
    /// Microseconds.
    var time: Int64 = 0
    /// In the order of the text, nested ones with their joined key. Only the first `propertyCount` are this row's.
    var properties: [Property] = []
    private(set) var propertyCount = 0
    /// Indexes in `properties`, sorted by key bytes.
    var order: [Int] = []
    /// Whether `order` is that of an earlier row, and every key has its code.
    var isRecalled = false
    /// Bytes of strings with escapes, of joined keys and of lists.
    var scratch: [UInt8] = []
    /// Names of members that are ignored.
    var names = MemberNames()
    /// Keys of members that become no property themselves: nulls and objects.
    private var loose: [TextRange] = []
    private static let looseMax = 32
    /// Bytes of keys and string values.
    private var propertyBytes = 0

    mutating func clear() {
        user = .none
        anonymous = .none
        name = .none
        id = .none
        propertyCount = 0
        if !scratch.isEmpty { scratch.removeAll(keepingCapacity: true) }
        names.leave(0)
        if !loose.isEmpty { loose.removeAll(keepingCapacity: true) }
        propertyBytes = 0
    }

    /// Adds a property; one over a limit is unusual.
    mutating func add(_ key: TextRange, code: UInt32, _ value: ScannedScalar) throws(JSONFault) {
        propertyBytes &+= key.count &+ value.text.count
        guard key.count >= 1, key.count <= Limits.propertyKeyBytes, value.text.count <= Limits.propertyValueBytes,
            propertyCount < Limits.propertiesPerEvent, propertyBytes <= Limits.propertyBytesPerEvent
        else { throw .unusual }
        let property = Property(key: key, code: code, value: value)
        if propertyCount < properties.count { properties[propertyCount] = property } else { properties.append(property) }
        propertyCount &+= 1
    }

    /// Notes the joined key of a member that becomes no property, for `checkLoose`.
    mutating func addLoose(_ key: TextRange) throws(JSONFault) {
        guard loose.count < Self.looseMax else { throw .unusual }
        loose.append(key)
    }

    /// Throws if a loose key is given again, as another loose key or a property's: it may be the same member twice.
    func checkLoose(_ text: Span<UInt8>) throws(JSONFault) {
        if loose.isEmpty { return }
        for i in loose.indices {
            for j in 0..<i where isSame(loose[i], loose[j], text) { throw .unusual }
            for p in 0..<propertyCount where isSame(loose[i], properties[p].key, text) { throw .unusual }
        }
    }

    @inline(__always)
    func isSame(_ a: TextRange, _ b: TextRange, _ text: Span<UInt8>) -> Bool {
        a.count == b.count && compareKeys(a, b, text) == 0
    }

    /// Joins `prefix`, which is in the scratch buffer, `key` and `end` to one string there.
    mutating func join(_ prefix: TextRange, _ key: TextRange, _ text: Span<UInt8>, end: StaticString = "") throws(JSONFault) -> TextRange {
        // A long prefix around very many empty objects would otherwise take far more memory than the text.
        guard scratch.count <= 2 * Limits.eventTextBytes else { throw .unusual }
        let start = scratch.count
        append(prefix, text)
        append(key, text)
        for i in 0..<end.utf8CodeUnitCount { scratch.append(unsafe end.utf8Start[i]) }
        return TextRange(start: start, count: scratch.count &- start, isDecoded: true)
    }

    mutating func append(_ part: TextRange, _ text: Span<UInt8>) {
        if part.isDecoded {
            for i in part.range { scratch.append(scratch[i]) }
        } else {
            scratch.append(text.extracting(part.range))
        }
    }

    /// Byte order of two keys: negative, 0 or positive.
    private func compareKeys(_ a: TextRange, _ b: TextRange, _ text: Span<UInt8>) -> Int {
        let inA = a.range
        let inB = b.range
        switch (a.isDecoded, b.isDecoded) {
        case (false, false): return text.extracting(inA).compare(text.extracting(inB))
        case (true, true): return scratch.span.extracting(inA).compare(scratch.span.extracting(inB))
        case (false, true): return text.extracting(inA).compare(scratch.span.extracting(inB))
        case (true, false): return scratch.span.extracting(inA).compare(text.extracting(inB))
        }
    }

    /// Fills `order`; two equal keys are unusual. Insertion sort with a binary search: rows have few properties, and their
    /// limit bounds the moves.
    mutating func sortByKey(_ text: Span<UInt8>) throws(JSONFault) {
        order.removeAll(keepingCapacity: true)
        for i in 0..<propertyCount {
            var low = 0
            var high = i
            while low < high {
                let middle = (low &+ high) / 2
                let difference = compareKeys(properties[i].key, properties[order[middle]].key, text)
                if difference == 0 { throw .unusual }
                if difference < 0 { high = middle } else { low = middle &+ 1 }
            }
            order.insert(i, at: low)
        }
    }
}

/// The key orders of earlier rows. Events of one kind have the same keys in the same places, so most rows need neither look-ups
/// nor sorting.
struct KeyShapes: Sendable {
    private static let slots = 16
    private static let width = 32

    /// Element `code + 1`: the code that followed this code; element 0: the first code of a row.
    private var successors: [UInt32] = []
    /// By code: whether the key has been in a text without escapes. Then its bytes between quotes are always that key.
    private var plain: [Bool] = []
    private var counts = [UInt8](repeating: 0, count: KeyShapes.slots)
    private var codes = [UInt32](repeating: 0, count: KeyShapes.slots * KeyShapes.width)
    private var orders = [UInt8](repeating: 0, count: KeyShapes.slots * KeyShapes.width)

    init() {}

    /// The code that followed `code` last time; `ScannedRow.unknown` if there is none.
    @inline(__always)
    func successor(of code: UInt32) -> UInt32 {
        let place = Int(code &+ 1)
        return place < successors.count ? successors[place] : ScannedRow.unknown
    }

    /// The same, if that key's bytes can be compared with the text as they are.
    @inline(__always)
    func plainSuccessor(of code: UInt32) -> UInt32 {
        let next = successor(of: code)
        return Int(next) < plain.count && plain[Int(next)] ? next : ScannedRow.unknown
    }

    mutating func note(_ next: UInt32, isPlain: Bool, after code: UInt32) {
        while plain.count <= Int(next) { plain.append(false) }
        if isPlain { plain[Int(next)] = true }
        let place = Int(code &+ 1)
        while successors.count <= place { successors.append(ScannedRow.unknown) }
        successors[place] = next
    }

    private static func slot(_ row: borrowing ScannedRow) -> Int {
        var hash: UInt32 = 0
        for i in 0..<row.propertyCount { hash = (hash &+ row.properties[i].code) &* 0x9E37_79B1 }
        return Int(hash >> 28)
    }

    /// Fills the row's order from an earlier row with the same keys in the same places; false if there is none.
    func recall(_ row: inout ScannedRow) -> Bool {
        let count = row.propertyCount
        guard count > 0, count <= Self.width else { return false }
        let slot = Self.slot(row)
        guard Int(counts[slot]) == count else { return false }
        let base = slot &* Self.width
        for i in 0..<count where codes[base &+ i] != row.properties[i].code { return false }
        if row.order.count != count { row.order = Array(repeating: 0, count: count) }
        for i in 0..<count { row.order[i] = Int(orders[base &+ i]) }
        return true
    }

    /// Remembers the order of a row whose codes are all known.
    mutating func keep(_ row: borrowing ScannedRow) {
        let count = row.propertyCount
        guard count > 0, count <= Self.width else { return }
        let slot = Self.slot(row)
        let base = slot &* Self.width
        counts[slot] = UInt8(count)
        for i in 0..<count {
            codes[base &+ i] = row.properties[i].code
            orders[base &+ i] = UInt8(row.order[i])
        }
    }
}

/// Hashes of the names of members of the objects that are being read, to detect a name that is given twice. If two names share
/// a hash, the event is only taken for unusual.
struct MemberNames: Sendable {
    /// Max number of members of one object; larger ones are left to the parser.
    private static let most = 256

    private var hashes: [UInt64] = []

    var count: Int { hashes.count }

    /// Removes all names but the first `mark`.
    mutating func leave(_ mark: Int) { if hashes.count > mark { hashes.removeSubrange(mark...) } }

    /// Adds the hash of a member's name, of the object whose names begin at `mark`.
    mutating func insert(_ hash: UInt64, from mark: Int) throws(JSONFault) {
        guard hashes.count &- mark < Self.most, !contains(hash, from: mark) else { throw .unusual }
        hashes.append(hash)
    }

    @inline(__always)
    private func contains(_ hash: UInt64, from mark: Int) -> Bool {
        let span = hashes.span
        var found = false
        var i = mark
        // No early exit, so that the loop is vectorized.
        while i < span.count {
            found = found || span[i] == hash
            i &+= 1
        }
        return found
    }

    /// The hash of a whole name, since names of one object often begin and end with the same bytes.
    @inline(__always)
    static func hash(_ name: Span<UInt8>) -> UInt64 {
        if name.count < 8 { return name.shortWord ^ UInt64(name.count) &<< 56 }
        var hash = UInt64(name.count)
        var at = 0
        while at &+ 8 <= name.count {
            hash = (hash ^ name.word(at)) &* 0x9E37_79B9_7F4A_7C15
            hash ^= hash &>> 32
            at &+= 8
        }
        return (hash ^ name.word(name.count &- 8)) &* 0x9E37_79B9_7F4A_7C15
    }
}

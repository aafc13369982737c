/// One event between reading and storing: where its strings stand in the text and its scalars. Kept from event to event,
/// so that a row costs no memory of its own.
struct ScannedRow: Sendable {
    struct Property {
        var key: TextRange
        /// The key's code in the batch, `unknown` where the key is new to it.
        var code: UInt32
        var value: ScannedScalar
    }

    static let unknown = UInt32.max

    var user = TextRange.none
    var name = TextRange.none
    var id = TextRange.none
    /// Microseconds.
    var time: Int64 = 0
    /// As they stand in the text, nested ones under their joined key; only the first `propertyCount` are this row's.
    var properties: [Property] = []
    private(set) var propertyCount = 0
    /// Places in `properties` by key bytes.
    var order: [Int] = []
    /// The order is that of an earlier row, and every key has its code.
    var isRecalled = false
    /// Bytes of strings with escapes, of joined keys and of lists.
    var scratch: [UInt8] = []
    /// Names of members that are not read.
    var names = MemberNames()
    /// Keys of members that make no property of their own: nulls and objects.
    private var loose: [TextRange] = []
    private static let looseMax = 32
    /// Bytes of keys and string values.
    private var propertyBytes = 0

    mutating func clear() {
        user = .none
        name = .none
        id = .none
        propertyCount = 0
        if !scratch.isEmpty { scratch.removeAll(keepingCapacity: true) }
        names.leave(0)
        if !loose.isEmpty { loose.removeAll(keepingCapacity: true) }
        propertyBytes = 0
    }

    /// Adds a property if it is within every limit.
    mutating func add(_ key: TextRange, code: UInt32, _ value: ScannedScalar) throws(Unusual) {
        propertyBytes &+= key.count &+ value.text.count
        guard key.count >= 1, key.count <= Limits.propertyKeyBytes, value.text.count <= Limits.propertyValueBytes,
            propertyCount < Limits.propertiesPerEvent, propertyBytes <= Limits.propertyBytesPerEvent
        else { throw Unusual() }
        let property = Property(key: key, code: code, value: value)
        if propertyCount < properties.count { properties[propertyCount] = property } else { properties.append(property) }
        propertyCount &+= 1
    }

    /// Notes a member's joined key that `sortByKey` does not see.
    mutating func addLoose(_ key: TextRange) throws(Unusual) {
        guard loose.count < Self.looseMax else { throw Unusual() }
        loose.append(key)
    }

    /// A loose key that is there again, as another or as a property's, is unusual: it may be the same member twice.
    func checkLoose(_ text: Span<UInt8>) throws(Unusual) {
        if loose.isEmpty { return }
        for i in loose.indices {
            for j in 0..<i where isSame(loose[i], loose[j], text) { throw Unusual() }
            for p in 0..<propertyCount where isSame(loose[i], properties[p].key, text) { throw Unusual() }
        }
    }

    @inline(__always)
    private func isSame(_ a: TextRange, _ b: TextRange, _ text: Span<UInt8>) -> Bool {
        a.count == b.count && compareKeys(a, b, text) == 0
    }

    /// `prefix`, which is in the scratch buffer, `key` and `end` as one string there.
    mutating func join(_ prefix: TextRange, _ key: TextRange, _ text: Span<UInt8>, end: StaticString = "") throws(Unusual) -> TextRange {
        // A long prefix over very many empty objects would otherwise make much of little text.
        guard scratch.count <= 2 * Limits.eventTextBytes else { throw Unusual() }
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

    /// Puts `order` by key; two equal keys are unusual. Insertion with a binary search: rows have few properties, and the
    /// limit of properties bounds the moves.
    mutating func sortByKey(_ text: Span<UInt8>) throws(Unusual) {
        order.removeAll(keepingCapacity: true)
        for i in 0..<propertyCount {
            var low = 0
            var high = i
            while low < high {
                let middle = (low &+ high) / 2
                let difference = compareKeys(properties[i].key, properties[order[middle]].key, text)
                if difference == 0 { throw Unusual() }
                if difference < 0 { high = middle } else { low = middle &+ 1 }
            }
            order.insert(i, at: low)
        }
    }
}

/// The key orders of rows seen before. Events of one kind have the same keys in the same places, so most rows need neither
/// look-ups nor sorting.
struct KeyShapes: Sendable {
    private static let slots = 16
    private static let width = 32

    /// The code that followed a code (`+ 1`; place 0 is the start of a row).
    private var successors: [UInt32] = []
    /// Whether a code's key stood in a text without escapes: then wherever its bytes stand between quotes they are that key.
    private var plain: [Bool] = []
    private var counts = [UInt8](repeating: 0, count: KeyShapes.slots)
    private var codes = [UInt32](repeating: 0, count: KeyShapes.slots * KeyShapes.width)
    private var orders = [UInt8](repeating: 0, count: KeyShapes.slots * KeyShapes.width)

    init() {}

    /// The code that came after `code` last time, `ScannedRow.unknown` where nothing did.
    @inline(__always)
    func successor(of code: UInt32) -> UInt32 {
        let place = Int(code &+ 1)
        return place < successors.count ? successors[place] : ScannedRow.unknown
    }

    /// The same if that key can be looked for in the text as it is.
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

    /// Fills the row's order from an earlier row with the same keys in the same places.
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

    /// Keeps the order of a row whose codes are all known.
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

/// Names of the members of objects that are being read, as hashes: enough to say that no name was there before. A hash that
/// two names share makes an event unusual, no more.
struct MemberNames: Sendable {
    /// Members of one object; those of more are looked at by the parser.
    private static let most = 256

    private var hashes: [UInt64] = []

    var count: Int { hashes.count }

    /// Forgets the names behind the first `mark`.
    mutating func leave(_ mark: Int) { if hashes.count > mark { hashes.removeSubrange(mark...) } }

    /// Takes up a member's name of the object whose names begin at `mark`.
    /// - Parameter hash: of the name.
    mutating func insert(_ hash: UInt64, from mark: Int) throws(Unusual) {
        guard hashes.count &- mark < Self.most, !contains(hash, from: mark) else { throw Unusual() }
        hashes.append(hash)
    }

    @inline(__always)
    private func contains(_ hash: UInt64, from mark: Int) -> Bool {
        let span = hashes.span
        var found = false
        var i = mark
        // Without a way out of the loop it compares several at once.
        while i < span.count {
            found = found || span[i] == hash
            i &+= 1
        }
        return found
    }

    /// Of the whole name: names of one object often begin and end alike.
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

import FunnelModel

/// Rewrites the properties of a batch, row by row.
struct PropertyRewriter {
    enum Result {
        case unchanged, changed
        case rejected(EventFault)
    }

    /// A property of the row at work.
    private struct Item {
        var key: UInt32
        /// Number of the key in the tables.
        var number: UInt32
        var tag: UInt8
        var bits: UInt64
        /// Of items with one key the lowest rank stays, and of one rank the one that came last.
        var rank: Int
        var place: Int
    }

    /// The rank of a property that was not renamed.
    private static let ownRank = -1

    private let batch: EventBatch
    private let tables: PropertyTables
    /// By name code: number of the event in the tables; nil for rows that no rule changes.
    private let events: [UInt32?]
    /// By name code.
    private let defaults: [[PropertyTables.Default]]
    /// By key code: number in the tables.
    private let numbers: [UInt32]
    /// By number in the tables: the key's code, if the batch has it by now.
    private var codes: [UInt32: UInt32] = [:]
    /// By key code: 1 + the last row that has the key after the rules.
    private var rowWithKey: [Int]
    /// By key code: the first bytes of the key, in an order that is that of the keys unless they are equal.
    private var beginnings: [UInt64]
    private var casts = CastMemory()

    private var keys: StringTable
    private var texts: AddedTexts
    private var start: [UInt32] = [0]
    private var key: [UInt32] = []
    private var tag: [UInt8] = []
    private var bits: [UInt64] = []
    private var items: [Item] = []
    /// Whether a row has other properties than before.
    private(set) var hasChanged = false

    /// - Parameter batch: with the names after the rules.
    init(_ batch: EventBatch, _ tables: PropertyTables) {
        self.batch = batch
        self.tables = tables
        let names = (0..<batch.names.count).map { batch.names[$0] }
        events = names.map { EventName.isReserved($0) ? nil : tables.event($0) }
        defaults = names.map { name in
            EventName.isReserved(name) || EventName.profiles.contains(name) ? [] : tables.defaults(of: tables.event(name))
        }
        let numbers = (0..<batch.keys.count).map { tables.property(batch.keys[$0]) }
        self.numbers = numbers
        for (code, number) in numbers.enumerated() where number != PropertyTables.none {
            codes[number] = UInt32(truncatingIfNeeded: code)
        }
        rowWithKey = Array(repeating: 0, count: numbers.count)
        beginnings = (0..<numbers.count).map { Self.beginning(of: batch.keys.slice($0)) }
        keys = batch.keys
        texts = AddedTexts(batch.strings)
        key.reserveCapacity(batch.propertyKey.count)
        tag.reserveCapacity(batch.propertyKey.count)
        bits.reserveCapacity(batch.propertyKey.count)
    }

    /// Sets the columns, unless they are as before. Rows that were skipped or rejected have no properties then.
    func finish(_ batch: inout EventBatch) {
        guard hasChanged else { return }
        batch.keys = keys
        batch.strings = texts.table
        (batch.propertyStart, batch.propertyKey, batch.propertyTag, batch.propertyBits) = (start, key, tag, bits)
    }

    // MARK: - Rows

    /// Passes over a row that is dropped.
    mutating func skip() { start.append(UInt32(truncatingIfNeeded: key.count)) }

    mutating func rewrite(_ row: Int) -> Result {
        let range = Int(batch.propertyStart[row])..<Int(batch.propertyStart[row + 1])
        let name = Int(batch.name[row])
        guard let event = events[name], !defaults[name].isEmpty || range.contains(where: isNamed) else {
            copy(range)
            return .unchanged
        }
        items.removeAll(keepingCapacity: true)
        var isChanged = renameAndDrop(range, event)
        do throws(EventFault) {
            if try cast(event) { isChanged = true }
            if addDefaults(defaults[name], row) { isChanged = true }
            guard isChanged, !isSame(range) else {
                copy(range)
                return .unchanged
            }
            try check()
        } catch {
            skip()
            return .rejected(error)
        }
        hasChanged = true
        for item in items {
            key.append(item.key)
            tag.append(item.tag)
            bits.append(item.bits)
        }
        skip()
        return .changed
    }

    private func isNamed(_ p: Int) -> Bool { numbers[Int(batch.propertyKey[p])] != PropertyTables.none }

    /// Writes the row as it was.
    private mutating func copy(_ range: Range<Int>) {
        key += batch.propertyKey[range]
        tag += batch.propertyTag[range]
        bits += batch.propertyBits[range]
        skip()
    }

    /// Whether the items are the properties that the row had: a default may restore what a rule dropped.
    private func isSame(_ range: Range<Int>) -> Bool {
        guard items.count == range.count else { return false }
        return zip(items, range).allSatisfy { item, p in
            guard item.key == batch.propertyKey[p], item.tag == batch.propertyTag[p] else { return false }
            if item.bits == batch.propertyBits[p] { return true }
            let (new, old) = (Int(truncatingIfNeeded: item.bits), Int(truncatingIfNeeded: batch.propertyBits[p]))
            return item.tag == EventBatch.Tag.string && texts.table.compare(new, with: texts.table, old) == 0
        }
    }

    // MARK: - Stages

    private mutating func renameAndDrop(_ range: Range<Int>, _ event: UInt32) -> Bool {
        var (hasRenamed, hasDropped) = (false, false)
        for p in range {
            let code = batch.propertyKey[p]
            var item = Item(
                key: code, number: numbers[Int(code)], tag: batch.propertyTag[p], bits: batch.propertyBits[p], rank: Self.ownRank, place: p)
            if item.number != PropertyTables.none {
                if let rename = tables.plan(item.number, of: event).rename, rename.property != item.number {
                    item.key = self.code(of: rename.property)
                    (item.number, item.rank) = (rename.property, rename.rank)
                    hasRenamed = true
                }
                if tables.plan(item.number, of: event).isDropped {
                    hasDropped = true
                    continue
                }
            }
            items.append(item)
        }
        if hasRenamed { order() }
        return hasRenamed || hasDropped
    }

    private mutating func cast(_ event: UInt32) throws(EventFault) -> Bool {
        var isChanged = false
        var kept = 0
        for i in items.indices {
            var item = items[i]
            if item.number != PropertyTables.none, let cast = tables.plan(item.number, of: event).cast {
                if let (tag, bits) = value(item, as: cast.target) {
                    isChanged = isChanged || tag != item.tag || bits != item.bits
                    (item.tag, item.bits) = (tag, bits)
                } else {
                    switch cast.failure {
                    case .keep: break
                    case .drop:
                        isChanged = true
                        continue
                    case .reject:
                        let shown = keys[Int(item.key)].string.prefix(60)
                        throw EventFault("properties.\(shown)", "is no \(cast.target.rawValue) (rules[\(cast.rule)])")
                    }
                }
            }
            items[kept] = item
            kept += 1
        }
        items.removeLast(items.count - kept)
        return isChanged
    }

    private mutating func addDefaults(_ defaults: [PropertyTables.Default], _ row: Int) -> Bool {
        if defaults.isEmpty { return false }
        for item in items where item.number != PropertyTables.none { rowWithKey[Int(code(of: item.number))] = row + 1 }
        let before = items.count
        for entry in defaults {
            let key = code(of: entry.property)
            guard rowWithKey[Int(key)] != row + 1, let (tag, bits) = texts.columns(of: entry.value) else { continue }
            items.append(Item(key: key, number: entry.property, tag: tag, bits: bits, rank: Self.ownRank, place: 0))
        }
        if items.count == before { return false }
        order()
        return true
    }

    /// Puts the items in the order of their keys, and leaves one of each key.
    private mutating func order() {
        let (keys, beginnings) = (keys, beginnings)
        func compare(_ a: Item, _ b: Item) -> Int {
            if a.key == b.key { return 0 }
            let (first, second) = (beginnings[Int(a.key)], beginnings[Int(b.key)])
            if first != second { return first < second ? -1 : 1 }
            return keys.compare(Int(a.key), with: keys, Int(b.key))
        }
        items.sort { a, b in
            let order = compare(a, b)
            if order != 0 { return order < 0 }
            return a.rank != b.rank ? a.rank < b.rank : a.place > b.place
        }
        var kept = 0
        for item in items {
            if kept > 0, compare(items[kept - 1], item) == 0 { continue }
            items[kept] = item
            kept += 1
        }
        items.removeLast(items.count - kept)
    }

    /// Checks the limits of an event again.
    private func check() throws(EventFault) {
        if items.count > Limits.propertiesPerEvent {
            throw EventFault("properties", "are \(items.count) after the rules; the limit is \(Limits.propertiesPerEvent)")
        }
        var bytes = 0
        for item in items {
            bytes += keys.range(Int(item.key)).count
            if item.tag == EventBatch.Tag.string { bytes += texts.table.range(Int(truncatingIfNeeded: item.bits)).count }
        }
        if bytes > Limits.propertyBytesPerEvent {
            throw EventFault("properties", "take \(bytes) bytes after the rules; the limit is \(Limits.propertyBytesPerEvent)")
        }
    }

    // MARK: - Values

    /// The code of a key that a rule names; a new key is added.
    private mutating func code(of number: UInt32) -> UInt32 {
        if let known = codes[number] { return known }
        let code = UInt32(truncatingIfNeeded: keys.count)
        let key = tables.properties[Int(number)]
        keys.append(key)
        rowWithKey.append(0)
        beginnings.append(Self.beginning(of: key.bytes[...]))
        codes[number] = code
        return code
    }

    /// The first eight bytes as a big-endian number.
    private static func beginning(of key: ArraySlice<UInt8>) -> UInt64 {
        var word: UInt64 = 0
        for byte in key.prefix(8) { word = word << 8 | UInt64(byte) }
        return word << (8 * UInt64(8 - min(8, key.count)))
    }

    /// Tag and bits of the value as another type; nil if it has none.
    private mutating func value(_ item: Item, as target: CastTarget) -> (tag: UInt8, bits: UInt64)? {
        guard item.tag == EventBatch.Tag.string else {
            return target.value(Self.number(item)).flatMap { texts.columns(of: $0) }
        }
        if target == .string { return (item.tag, item.bits) }
        let text = batch.strings
        return casts.value(of: item.bits, as: target) { target.value(.string(text[Int(truncatingIfNeeded: item.bits)])) }
            .flatMap { texts.columns(of: $0) }
    }

    /// A value that is no text.
    private static func number(_ item: Item) -> PropertyValue {
        switch item.tag {
        case EventBatch.Tag.integer: .integer(Int64(bitPattern: item.bits))
        case EventBatch.Tag.double: .double(Double(bitPattern: item.bits))
        default: .bool(item.bits != 0)
        }
    }
}

/// Texts of a batch, and those that rules add to them.
private struct AddedTexts {
    private(set) var table: StringTable
    private var codes: [ByteString: UInt32] = [:]

    init(_ table: StringTable) { self.table = table }

    /// Tag and bits of a value; nil if the table is full.
    mutating func columns(of value: PropertyValue) -> (tag: UInt8, bits: UInt64)? {
        switch value {
        case .string(let text): code(of: text).map { (EventBatch.Tag.string, UInt64($0)) }
        case .integer(let number): (EventBatch.Tag.integer, UInt64(bitPattern: number))
        case .double(let number): (EventBatch.Tag.double, number.bitPattern)
        case .bool(let flag): (EventBatch.Tag.bool, flag ? 1 : 0)
        }
    }

    private mutating func code(of text: ByteString) -> UInt32? {
        if let known = codes[text] { return known }
        guard table.hasRoom(for: text.count) else { return nil }
        let code = UInt32(truncatingIfNeeded: table.count)
        table.append(text)
        codes[text] = code
        return code
    }
}

/// What texts of a batch are as other types. Most rows share their texts, and each is read once.
private struct CastMemory {
    private struct Text: Hashable {
        var code: UInt64
        var target: CastTarget
    }

    private var known: [Text: PropertyValue?] = [:]

    mutating func value(of code: UInt64, as target: CastTarget, read: () -> PropertyValue?) -> PropertyValue? {
        let text = Text(code: code, target: target)
        if let value = known[text] { return value }
        let value = read()
        known[text] = .some(value)
        return value
    }
}

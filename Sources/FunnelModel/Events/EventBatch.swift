/// Events as columns with dictionaries: the form in which events are sent, logged and stored.
///
/// Row `i` is `(users[user[i]], names[name[i]], time[i], flags[i], ids[i])` with the properties
/// `propertyStart[i]..<propertyStart[i + 1]`, each `(keys[propertyKey[p]], propertyTag[p], propertyBits[p])`.
package struct EventBatch: Equatable, Sendable {
    package var users = StringTable()
    package var names = StringTable()
    package var keys = StringTable()
    /// Distinct string values of properties.
    package var strings = StringTable()

    package var user: [UInt32] = []
    package var name: [UInt32] = []
    /// Microseconds since 1970 UTC.
    package var time: [Int64] = []
    package var flags: [UInt8] = []
    /// One string a row; empty is no id. The table is empty if ids were not read.
    package var ids = StringTable()

    package var propertyStart: [UInt32] = [0]
    package var propertyKey: [UInt32] = []
    package var propertyTag: [UInt8] = []
    package var propertyBits: [UInt64] = []

    package static let serverTimedFlag: UInt8 = 1

    package init() {}

    package var count: Int { user.count }

    package enum Tag {
        package static let string: UInt8 = 1
        package static let integer: UInt8 = 2
        package static let double: UInt8 = 3
        package static let bool: UInt8 = 4
    }

    package func value(ofProperty p: Int) -> PropertyValue {
        let bits = propertyBits[p]
        switch propertyTag[p] {
        case Tag.string: return .string(strings[Int(bits)])
        case Tag.integer: return .integer(Int64(bitPattern: bits))
        case Tag.double: return .double(Double(bitPattern: bits))
        default: return .bool(bits != 0)
        }
    }

    /// The code of a property key; nil if no row has it. Linear in the number of keys.
    package func code(ofKey key: ByteString) -> UInt32? {
        (0..<keys.count).first { keys.slice($0).elementsEqual(key.bytes) }.map { UInt32($0) }
    }

    /// The index of a row's property with a key; nil if the row has none.
    package func place(ofKey code: UInt32, row: Int) -> Int? {
        let keys = propertyKey.span
        var p = Int(propertyStart[row])
        let end = Int(propertyStart[row + 1])
        while p < end {
            if keys[p] == code { return p }
            p &+= 1
        }
        return nil
    }

    /// A row's properties; empty if properties were not read.
    package func properties(ofRow row: Int) -> [Event.Property] {
        guard propertyStart.count > row + 1 else { return [] }
        return (Int(propertyStart[row])..<Int(propertyStart[row + 1])).map {
            Event.Property(keys[Int(propertyKey[$0])], value(ofProperty: $0))
        }
    }

    package func event(_ row: Int) -> Event {
        Event(
            user: users[Int(user[row])], name: names[Int(name[row])], time: time[row],
            id: ids.count > row ? ids[row] : "", serverTimed: flags[row] & Self.serverTimedFlag != 0,
            properties: properties(ofRow: row))
    }

    package var events: [Event] { (0..<count).map(event) }
}

/// Builds an `EventBatch` row by row. Properties of a row are in key order; of equal keys, the last one counts.
package struct EventBatchBuilder: Sendable {
    private var batch = EventBatch()
    private var users = StringInterner()
    private var names = StringInterner()
    private var keys = StringInterner()
    private var strings = StringInterner()
    /// Approximate bytes of the batch on the wire, without the strings of users, names and keys.
    package private(set) var approximateBytes = 0

    package init() {}

    package init(_ events: some Sequence<Event>) {
        for event in events { append(event) }
    }

    package var count: Int { batch.count }

    package mutating func append(_ event: Event) {
        batch.user.append(users.code(event.user))
        batch.name.append(names.code(event.name))
        batch.time.append(event.time)
        batch.flags.append(event.serverTimed ? EventBatch.serverTimedFlag : 0)
        batch.ids.append(event.id)
        approximateBytes += 16 + event.id.count
        for property in Self.canonical(event.properties) { append(property) }
        batch.propertyStart.append(UInt32(batch.propertyKey.count))
    }

    private mutating func append(_ property: Event.Property) {
        batch.propertyKey.append(keys.code(property.key))
        approximateBytes += 10
        switch property.value {
        case .string(let text):
            batch.propertyTag.append(EventBatch.Tag.string)
            let before = strings.count
            batch.propertyBits.append(UInt64(strings.code(text)))
            if strings.count > before { approximateBytes += text.count }
        case .integer(let value):
            batch.propertyTag.append(EventBatch.Tag.integer)
            batch.propertyBits.append(UInt64(bitPattern: value))
        case .double(let value):
            batch.propertyTag.append(EventBatch.Tag.double)
            batch.propertyBits.append(value.bitPattern)
        case .bool(let value):
            batch.propertyTag.append(EventBatch.Tag.bool)
            batch.propertyBits.append(value ? 1 : 0)
        }
    }

    private static func canonical(_ properties: [Event.Property]) -> [Event.Property] {
        guard properties.count > 1 else { return properties }
        var last: [ByteString: Int] = [:]
        for (i, property) in properties.enumerated() { last[property.key] = i }
        return last.values.map { properties[$0] }.sorted { $0.key < $1.key }
    }

    package consuming func finish() -> EventBatch {
        batch.users = users.table
        batch.names = names.table
        batch.keys = keys.table
        batch.strings = strings.table
        return batch
    }
}

// MARK: - Rows from a scanner

extension EventBatchBuilder {
    /// The code of a property key in `text` or in the row's scratch buffer; `ScannedRow.unknown` for a new key. `guess` is
    /// tested first.
    func keyCode(_ key: TextRange, _ row: borrowing ScannedRow, _ text: Span<UInt8>, guess: UInt32) -> UInt32 {
        let range = key.range
        if key.isDecoded { return keyCode(row.scratch.span.extracting(range), guess) }
        return keyCode(text.extracting(range), guess)
    }

    /// Advances past the key here if it is the one with the code `guess`; else nil.
    @inline(__always)
    func guessedKey(_ guess: UInt32, _ cursor: inout JSONCursor) -> TextRange? {
        cursor.take(keys.table.heap.span.extracting(keys.table.range(Int(guess))))
    }

    private func keyCode(_ key: Span<UInt8>, _ guess: UInt32) -> UInt32 {
        if guess != ScannedRow.unknown, keys.table.equals(Int(guess), key) { return guess }
        return keys.find(key) ?? ScannedRow.unknown
    }

    /// Appends a row whose strings are in `text` or in its scratch buffer, with properties in the order of `row.order`. Sets
    /// the codes of all keys in `row`.
    mutating func append(_ row: inout ScannedRow, _ text: Span<UInt8>) {
        batch.user.append(users.code(row.user, row.scratch, text))
        batch.name.append(names.code(row.name, row.scratch, text))
        batch.time.append(row.time)
        batch.flags.append(0)
        batch.ids.append(row.id, row.scratch, text)
        approximateBytes &+= 16 &+ row.id.count &+ 10 &* row.propertyCount
        for place in row.order {
            let property = row.properties[place]
            if property.code == ScannedRow.unknown {
                row.properties[place].code = keys.code(property.key, row.scratch, text)
            }
            batch.propertyKey.append(row.properties[place].code)
            batch.propertyTag.append(property.value.tag)
            batch.propertyBits.append(
                property.value.tag == EventBatch.Tag.string ? string(property.value.text, row, text) : property.value.bits)
        }
        batch.propertyStart.append(UInt32(batch.propertyKey.count))
    }

    private mutating func string(_ value: TextRange, _ row: borrowing ScannedRow, _ text: Span<UInt8>) -> UInt64 {
        let before = strings.count
        let code = strings.code(value, row.scratch, text)
        if strings.count > before { approximateBytes &+= value.count }
        return UInt64(code)
    }
}

extension StringInterner {
    fileprivate mutating func code(_ string: TextRange, _ scratch: borrowing [UInt8], _ text: Span<UInt8>) -> UInt32 {
        string.isDecoded ? code(scratch.span.extracting(string.range)) : code(text.extracting(string.range))
    }
}

extension StringTable {
    mutating func append(_ string: TextRange, _ scratch: borrowing [UInt8], _ text: Span<UInt8>) {
        if string.isDecoded { append(scratch.span.extracting(string.range)) } else { append(text.extracting(string.range)) }
    }

    func equals(_ index: Int, _ string: TextRange, _ scratch: borrowing [UInt8], _ text: Span<UInt8>) -> Bool {
        string.isDecoded ? equals(index, scratch.span.extracting(string.range)) : equals(index, text.extracting(string.range))
    }
}

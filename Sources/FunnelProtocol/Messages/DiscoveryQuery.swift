import FunnelModel

/// A question to a shard about the names and values of its events (discovery), from which users pick.
package enum DiscoveryQuery: Equatable, Sendable {
    /// Event names that begin with `prefix`.
    case events(prefix: ByteString)
    /// Property keys of the events of one name; empty is all events.
    case properties(event: ByteString)
    /// Values of a property that begin with `prefix`, of the events of one name; empty is all events.
    case values(property: ByteString, event: ByteString, prefix: ByteString)
    /// Totals of the project.
    case totals
    /// All event names and property keys of the project, and their limits.
    case names

    package var body: [UInt8] {
        var out = ByteWriter()
        switch self {
        case .events(let prefix):
            out.integer(UInt8(0))
            out.string(prefix)
        case .properties(let event):
            out.integer(UInt8(1))
            out.string(event)
        case .values(let property, let event, let prefix):
            out.integer(UInt8(2))
            out.string(property)
            out.string(event)
            out.string(prefix)
        case .totals: out.integer(UInt8(3))
        case .names: out.integer(UInt8(4))
        }
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        let kind: UInt8 = try reader.integer("kind of discovery")
        switch kind {
        case 0: self = .events(prefix: try reader.string(limit: Limits.eventNameBytes, "prefix"))
        case 1: self = .properties(event: try reader.string(limit: Limits.eventNameBytes, "event"))
        case 2:
            let property = try reader.string(limit: Limits.propertyKeyBytes, "property")
            guard !property.isEmpty else { throw ByteError(offset: reader.offset, reason: "property is empty") }
            self = .values(
                property: property, event: try reader.string(limit: Limits.eventNameBytes, "event"),
                prefix: try reader.string(limit: Limits.propertyValueBytes, "prefix"))
        case 3: self = .totals
        case 4: self = .names
        default: throw ByteError(offset: 0, reason: "discovery \(kind) is unknown")
        }
        try reader.finish("discovery query")
    }
}

extension Discovery {
    /// Number of entries in the answer.
    package var count: Int {
        switch self {
        case .events(let found): found.count
        case .properties(let found): found.count
        case .values(let found): found.rows.count
        case .totals: 1
        case .names(let found): found.events.count + found.properties.count
        }
    }

    package var body: [UInt8] {
        var out = ByteWriter()
        switch self {
        case .events(let found):
            out.integer(UInt8(0))
            out.varint(UInt64(found.count))
            for name in found.keys.sorted() {
                guard let entry = found[name] else { continue }
                out.string(name)
                out.varint(entry.rows)
                out.zigzag(entry.times.lowerBound)
                out.zigzag(entry.times.upperBound)
            }
        case .properties(let found):
            out.integer(UInt8(1))
            out.varint(UInt64(found.count))
            for key in found.keys.sorted() {
                guard let entry = found[key] else { continue }
                out.string(key)
                for rows in [entry.strings, entry.numbers, entry.booleans] { out.varint(rows) }
            }
        case .values(let found):
            out.integer(UInt8(2))
            out.integer(UInt8(found.isTruncated ? 1 : 0))
            out.varint(UInt64(found.rows.count))
            for value in found.rows.keys.sortedAsText() {
                value.write(to: &out)
                out.varint(found.rows[value] ?? 0)
            }
        case .totals(let found):
            out.integer(UInt8(3))
            for number in [found.rows, found.unsealedRows, found.segments, found.users, found.taken] { out.varint(number) }
            out.integer(UInt8(found.newestTime == nil ? 0 : 1))
            if let time = found.newestTime { out.zigzag(time) }
        case .names(let found):
            out.integer(UInt8(4))
            for (names, most) in [(found.events, found.eventsMax), (found.properties, found.propertiesMax)] {
                out.varint(UInt64(most))
                out.varint(UInt64(names.count))
                for name in names.sorted() { out.string(name) }
            }
            out.varint(UInt64(found.damaged.count))
            for file in found.damaged { out.string(file) }
            out.varint(found.tornBytes)
        }
        return out.bytes
    }

    package init(body: [UInt8]) throws(ByteError) {
        var reader = ByteReader(body)
        let kind: UInt8 = try reader.integer("kind of discovery")
        switch kind {
        case 0: self = .events(try Self.readEvents(&reader))
        case 1: self = .properties(try Self.readProperties(&reader))
        case 2: self = .values(try Self.readValues(&reader))
        case 3: self = .totals(try Self.readTotals(&reader))
        case 4: self = .names(try Self.readNames(&reader))
        default: throw ByteError(offset: 0, reason: "discovery \(kind) is unknown")
        }
        try reader.finish("discovery result")
    }

    private static func rows(_ reader: inout ByteReader) throws(ByteError) -> UInt64 {
        let rows = try reader.varint("rows")
        guard rows < 1 << 48 else { throw ByteError(offset: reader.offset, reason: "rows are out of range") }
        return rows
    }

    private static func readEvents(_ reader: inout ByteReader) throws(ByteError) -> [ByteString: EventRows] {
        var found: [ByteString: EventRows] = [:]
        for _ in 0..<(try reader.count(limit: reader.remaining, "events")) {
            let name = try reader.string(limit: Limits.eventNameBytes, "event")
            let rows = try rows(&reader)
            let first = try ExplainMessage.readTime(&reader)
            let last = try ExplainMessage.readTime(&reader)
            guard first <= last, found.updateValue(EventRows(rows: rows, times: first...last), forKey: name) == nil else {
                throw ByteError(offset: reader.offset, reason: "an event is given twice, or its times are out of order")
            }
        }
        return found
    }

    private static func readProperties(_ reader: inout ByteReader) throws(ByteError) -> [ByteString: PropertyRows] {
        var found: [ByteString: PropertyRows] = [:]
        for _ in 0..<(try reader.count(limit: reader.remaining, "properties")) {
            let key = try reader.string(limit: Limits.propertyKeyBytes, "property")
            let entry = PropertyRows(strings: try rows(&reader), numbers: try rows(&reader), booleans: try rows(&reader))
            guard found.updateValue(entry, forKey: key) == nil else {
                throw ByteError(offset: reader.offset, reason: "a property is given twice")
            }
        }
        return found
    }

    private static func readTotals(_ reader: inout ByteReader) throws(ByteError) -> ProjectTotals {
        var found = ProjectTotals()
        found.rows = try rows(&reader)
        found.unsealedRows = try rows(&reader)
        found.segments = try rows(&reader)
        found.users = try rows(&reader)
        found.taken = try rows(&reader)
        if try ExplainMessage.flag(&reader, "newest") { found.newestTime = try ExplainMessage.readTime(&reader) }
        return found
    }

    private static func readNames(_ reader: inout ByteReader) throws(ByteError) -> ProjectNames {
        var found = ProjectNames()
        (found.eventsMax, found.events) = try readNames(&reader, limit: Limits.eventNameBytes, "event names")
        (found.propertiesMax, found.properties) = try readNames(&reader, limit: Limits.propertyKeyBytes, "property keys")
        for _ in 0..<(try reader.count(limit: ProjectNames.damagedMax, "damaged files")) {
            found.damaged.append(try reader.string(limit: ProtocolError.textMax, "damaged file"))
        }
        found.tornBytes = try reader.varint("bytes cut off")
        guard found.tornBytes < 1 << 48 else { throw ByteError(offset: reader.offset, reason: "bytes cut off are out of range") }
        return found
    }

    private static func readNames(
        _ reader: inout ByteReader, limit: Int, _ what: String
    ) throws(ByteError) -> (most: Int, names: Set<ByteString>) {
        let most = try reader.count(limit: 1 << 32, what)
        var names: Set<ByteString> = []
        for _ in 0..<(try reader.count(limit: reader.remaining, what)) {
            guard names.insert(try reader.string(limit: limit, what)).inserted else {
                throw ByteError(offset: reader.offset, reason: "a name is given twice")
            }
        }
        return (most, names)
    }

    private static func readValues(_ reader: inout ByteReader) throws(ByteError) -> ValueRows {
        var found = ValueRows(isTruncated: try ExplainMessage.flag(&reader, "truncated"))
        for _ in 0..<(try reader.count(limit: Limits.foundValues, "values")) {
            let value = try PropertyValue.read(&reader)
            guard found.rows.updateValue(try rows(&reader), forKey: value) == nil else {
                throw ByteError(offset: reader.offset, reason: "a value is given twice")
            }
        }
        return found
    }
}

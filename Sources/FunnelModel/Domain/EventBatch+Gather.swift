extension EventBatch {
    /// The given rows as a batch of their own, its dictionaries cut to what they use.
    package func gather(_ rows: [Int]) -> EventBatch {
        var out = EventBatch()
        var users = CodeMap(self.users)
        var names = CodeMap(self.names)
        var keys = CodeMap(self.keys)
        var strings = CodeMap(self.strings)
        out.user.reserveCapacity(rows.count)
        out.name.reserveCapacity(rows.count)
        out.time.reserveCapacity(rows.count)
        for row in rows {
            out.user.append(users.code(user[row]))
            out.name.append(names.code(name[row]))
            out.time.append(time[row])
            out.flags.append(flags[row])
            out.ids.append(ids.slice(row))
            for p in Int(propertyStart[row])..<Int(propertyStart[row + 1]) {
                let isString = propertyTag[p] == Tag.string
                out.propertyKey.append(keys.code(propertyKey[p]))
                out.propertyTag.append(propertyTag[p])
                out.propertyBits.append(
                    isString ? UInt64(strings.code(UInt32(truncatingIfNeeded: propertyBits[p]))) : propertyBits[p])
            }
            out.propertyStart.append(UInt32(out.propertyKey.count))
        }
        out.users = users.table
        out.names = names.table
        out.keys = keys.table
        out.strings = strings.table
        return out
    }

    /// Bytes of one row on the wire, roughly: its columns, its id and its strings, shared or not.
    package func approximateBytes(ofRow row: Int) -> Int {
        var bytes = 16 + ids.range(row).count + names.range(Int(name[row])).count
        for p in Int(propertyStart[row])..<Int(propertyStart[row + 1]) {
            bytes += 10 + keys.range(Int(propertyKey[p])).count
            if propertyTag[p] == Tag.string { bytes += strings.range(Int(propertyBits[p])).count }
        }
        return bytes + users.range(Int(user[row])).count
    }
}

/// Old codes to new ones, given out as they are first used.
private struct CodeMap {
    private let source: StringTable
    private var codes: [UInt32]
    private(set) var table = StringTable()

    init(_ source: StringTable) {
        self.source = source
        codes = Array(repeating: .max, count: source.count)
    }

    mutating func code(_ old: UInt32) -> UInt32 {
        let known = codes[Int(old)]
        if known != .max { return known }
        let new = UInt32(table.count)
        codes[Int(old)] = new
        table.append(source.slice(Int(old)))
        return new
    }
}

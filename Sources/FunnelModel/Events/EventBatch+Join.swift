extension EventBatch {
    /// Appends the rows of a batch with much fewer strings than this one: of these, none is copied.
    package mutating func append(few: EventBatch) {
        let (userCodes, nameCodes) = (users.append(few: few.users), names.append(few: few.names))
        let (keyCodes, stringCodes) = (keys.append(few: few.keys), strings.append(few: few.strings))
        append(few, Codes(users: userCodes, names: nameCodes, keys: keyCodes, strings: stringCodes))
    }

    /// The rows of all batches, in their order.
    package static func joined(_ batches: [EventBatch]) -> EventBatch {
        if batches.count == 1 { return batches[0] }
        var out = EventBatch()
        var (users, names, keys, strings) = (StringInterner(), StringInterner(), StringInterner(), StringInterner())
        for batch in batches {
            let userCodes = users.codes(of: batch.users)
            let nameCodes = names.codes(of: batch.names)
            let keyCodes = keys.codes(of: batch.keys)
            let stringCodes = strings.codes(of: batch.strings)
            out.append(batch, Codes(users: userCodes, names: nameCodes, keys: keyCodes, strings: stringCodes))
        }
        (out.users, out.names, out.keys, out.strings) = (users.table, names.table, keys.table, strings.table)
        return out
    }

    /// By code of a batch that is appended, the code here.
    private struct Codes {
        var users: [UInt32]
        var names: [UInt32]
        var keys: [UInt32]
        var strings: [UInt32]
    }

    private mutating func append(_ batch: EventBatch, _ codes: Codes) {
        for row in 0..<batch.count {
            user.append(codes.users[Int(batch.user[row])])
            name.append(codes.names[Int(batch.name[row])])
            ids.append(batch.ids.slice(row))
        }
        time += batch.time
        flags += batch.flags
        let first = UInt32(propertyKey.count)
        for end in batch.propertyStart.dropFirst() { propertyStart.append(first + end) }
        for p in batch.propertyKey.indices {
            propertyKey.append(codes.keys[Int(batch.propertyKey[p])])
            let bits = batch.propertyBits[p]
            propertyBits.append(batch.propertyTag[p] == Tag.string ? UInt64(codes.strings[Int(bits)]) : bits)
        }
        propertyTag += batch.propertyTag
    }
}

extension StringTable {
    /// Appends those strings of a table that are not in this one. Returns by string of that table its code here.
    fileprivate mutating func append(few: StringTable) -> [UInt32] {
        let known = few.count == 0 ? [] : codes(of: few)
        var codes: [UInt32] = []
        for (i, code) in known.enumerated() {
            if code == nil { append(few.slice(i)) }
            codes.append(code ?? UInt32(truncatingIfNeeded: count - 1))
        }
        return codes
    }

    /// By string of a small table, its code here; nil if it is not in this table.
    private func codes(of few: StringTable) -> [UInt32?] {
        var codes = [UInt32?](repeating: nil, count: few.count)
        let fewer = StringInterner(few)
        // A bit for each length modulo 64. A string of another length than the few is not hashed.
        var lengths: UInt64 = 0
        for i in 0..<few.count { lengths |= 1 &<< UInt64(few.range(i).count) }
        let heap = heap.span
        for i in 0..<count {
            let range = range(i)
            guard lengths & 1 &<< UInt64(range.count) != 0, let place = fewer.find(heap.extracting(range)) else { continue }
            codes[Int(place)] = UInt32(truncatingIfNeeded: i)
        }
        return codes
    }
}

extension StringInterner {
    fileprivate mutating func codes(of table: StringTable) -> [UInt32] {
        let heap = table.heap.span
        return (0..<table.count).map { code(heap.extracting(table.range($0))) }
    }
}

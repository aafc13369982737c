extension EventBatch {
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
            for row in 0..<batch.count {
                out.user.append(userCodes[Int(batch.user[row])])
                out.name.append(nameCodes[Int(batch.name[row])])
                out.ids.append(batch.ids.slice(row))
            }
            out.time += batch.time
            out.flags += batch.flags
            let first = UInt32(out.propertyKey.count)
            for end in batch.propertyStart.dropFirst() { out.propertyStart.append(first + end) }
            for p in batch.propertyKey.indices {
                out.propertyKey.append(keyCodes[Int(batch.propertyKey[p])])
                let bits = batch.propertyBits[p]
                out.propertyBits.append(batch.propertyTag[p] == Tag.string ? UInt64(stringCodes[Int(bits)]) : bits)
            }
            out.propertyTag += batch.propertyTag
        }
        (out.users, out.names, out.keys, out.strings) = (users.table, names.table, keys.table, strings.table)
        return out
    }
}

extension StringInterner {
    fileprivate mutating func codes(of table: StringTable) -> [UInt32] {
        let heap = table.heap.span
        return (0..<table.count).map { code(heap.extracting(table.range($0))) }
    }
}

import FunnelModel

/// The event names and property keys of a project, which are limited.
struct Catalogue: Equatable, Sendable {
    private(set) var names: Set<ByteString> = []
    private(set) var keys: Set<ByteString> = []

    /// Takes up what a segment uses.
    mutating func learn(_ footer: SegmentFooter) {
        for run in footer.runs { names.insert(run.name) }
        for column in footer.columns { if case .property(let key) = column.key { keys.insert(key) } }
    }

    /// Takes up what a batch that was stored uses.
    mutating func learn(_ batch: EventBatch) {
        let (newNames, newKeys) = unknown(batch)
        for name in newNames { names.insert(batch.names[name]) }
        for key in newKeys { keys.insert(batch.keys[key]) }
    }

    /// Takes up what a batch uses, as far as the limits allow, and tells which rows go beyond them.
    mutating func admit(_ batch: EventBatch, _ options: StoreOptions) -> [RejectedRow] {
        let (newNames, newKeys) = unknown(batch)
        if newNames.isEmpty && newKeys.isEmpty { return [] }
        if names.count + Set(newNames.map { batch.names[$0] }).count <= options.eventNamesMax,
            keys.count + Set(newKeys.map { batch.keys[$0] }).count <= options.propertyKeysMax {
            learn(batch)
            return []
        }
        let doubtfulNames = Set(newNames)
        let doubtfulKeys = Set(newKeys)
        var rejected: [RejectedRow] = []
        for row in 0..<batch.count {
            let code = Int(batch.name[row])
            let name = doubtfulNames.contains(code) ? batch.names[code] : nil
            var more: Set<ByteString> = []
            for p in Int(batch.propertyStart[row])..<Int(batch.propertyStart[row + 1]) {
                let key = Int(batch.propertyKey[p])
                if doubtfulKeys.contains(key), !keys.contains(batch.keys[key]) { more.insert(batch.keys[key]) }
            }
            if let name, !names.contains(name), names.count >= options.eventNamesMax {
                rejected.append(RejectedRow(row: row, code: .tooManyEventNames))
            } else if !more.isEmpty, keys.count + more.count > options.propertyKeysMax {
                rejected.append(RejectedRow(row: row, code: .tooManyPropertyKeys))
            } else {
                if let name { names.insert(name) }
                keys.formUnion(more)
            }
        }
        return rejected
    }

    /// Codes of names and keys that rows use and that are not known yet.
    private func unknown(_ batch: EventBatch) -> (names: [Int], keys: [Int]) {
        var usedNames = [Bool](repeating: false, count: batch.names.count)
        for name in batch.name { usedNames[Int(name)] = true }
        var usedKeys = [Bool](repeating: false, count: batch.keys.count)
        for key in batch.propertyKey { usedKeys[Int(key)] = true }
        return (
            usedNames.indices.filter { usedNames[$0] && !names.contains(batch.names[$0]) },
            usedKeys.indices.filter { usedKeys[$0] && !keys.contains(batch.keys[$0]) }
        )
    }
}

extension EventBatch {
    /// The batch with every column checked and properties in canonical order, so that what is logged can be read back.
    func checkedForStorage() throws(StoreError) -> EventBatch {
        if let fault { throw StoreError(.invalid, "batch: \(fault)") }
        var batch = self
        if ids.count == 0 && count > 0 {
            for _ in 0..<count { batch.ids.append([]) }
        }
        return batch.hasCanonicalProperties ? batch : EventBatchBuilder((0..<count).lazy.map { batch.event($0) }).finish()
    }

    /// The rows but for some.
    func without(_ rejected: [RejectedRow]) -> EventBatch {
        if rejected.isEmpty { return self }
        return gather(rowNumbers(without: rejected))
    }

    /// The number here of each row that `without` leaves.
    func rowNumbers(without rejected: [RejectedRow]) -> [Int] {
        let out = Set(rejected.map(\.row))
        return (0..<count).filter { !out.contains($0) }
    }

    private var fault: String? {
        if count > Limits.rowsPerBatch { return "\(count) rows, at most \(Limits.rowsPerBatch)" }
        if name.count != count || time.count != count || flags.count != count { return "columns differ in length" }
        if ids.count != count && ids.count != 0 { return "\(ids.count) event ids for \(count) rows" }
        if users.count > count || names.count > count { return "more users or names than rows" }
        if user.contains(where: { $0 >= users.count }) { return "a user code is out of range" }
        if name.contains(where: { $0 >= names.count }) { return "a name code is out of range" }
        if flags.contains(where: { $0 > Self.serverTimedFlag }) { return "a flag is unknown" }
        if let time = time.first(where: { !Limits.storableTimes.contains($0) }) { return "time \(time) is out of range" }
        if user.contains(where: { users.isEmpty(Int($0)) }) { return "a user is empty" }
        if name.contains(where: { names.isEmpty(Int($0)) }) { return "an event name is empty" }
        for (table, limit, what) in [
            (users, Limits.userIDBytes, "user"), (names, Limits.eventNameBytes, "event name"),
            (ids, Limits.eventIDBytes, "event id"), (keys, Limits.propertyKeyBytes, "property key"),
            (strings, Limits.propertyValueBytes, "property value"),
        ] {
            for i in 0..<table.count where table.range(i).count > limit {
                return "\(what) of \(table.range(i).count) bytes, at most \(limit)"
            }
        }
        return propertyFault
    }

    private var propertyFault: String? {
        if max(keys.count, strings.count) > count * Limits.propertiesPerEvent { return "more keys than properties" }
        if propertyTag.count != propertyKey.count || propertyBits.count != propertyKey.count
            || propertyStart.count != count + 1 || propertyStart.first != 0
            || Int(propertyStart[count]) != propertyKey.count { return "property columns differ in length" }
        for row in 0..<count {
            guard propertyStart[row + 1] >= propertyStart[row],
                propertyStart[row + 1] - propertyStart[row] <= UInt32(Limits.propertiesPerEvent)
            else { return "row \(row) has more than \(Limits.propertiesPerEvent) properties" }
        }
        for p in propertyKey.indices {
            if propertyKey[p] >= keys.count { return "a key code is out of range" }
            switch propertyTag[p] {
            case Tag.string: if propertyBits[p] >= UInt64(strings.count) { return "a string code is out of range" }
            case Tag.integer: break
            case Tag.double: if !Double(bitPattern: propertyBits[p]).isFinite { return "a double is not a finite number" }
            case Tag.bool: if propertyBits[p] > 1 { return "a boolean is \(propertyBits[p])" }
            default: return "property tag \(propertyTag[p]) is unknown"
            }
        }
        return nil
    }

    private var hasCanonicalProperties: Bool {
        let order = (0..<keys.count).sorted { keys.compare($0, with: keys, $1) < 0 }
        var rank = [Int](repeating: 0, count: keys.count)
        var ranks = 0
        for (i, key) in order.enumerated() {
            if i > 0 && keys.compare(order[i - 1], with: keys, key) != 0 { ranks += 1 }
            rank[key] = ranks
        }
        for row in 0..<count {
            for p in (Int(propertyStart[row]) + 1)..<max(Int(propertyStart[row]) + 1, Int(propertyStart[row + 1]))
            where rank[Int(propertyKey[p - 1])] >= rank[Int(propertyKey[p])] { return false }
        }
        return true
    }
}

import FunnelModel

/// The event names and property keys of a project, which are limited in number and in rate.
struct ProjectSchema: Equatable, Sendable {
    private(set) var names: Set<ByteString> = []
    private(set) var keys: Set<ByteString> = []
    private var nameRate = NameRate()
    private var keyRate = NameRate()

    /// The parts of a batch that are not stored.
    struct Refusal {
        var rows: [RejectedRow] = []
        /// By key code of the batch: whether properties with this key are left out. Empty: none.
        var keys: [Bool] = []
    }

    /// The limits on new names and keys.
    struct Admission {
        let options: StoreOptions
        /// Whether names and keys are exempt from the rate limit.
        let isRateFree: Bool
        /// Seconds since 1970.
        let now: UInt64

        /// Whether one more name or key fits, if there are `count`; takes a token from the rate if that applies.
        func hasRoom(_ count: Int, most: Int, _ rate: inout NameRate) -> Room {
            if count >= most { return .full }
            if isRateFree || options.newNamesPerHour == 0 || count < options.namesWithoutRate { return .free }
            return rate.take(now: now, perHour: options.newNamesPerHour) ? .free : .tooFast
        }
    }

    enum Room { case free, full, tooFast }

    /// Adds the names and keys of a segment file.
    mutating func learn(_ footer: SegmentFooter) {
        for run in footer.runs { names.insert(run.name) }
        for column in footer.columns { if case .property(let key) = column.key { keys.insert(key) } }
    }

    /// Adds the names and keys of a stored batch.
    mutating func learn(_ batch: EventBatch) {
        let (newNames, newKeys) = unknown(batch)
        for name in newNames { names.insert(batch.names[name]) }
        for key in newKeys { keys.insert(batch.keys[key]) }
    }

    /// Adds the names and keys of a batch, row by row, as far as the limits allow.
    /// - Returns: rows rejected for their names, and keys to leave out: a row without the property is better than no row.
    mutating func admit(_ batch: EventBatch, _ admission: Admission) -> Refusal {
        let (newNames, newKeys) = unknown(batch)
        var refusal = Refusal()
        if newNames.isEmpty && newKeys.isEmpty { return refusal }
        var isNewName = [Bool](repeating: false, count: batch.names.count)
        for name in newNames { isNewName[name] = true }
        var isNewKey = [Bool](repeating: false, count: newKeys.isEmpty ? 0 : batch.keys.count)
        for key in newKeys { isNewKey[key] = true }
        var refusedNames: [Int: RejectedRow.Code] = [:]
        for row in 0..<batch.count {
            let name = Int(batch.name[row])
            if isNewName[name] {
                isNewName[name] = false
                refusedNames[name] = take(name: batch.names[name], admission)
            }
            if !refusedNames.isEmpty, let code = refusedNames[name] {
                refusal.rows.append(RejectedRow(row: row, code: code))
                continue
            }
            if newKeys.isEmpty { continue }
            for p in Int(batch.propertyStart[row])..<Int(batch.propertyStart[row + 1]) {
                let key = Int(batch.propertyKey[p])
                guard isNewKey[key] else { continue }
                isNewKey[key] = false
                if take(key: batch.keys[key], admission) { continue }
                if refusal.keys.isEmpty { refusal.keys = [Bool](repeating: false, count: batch.keys.count) }
                refusal.keys[key] = true
            }
        }
        return refusal
    }

    private mutating func take(name: ByteString, _ admission: Admission) -> RejectedRow.Code? {
        if names.contains(name) { return nil }
        // A claim must not be lost to the names of events.
        if EventName.isReserved(name) {
            names.insert(name)
            return nil
        }
        switch admission.hasRoom(names.count, most: admission.options.eventNamesMax, &nameRate) {
        case .full: return .tooManyEventNames
        case .tooFast: return .eventNamesTooFast
        case .free: names.insert(name)
        }
        return nil
    }

    private mutating func take(key: ByteString, _ admission: Admission) -> Bool {
        if keys.contains(key) { return true }
        guard key == Claim.parentKey || admission.hasRoom(keys.count, most: admission.options.propertyKeysMax, &keyRate) == .free else {
            return false
        }
        keys.insert(key)
        return true
    }

    /// Codes of names and keys that rows use and the schema does not have.
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

    /// The batch without the rejected rows.
    func without(_ rejected: [RejectedRow]) -> EventBatch {
        if rejected.isEmpty { return self }
        return gather(rowNumbers(without: rejected))
    }

    /// Numbers of the rows that `without` keeps.
    func rowNumbers(without rejected: [RejectedRow]) -> [Int] {
        let out = Set(rejected.map(\.row))
        return (0..<count).filter { !out.contains($0) }
    }

    /// The batch without the properties of the refused keys, which are given by code; empty: none.
    func without(keys refused: [Bool]) -> EventBatch {
        if refused.isEmpty { return self }
        var out = self
        out.propertyStart = [0]
        (out.propertyKey, out.propertyTag, out.propertyBits) = ([], [], [])
        for row in 0..<count {
            for p in Int(propertyStart[row])..<Int(propertyStart[row + 1]) where !refused[Int(propertyKey[p])] {
                out.propertyKey.append(propertyKey[p])
                out.propertyTag.append(propertyTag[p])
                out.propertyBits.append(propertyBits[p])
            }
            out.propertyStart.append(UInt32(out.propertyKey.count))
        }
        // `gather` drops what the tables no longer need.
        return out.gather(Array(0..<count))
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
            || Int(propertyStart[count]) != propertyKey.count
        {
            return "property columns differ in length"
        }
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

import FunnelModel

/// Names and properties of a view, found without reading the rows of users. Rows are counted as they are stored: duplicates
/// count until they are merged, and rows of suppressed users count.
extension StoreView {
    /// Event names that begin with a prefix, with their rows and times. Profile records are left out.
    package func eventRows(prefix: ByteString) -> [ByteString: EventRows] {
        var found: [ByteString: EventRows] = [:]
        func isListed(_ name: ByteString) -> Bool {
            name.bytes.starts(with: prefix.bytes) && !EventName.profiles.contains(name) && !EventName.isReserved(name)
        }
        func add(_ name: ByteString, _ entry: EventRows) { found[name] = found[name]?.merging(entry) ?? entry }
        for run in segments.flatMap(\.footer.runs) where isListed(run.name) {
            add(run.name, EventRows(rows: UInt64(run.rows), times: run.minTime...run.maxTime))
        }
        for (name, code) in nameCodes where isListed(name) {
            for run in memtable.runs {
                let rows = run.rows(ofName: code)
                let times = run.time[rows]
                guard let first = times.min(), let last = times.max() else { continue }
                add(name, EventRows(rows: UInt64(rows.count), times: first...last))
            }
        }
        return found
    }

    /// Property keys and the kinds of their values.
    /// - Parameters:
    ///   - event: only rows of this name; nil is all rows.
    ///   - isCancelled: called once per column of a segment file.
    /// - Throws: `.cancelled`, `.corrupt`.
    package func propertyRows(event: ByteString?, isCancelled: () -> Bool) throws(StoreError) -> [ByteString: PropertyRows] {
        var found: [ByteString: PropertyRows] = [:]
        for segment in segments {
            let rows = event.map { segment.run($0)?.range ?? 0..<0 } ?? 0..<segment.record.rows
            if rows.isEmpty { continue }
            for column in segment.footer.columns {
                if isCancelled() { throw StoreError(.cancelled, "cancelled") }
                guard case .property(let key) = column.key, key != Claim.parentKey else { continue }
                let entry = try segment.kinds(of: column.key, rows: rows)
                if entry.rows > 0 { found[key] = found[key]?.merging(entry) ?? entry }
            }
        }
        addMemory(event, to: &found)
        return found
    }

    private func addMemory(_ event: ByteString?, to found: inout [ByteString: PropertyRows]) {
        let wanted = event.map { nameCodes[$0] }
        if case .some(nil) = wanted { return }
        for stored in memtable.batches {
            let batch = stored.batch
            var entries = Array(repeating: PropertyRows(), count: batch.keys.count)
            for row in 0..<batch.count {
                if let wanted, stored.names[Int(batch.name[row])] != wanted { continue }
                for p in Int(batch.propertyStart[row])..<Int(batch.propertyStart[row + 1]) {
                    entries[Int(batch.propertyKey[p])].add(tag: batch.propertyTag[p])
                }
            }
            for (code, entry) in entries.enumerated() where entry.rows > 0 {
                let key = batch.keys[code]
                if key == Claim.parentKey { continue }
                found[key] = found[key]?.merging(entry) ?? entry
            }
        }
    }
}

extension Segment {
    /// How many of some rows have a value of a column, by kind.
    fileprivate func kinds(of key: ColumnKey, rows: Range<Int>) throws(StoreError) -> PropertyRows {
        var found = PropertyRows()
        for page in (rows.lowerBound / KeyPage.rows)...((rows.upperBound - 1) / KeyPage.rows) {
            let first = page * KeyPage.rows
            let mine = max(0, rows.lowerBound - first)..<min(KeyPage.rows, rows.upperBound - first)
            if let entry = try read(
                key, page,
                { bytes, pageRows throws(ByteError) in
                    try ColumnPage.kinds(bytes, pageRows: pageRows, of: mine)
                })
            {
                found = found.merging(entry)
            }
        }
        return found
    }
}

extension ColumnPage {
    /// The kinds of the values of some rows of a page; the values themselves are not read.
    fileprivate static func kinds(_ bytes: [UInt8], pageRows: Int, of rows: Range<Int>) throws(ByteError) -> PropertyRows {
        var reader = ByteReader(bytes)
        let head = try head(&reader, pageRows: pageRows)
        let tags = head.tag == nil ? try tags(&reader, head) : []
        var found = PropertyRows()
        guard let bitmap = head.bitmap else {
            if let tag = head.tag { found.add(tag: tag, rows: rows.count) } else { for row in rows { found.add(tag: tags[row]) } }
            return found
        }
        var value = 0
        for row in 0..<rows.upperBound where bytes[bitmap.lowerBound + row >> 3] >> UInt8(row & 7) & 1 == 1 {
            if row >= rows.lowerBound { found.add(tag: head.tag ?? tags[value]) }
            value += 1
        }
        return found
    }
}

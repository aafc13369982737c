import FunnelModel

/// Reads a whole store without changing it, and checks every checksum and every order.
package enum StoreVerifier {
    /// - Parameter report: given one line for each thing read and each fault found.
    /// - Returns: whether all is well. An unfinished record at the end of the last log is well, and told.
    package static func verify<Files: FileSystem>(
        directory: String, files: Files, report: (String) -> Void
    ) -> Bool {
        do throws(StoreError) {
            let listing = try DirectoryListing(directory, files)
            // Held to the end, so that no store starts to write meanwhile.
            let lock = try? files.open("\(directory)/\(FileName.lock)", .read)
            if let lock, try !io({ () throws(FileError) in try lock.lock() }) {
                throw StoreError(.locked, "\(directory) is in use by another process")
            }
            defer { withExtendedLifetime(lock) {} }
            guard let identity = try listing.identity(directory, files) else {
                throw StoreError(.corrupt, "\(directory): no \(FileName.identity)")
            }
            report("\(FileName.identity): cluster \(identity.clusterID), shard \(identity.shard) of "
                + "\(identity.shardCount), epoch \(identity.epoch)")
            let bytes = try io { () throws(FileError) in try files.readWhole("\(directory)/\(FileName.manifest)") }
            let manifest = try Manifest.decode(bytes, identity)
            report("\(FileName.manifest): generation \(manifest.generation), \(manifest.segments.count) segments, "
                + "logs from \(FileName.log(manifest.firstLog))")
            var isWell = true
            for record in manifest.segments {
                do throws(StoreError) {
                    let segment = try Segment.open(record, directory: directory, files: files, identity: identity)
                    try check(segment, rowsBelow: manifest.nextRow)
                    report("\(FileName.segment(record.number)): project \(record.project), \(record.rows) rows in "
                        + "\(segment.blocks.count) blocks")
                } catch {
                    isWell = false
                    report(error.description)
                }
            }
            try checkLogs(listing, manifest, identity, directory, files, report)
            return isWell
        } catch {
            report(error.description)
            return false
        }
    }

    private static func checkLogs<Files: FileSystem>(
        _ listing: DirectoryListing, _ manifest: Manifest, _ identity: StoreIdentity, _ directory: String,
        _ files: Files, _ report: (String) -> Void
    ) throws(StoreError) {
        var nextRecord = manifest.nextRecord
        var nextRow = manifest.nextRow
        let last = max(manifest.firstLog, listing.logs.last ?? 0)
        for number in manifest.firstLog...last {
            let name = FileName.log(number)
            let file = try io { () throws(FileError) in try files.open("\(directory)/\(name)", .read) }
            var log = try LogReplay(
                file: file, number: number, nextRecord: nextRecord, isLast: number == last, identity: identity)
            while let body = try log.next() {
                guard case .appends(let firstRow, let appends) = body else { continue }
                guard firstRow == nextRow else {
                    throw .corrupt(name, offset: log.offset, expected: "rows from \(nextRow)", found: "\(firstRow)")
                }
                nextRow += UInt64(appends.reduce(0) { $0 + $1.batch.count })
            }
            report("\(name): \(log.nextRecord - nextRecord) records in \(log.offset) bytes")
            if log.offset < log.size {
                report("\(name): \(log.size - log.offset) bytes of an unfinished record at offset \(log.offset)")
            }
            nextRecord = log.nextRecord
        }
    }

    private static func check(_ segment: Segment, rowsBelow: UInt64) throws(StoreError) {
        let name = FileName.segment(segment.record.number)
        var previous: SortedRows?
        for (number, block) in segment.blocks.enumerated() {
            let rows = try segment.read(block: number, ids: true, properties: true)
            if let fault = fault(rows, block, segment.footer.names, after: previous, rowsBelow: rowsBelow) {
                throw .corrupt(name, offset: block.offset, expected: "block \(number) in order", found: fault)
            }
            previous = rows
        }
    }

    private static func fault(
        _ rows: SortedRows, _ block: BlockEntry, _ names: StringTable, after previous: SortedRows?, rowsBelow: UInt64
    ) -> String? {
        let batch = rows.batch
        for user in 1..<max(1, rows.users) where batch.users.compare(user - 1, with: batch.users, user) >= 0 {
            return "users out of order"
        }
        for row in 1..<max(1, rows.count)
        where batch.user[row] == batch.user[row - 1] && rowOrder(batch, row - 1, batch, row) > 0 {
            return "rows \(row - 1) and \(row) out of order"
        }
        if let before = previous?.batch {
            let users = before.users.compare(before.users.count - 1, with: batch.users, 0)
            if users > 0 || (users == 0 && rowOrder(before, before.count - 1, batch, 0) > 0) {
                return "rows before those of the block before"
            }
        }
        if batch.users[0] != block.firstUser || batch.users[rows.users - 1] != block.lastUser {
            return "other users than the index tells"
        }
        if batch.time.min() != block.minTime || batch.time.max() != block.maxTime {
            return "other times than the index tells"
        }
        let indexed = Set(block.names.map { names[Int($0)] })
        if indexed != Set((0..<batch.names.count).map { batch.names[$0] }) { return "other names than the index tells" }
        if let late = rows.sequence.max(), late >= rowsBelow { return "row \(late) of \(rowsBelow)" }
        return nil
    }
}

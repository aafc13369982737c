import FunnelModel

/// Reads a whole store without changing it, and checks all checksums and the order of rows.
package enum StoreVerifier {
    package enum Verdict: Equatable, Sendable {
        case good, damaged
        /// A process has the directory open; what it writes meanwhile would look like damage.
        case inUse
        /// There is no such directory, or it holds no file of a shard.
        case notAShard
    }

    /// Whether the store has no damage. An unfinished record at the end of the last log is no damage, but is reported.
    /// - Parameter report: called with one line for each file read and each fault found.
    package static func verify<Files: FileSystem>(directory: String, files: Files, report: (String) -> Void) -> Bool {
        verdict(directory: directory, files: files, report: report) == .good
    }

    /// Checks the store and says what it is.
    /// - Parameter report: called with one line for each file read and each fault found.
    package static func verdict<Files: FileSystem>(directory: String, files: Files, report: (String) -> Void) -> Verdict {
        let listing: DirectoryListing
        do throws(StoreError) {
            listing = try DirectoryListing(directory, files)
        } catch {
            report(error.message)
            return .notAShard
        }
        if listing.isEmpty, !listing.hasIdentity {
            report("\(directory) holds no file of a shard")
            return .notAShard
        }
        do throws(StoreError) {
            // Held to the end, so that no store begins to write meanwhile.
            let lock = try? files.open("\(directory)/\(FileName.lock)", .read)
            if let lock, try !io({ () throws(FileError) in try lock.lock() }) {
                throw StoreError(.locked, "\(directory) is in use by another process")
            }
            defer { withExtendedLifetime(lock) {} }
            guard let (identity, format) = try listing.identity(directory, files) else {
                throw StoreError(.corrupt, "\(directory): no \(FileName.identity)")
            }
            report(
                "\(FileName.identity): cluster \(idText(identity.clusterID)), shard \(identity.shard) of "
                    + "\(identity.shardCount), epoch \(identity.epoch), format \(format)")
            let bytes = try io { () throws(FileError) in try files.readWhole("\(directory)/\(FileName.manifest)") }
            let manifest = try Manifest.decode(bytes, FileOwner(identity: identity))
            let owner = FileOwner(identity: identity, formerClusters: manifest.formerClusters)
            report(
                "\(FileName.manifest): generation \(manifest.generation), \(manifest.segments.count) segments, "
                    + "logs from \(FileName.log(manifest.firstLog))")
            let access = SegmentAccess(directory: directory, files: files, damage: DamageList { _ in }, mappingsMax: 1)
            var isWell = true
            for record in manifest.userFiles {
                do throws(StoreError) {
                    _ = try UserFile(record, directory: directory, files: files, owner: owner)
                    report("\(FileName.users(record.number)): project \(record.project), \(record.users) users")
                } catch {
                    isWell = false
                    report(error.description)
                }
            }
            for record in manifest.segments {
                do throws(StoreError) {
                    let segment = try Segment.open(record, directory: directory, files: files, owner: owner, access)
                    try check(segment)
                    report(
                        "\(FileName.segment(record.number)): project \(record.project), \(record.rows) rows in "
                            + "\(segment.footer.pages.count) pages")
                } catch {
                    isWell = false
                    report(error.description)
                }
            }
            try checkLogs(OpenLogs(listing, manifest, directory, files, owner), from: manifest.nextRecord, report)
            return isWell ? .good : .damaged
        } catch {
            report(error.description)
            return error.code == .locked ? .inUse : .damaged
        }
    }

    private static func checkLogs<Files: FileSystem>(
        _ logs: OpenLogs<Files>, from first: UInt64, _ report: (String) -> Void
    ) throws(StoreError) {
        var nextRecord = first
        for number in logs.numbers {
            let name = FileName.log(number)
            var log = try logs.open(number, nextRecord: nextRecord)
            while try log.next() != nil {}
            report("\(name): \(log.nextRecord - nextRecord) records in \(log.offset) bytes")
            if log.isTorn { report("\(name): \(log.size - log.offset) bytes of an unfinished record at offset \(log.offset)") }
            nextRecord = log.nextRecord
        }
    }

    /// Checks every page of every column, the order of the rows, and the times of the runs.
    private static func check(_ segment: Segment) throws(StoreError) {
        let name = FileName.segment(segment.record.number)
        for run in segment.footer.runs {
            var previous: (ordinal: UInt32, time: Int64)?
            var times = (least: Int64.max, greatest: Int64.min)
            for page in (run.firstRow / KeyPage.rows)...((run.range.upperBound - 1) / KeyPage.rows) {
                let rows = try segment.rows(ofPage: page)
                let first = page * KeyPage.rows
                for row in max(0, run.firstRow - first)..<min(rows.ordinals.count, run.range.upperBound - first) {
                    let now = (rows.ordinals[row], rows.times[row])
                    if let previous, previous > now {
                        throw .corrupt(
                            name, offset: segment.footer.pages[page].offset, expected: "rows in order", found: "row \(row) out of order")
                    }
                    previous = now
                    times = (min(times.least, now.1), max(times.greatest, now.1))
                }
            }
            guard times == (run.minTime, run.maxTime), SegmentFormat.month(of: times.least) == segment.record.month,
                SegmentFormat.month(of: times.greatest) == segment.record.month
            else { throw .corrupt(name, offset: 0, expected: "times of \(run.name) as in the footer", found: "others") }
        }
        for column in segment.footer.columns {
            for page in try segment.directory(of: column.key)?.pages ?? [] { _ = try segment.column(column.key, page: page) }
        }
    }
}

extension Segment {
    /// Ordinals of a key page's rows, and their times in microseconds.
    fileprivate func rows(ofPage number: Int) throws(StoreError) -> (ordinals: [UInt32], times: [Int64]) {
        let file = try bytes()
        let view = try keyPage(number, file)
        var ordinals: [UInt32] = []
        var times: [Int64] = []
        var unpacked = [UInt32](repeating: 0, count: 3 * KeyPage.packRows)
        for start in stride(from: 0, to: view.rows, by: KeyPage.packRows) {
            guard let pack = view.pack(start / KeyPage.packRows) else { throw damaged(page: number) }
            unsafe unpacked.withUnsafeMutableBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                unsafe view.unpack(pack, ordinals: base, low: base + KeyPage.packRows, high: base + 2 * KeyPage.packRows)
            }
            for i in 0..<min(KeyPage.packRows, view.rows - start) {
                ordinals.append(unpacked[i])
                let high = pack.highWidth == 0 ? 0 : UInt64(unpacked[2 * KeyPage.packRows + i]) << 32
                let time = Int64(bitPattern: pack.leastTime &+ UInt64(unpacked[KeyPage.packRows + i]) &+ high)
                times.append(time.multipliedReportingOverflow(by: view.unit.microseconds).partialValue)
            }
        }
        try check(file)
        return (ordinals, times)
    }
}

import FunnelCodec
import FunnelModel
import Synchronization

/// An immutable, mapped segment. Opening it reads header, footer and trailer; everything else is checked when it is read.
final class Segment: Sendable {
    let record: SegmentRecord
    let footer: SegmentFooter
    private let file: FileBytes
    /// Directories that were read already.
    private let directories = Mutex<[ColumnKey: ColumnDirectory]>([:])
    private let recent = RecentPages()

    var name: String { FileName.segment(record.number) }

    static func open<Files: FileSystem>(
        _ record: SegmentRecord, directory: String, files: Files, owner: FileOwner
    ) throws(StoreError) -> Segment {
        let path = "\(directory)/\(FileName.segment(record.number))"
        return try Segment(record, try io { () throws(FileError) in try files.open(path, .read).map() }, owner)
    }

    private init(_ record: SegmentRecord, _ file: FileBytes, _ owner: FileOwner) throws(StoreError) {
        self.record = record
        self.file = file
        let name = FileName.segment(record.number)
        guard file.count == record.bytes, file.count >= StorageFormat.segmentHeaderBytes + StorageFormat.segmentTrailerBytes else {
            throw .corrupt(name, offset: 0, expected: "\(record.bytes) bytes", found: "\(file.count)")
        }
        let seed = try SegmentFormat.checkHeader(
            file.bytes(0..<StorageFormat.segmentHeaderBytes), number: record.number, project: record.project, owner, file: name)
        let end = file.count - StorageFormat.segmentTrailerBytes
        let footerOffset = Int(clamping: file.load(end, as: UInt64.self))
        let footerBytes = Int(clamping: file.load(end + 8, as: UInt64.self))
        let checksum: UInt32 = file.load(end + 16)
        guard checksum == record.footerChecksum, footerOffset >= StorageFormat.segmentHeaderBytes, footerBytes >= 0, footerOffset <= end,
            footerBytes == end - footerOffset,
            file.bytes(end..<file.count) == SegmentFormat.trailer(footerOffset: footerOffset, footerBytes: footerBytes, checksum: checksum)
        else { throw .corrupt(name, offset: end, expected: "the trailer that the manifest tells of", found: "another") }
        let sum = file.checksum(footerOffset..<end, seed: seed)
        guard sum == checksum else {
            throw .corrupt(name, offset: footerOffset, expected: "footer checksum \(hex(checksum))", found: hex(sum))
        }
        do throws(ByteError) {
            var reader = ByteReader(file.bytes(footerOffset..<end))
            footer = try SegmentFooter.decode(&reader, fileBytes: footerOffset)
            try reader.finish("footer")
        } catch {
            throw .corrupt(name, offset: footerOffset + error.offset, expected: "a footer", found: error.reason)
        }
        guard footer.rows == record.rows else {
            throw .corrupt(name, offset: footerOffset, expected: "\(record.rows) rows", found: "\(footer.rows)")
        }
        let month = record.month
        guard footer.runs.allSatisfy({ SegmentFormat.month(of: $0.minTime) == month && SegmentFormat.month(of: $0.maxTime) == month }) else {
            throw .corrupt(name, offset: footerOffset, expected: "rows of month \(month)", found: "others")
        }
    }

    /// The run of an event name.
    func run(_ name: ByteString) -> RunEntry? {
        var low = 0
        var high = footer.runs.count
        while low < high {
            let middle = (low + high) / 2
            if footer.runs[middle].name < name { low = middle + 1 } else { high = middle }
        }
        return low < footer.runs.count && footer.runs[low].name == name ? footer.runs[low] : nil
    }

    /// A key page, its checksum verified. The view is good while the segment is kept.
    func keyPage(_ number: Int) throws(StoreError) -> KeyPageView {
        let entry = footer.pages[number]
        try verify(offset: entry.offset, bytes: entry.bytes, checksum: entry.checksum)
        let rows = min(KeyPage.rows, record.rows - number * KeyPage.rows)
        guard let pointer = unsafe file.pointer(at: entry.offset, need: entry.bytes),
            let view = unsafe KeyPageView(pointer, bytes: entry.bytes), view.rows == rows
        else { throw .corrupt(name, offset: entry.offset, expected: "a page of \(rows) rows", found: "none") }
        return view
    }

    func damaged(page number: Int) -> StoreError {
        .corrupt(name, offset: footer.pages[number].offset, expected: "packs inside the page", found: "others")
    }

    func hasColumn(_ key: ColumnKey) -> Bool { footer.columns.contains { $0.key == key } }

    /// The column's values in a page, rows counted from the page's first; none where no row has one.
    func column(_ key: ColumnKey, page: Int) throws(StoreError) -> ColumnValues {
        try read(key, page) { bytes, rows throws(ByteError) in try ColumnPage.decode(bytes, pageRows: rows) } ?? ColumnValues()
    }

    /// The same as codes; nil where no row of the page has a value.
    func codedColumn(_ key: ColumnKey, page: Int) throws(StoreError) -> CodedPage? {
        try read(key, page) { bytes, rows throws(ByteError) in try CodedPage.decode(bytes, pageRows: rows) }
    }

    /// Which rows of a page meet a condition on a column: at least as many flags as the page has rows.
    func flags(_ test: ColumnTest, of key: ColumnKey, page: Int) throws(StoreError) -> [UInt8] {
        try read(key, page) { bytes, rows throws(ByteError) in try test.flags(bytes, pageRows: rows) }
            ?? [UInt8](repeating: test.absent, count: KeyPage.rows)
    }

    /// nil where no row of the page has a value.
    func read<T>(_ key: ColumnKey, _ page: Int, _ body: ([UInt8], Int) throws(ByteError) -> T) throws(StoreError) -> T? {
        guard let directory = try directory(of: key), let chunk = directory.chunk(ofPage: page) else { return nil }
        let bytes = try read(chunk)
        let rows = min(KeyPage.rows, record.rows - page * KeyPage.rows)
        do throws(ByteError) { return try body(bytes, rows) } catch {
            throw .corrupt(name, offset: chunk.offset + error.offset, expected: "a column page", found: error.reason)
        }
    }

    /// The pages that hold values of a column; nil where the segment has no such column.
    func directory(of key: ColumnKey) throws(StoreError) -> ColumnDirectory? {
        if let known = directories.withLock({ $0[key] }) { return known }
        guard let column = footer.columns.first(where: { $0.key == key }) else { return nil }
        let bytes = try read(column.directory)
        do throws(ByteError) {
            let directory = try ColumnDirectory.decode(bytes, pages: footer.pages.count, fileBytes: file.count)
            directories.withLock { $0[key] = directory }
            return directory
        } catch {
            throw .corrupt(name, offset: column.directory.offset + error.offset, expected: "a column directory", found: error.reason)
        }
    }

    private func read(_ chunk: ChunkEntry) throws(StoreError) -> [UInt8] {
        try verify(offset: chunk.offset, bytes: chunk.bytes, checksum: chunk.checksum)
        return file.bytes(chunk.offset..<(chunk.offset + chunk.bytes))
    }

    private func verify(offset: Int, bytes: Int, checksum: UInt32) throws(StoreError) {
        var sum = checksum
        let holds = recent.holds(offset) {
            sum = file.checksum(offset..<(offset + bytes))
            return sum == checksum && file.count - offset >= bytes
        }
        guard holds else { throw .corrupt(name, offset: offset, expected: "checksum \(hex(checksum))", found: hex(sum)) }
    }
}

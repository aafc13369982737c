import Codec
import FunnelModel
import Glibc
import Synchronization

/// Shared by all segment files of a store: mappings, the list of damage, access to files by name.
struct SegmentAccess: Sendable {
    let maps: SegmentMaps
    let damage: DamageList
    /// Maps the file of a name.
    let map: @Sendable (String) throws(FileError) -> FileBytes
    let remove: @Sendable (String) -> Void
    let size: @Sendable (String) -> Int?

    init<Files: FileSystem>(directory: String, files: Files, damage: DamageList, mappingsMax: Int) {
        maps = SegmentMaps(most: mappingsMax)
        self.damage = damage
        map = { (name: String) throws(FileError) in try files.open("\(directory)/\(name)", .read).map() }
        remove = { name in try? files.remove("\(directory)/\(name)") }
        size = { name in files.size("\(directory)/\(name)") }
    }
}

/// An open segment file, which is immutable. Opening reads and checks header, footer and trailer; everything else is checked
/// when it is read. The file is mapped while it is used.
final class Segment: Sendable {
    let record: SegmentRecord
    let footer: SegmentFooter
    private let access: SegmentAccess
    /// Directories that were read already.
    private let directories = Mutex<[ColumnKey: ColumnDirectory]>([:])
    private let recent = RecentPages()
    private let isObsolete = Atomic<Bool>(false)

    var name: String { FileName.segment(record.number) }

    static func open<Files: FileSystem>(
        _ record: SegmentRecord, directory: String, files: Files, owner: FileOwner, _ access: SegmentAccess
    ) throws(StoreError) -> Segment {
        let path = "\(directory)/\(FileName.segment(record.number))"
        let file: Files.File
        do throws(FileError) {
            file = try files.open(path, .read)
        } catch {
            guard error.code == ENOENT else { throw StoreError(error) }
            throw .corrupt(FileName.segment(record.number), offset: 0, expected: "a file", found: "none")
        }
        return try Segment(record, file, owner, access)
    }

    private init(_ record: SegmentRecord, _ file: some StorageFile, _ owner: FileOwner, _ access: SegmentAccess) throws(StoreError) {
        self.record = record
        self.access = access
        let name = FileName.segment(record.number)
        let size = try io { () throws(FileError) in try file.size() }
        let headerBytes = StorageFormat.segmentHeaderBytes
        guard size == record.bytes, size >= headerBytes + StorageFormat.segmentTrailerBytes else {
            throw .corrupt(name, offset: 0, expected: "\(record.bytes) bytes", found: "\(size)")
        }
        func read(_ range: Range<Int>) throws(StoreError) -> [UInt8] {
            let bytes = try io { () throws(FileError) in try file.read(at: range.lowerBound, count: range.count) }
            guard bytes.count == range.count else {
                throw .corrupt(name, offset: range.lowerBound, expected: "\(range.count) bytes", found: "\(bytes.count)")
            }
            return bytes
        }
        let seed = try SegmentFormat.checkHeader(
            try read(0..<headerBytes), number: record.number, project: record.project, owner, file: name)
        let end = size - StorageFormat.segmentTrailerBytes
        let trailer = FileBytes(try read(end..<size))
        let footerOffset = Int(clamping: trailer.load(0, as: UInt64.self))
        let footerBytes = Int(clamping: trailer.load(8, as: UInt64.self))
        let checksum: UInt32 = trailer.load(16)
        guard checksum == record.footerChecksum, footerOffset >= headerBytes, footerBytes >= 0, footerOffset <= end,
            footerBytes == end - footerOffset,
            trailer.bytes(0..<trailer.count)
                == SegmentFormat.trailer(footerOffset: footerOffset, footerBytes: footerBytes, checksum: checksum)
        else { throw .corrupt(name, offset: end, expected: "the trailer that the manifest expects", found: "another") }
        let stored = try read(footerOffset..<end)
        let sum = CRC32C.checksum(stored, seed: seed)
        guard sum == checksum else {
            throw .corrupt(name, offset: footerOffset, expected: "footer checksum \(hex(checksum))", found: hex(sum))
        }
        do throws(ByteError) {
            var reader = ByteReader(stored)
            footer = try SegmentFooter.decode(&reader, fileBytes: footerOffset)
            try reader.finish("footer")
        } catch {
            throw .corrupt(name, offset: footerOffset + error.offset, expected: "a footer", found: error.reason)
        }
        guard footer.rows == record.rows else {
            throw .corrupt(name, offset: footerOffset, expected: "\(record.rows) rows", found: "\(footer.rows)")
        }
        let month = record.month
        guard footer.runs.allSatisfy({ SegmentFormat.month(of: $0.minTime) == month && SegmentFormat.month(of: $0.maxTime) == month })
        else {
            throw .corrupt(name, offset: footerOffset, expected: "rows of month \(month)", found: "rows of other months")
        }
    }

    deinit {
        access.maps.forget(record.number)
        if isObsolete.load(ordering: .acquiring) { access.remove(name) }
    }

    /// Call when another file has the rows: removes the file once no view reads it.
    func retire() {
        isObsolete.store(true, ordering: .releasing)
        access.damage.forget(record.number)
    }

    /// The whole file, mapped as long as the value is kept. What was read from it is valid only if `check` passes afterwards.
    func bytes() throws(StoreError) -> FileBytes {
        let bytes = try access.maps.bytes(record.number) { () throws(StoreError) in
            let bytes: FileBytes
            do throws(FileError) { bytes = try access.map(name) } catch {
                if error.isNoSpace { throw StoreError(error) }
                throw corrupt(offset: 0, expected: "a file that can be read", found: error.description)
            }
            return bytes
        }
        // If the file was cut, the rest of its last memory page reads as zeros without any error: so the size is checked too.
        let size = access.size(name) ?? bytes.count
        guard bytes.count == record.bytes, size == record.bytes else {
            access.maps.forget(record.number)
            throw corrupt(offset: 0, expected: "\(record.bytes) bytes", found: "\(min(size, bytes.count))")
        }
        return bytes
    }

    /// Call after bytes were read: throws if some of them could not be read.
    func check(_ bytes: FileBytes) throws(StoreError) {
        if bytes.isIntact { return }
        // The next reader maps the file again and sees what is left of it.
        access.maps.forget(record.number)
        throw corrupt(offset: 0, expected: "\(record.bytes) bytes that can be read", found: "fewer")
    }

    /// Reports damage of the file; every damage that is found passes here.
    private func corrupt(offset: Int, expected: String, found: String) -> StoreError {
        let error = StoreError.corrupt(name, offset: offset, expected: expected, found: found)
        access.damage.report(record.number, DamagedFile(name: name, project: record.project, month: record.month, reason: error.message))
        return error
    }

    /// The run of an event name; nil if there is none.
    func run(_ name: ByteString) -> RunEntry? {
        let i = footer.runs.indices.partitioningIndex { footer.runs[$0].name >= name }
        return i < footer.runs.count && footer.runs[i].name == name ? footer.runs[i] : nil
    }

    /// A key page whose checksum was verified. The view is valid while `file`, the bytes of this file, is kept.
    func keyPage(_ number: Int, _ file: FileBytes) throws(StoreError) -> KeyPageView {
        let entry = footer.pages[number]
        try verify(file, offset: entry.offset, bytes: entry.bytes, checksum: entry.checksum)
        let rows = min(KeyPage.rows, record.rows - number * KeyPage.rows)
        guard let pointer = unsafe file.pointer(at: entry.offset, need: entry.bytes),
            let view = unsafe KeyPageView(pointer, bytes: entry.bytes), view.rows == rows
        else { throw corrupt(offset: entry.offset, expected: "a page of \(rows) rows", found: "none") }
        return view
    }

    func damaged(page number: Int) -> StoreError {
        corrupt(offset: footer.pages[number].offset, expected: "packs inside the page", found: "one that reaches beyond it")
    }

    func hasColumn(_ key: ColumnKey) -> Bool { footer.columns.contains { $0.key == key } }

    /// The column's values in a page, with rows counted from the page's first; empty if no row has a value.
    func column(_ key: ColumnKey, page: Int) throws(StoreError) -> ColumnValues {
        try read(key, page) { bytes, rows throws(ByteError) in try ColumnPage.decode(bytes, pageRows: rows) } ?? ColumnValues()
    }

    /// The same as codes; nil if no row of the page has a value.
    func codedColumn(_ key: ColumnKey, page: Int) throws(StoreError) -> CodedPage? {
        try read(key, page) { bytes, rows throws(ByteError) in try CodedPage.decode(bytes, pageRows: rows) }
    }

    /// For each row of a page 1 if it meets a condition on a column, else 0; more bytes without meaning may follow.
    func flags(_ test: ColumnTest, of key: ColumnKey, page: Int) throws(StoreError) -> [UInt8] {
        try read(key, page) { bytes, rows throws(ByteError) in try test.flags(bytes, pageRows: rows) }
            ?? [UInt8](repeating: test.absent, count: KeyPage.rows)
    }

    /// Reads a column page; nil if no row of the page has a value. `body` gets its bytes and the number of the page's rows.
    func read<T>(_ key: ColumnKey, _ page: Int, _ body: ([UInt8], Int) throws(ByteError) -> T) throws(StoreError) -> T? {
        guard let directory = try directory(of: key), let chunk = directory.chunk(ofPage: page) else { return nil }
        let bytes = try read(chunk)
        let rows = min(KeyPage.rows, record.rows - page * KeyPage.rows)
        do throws(ByteError) { return try body(bytes, rows) } catch {
            throw corrupt(offset: chunk.offset + error.offset, expected: "a column page", found: error.reason)
        }
    }

    /// The directory of a column, read at first use; nil if the file has no such column.
    func directory(of key: ColumnKey) throws(StoreError) -> ColumnDirectory? {
        if let known = directories.withLock({ $0[key] }) { return known }
        guard let column = footer.columns.first(where: { $0.key == key }) else { return nil }
        let bytes = try read(column.directory)
        do throws(ByteError) {
            let directory = try ColumnDirectory.decode(bytes, pages: footer.pages.count, fileBytes: record.bytes)
            directories.withLock { $0[key] = directory }
            return directory
        } catch {
            throw corrupt(offset: column.directory.offset + error.offset, expected: "a column directory", found: error.reason)
        }
    }

    private func read(_ chunk: ChunkEntry) throws(StoreError) -> [UInt8] {
        let file = try bytes()
        try verify(file, offset: chunk.offset, bytes: chunk.bytes, checksum: chunk.checksum)
        let bytes = file.bytes(chunk.offset..<(chunk.offset + chunk.bytes))
        try check(file)
        return bytes
    }

    private func verify(_ file: FileBytes, offset: Int, bytes: Int, checksum: UInt32) throws(StoreError) {
        var sum = checksum
        let holds = recent.holds(offset) {
            sum = file.checksum(offset..<(offset + bytes))
            return sum == checksum && file.count - offset >= bytes
        }
        guard holds else { throw corrupt(offset: offset, expected: "checksum \(hex(checksum))", found: hex(sum)) }
    }
}

import FunnelCodec
import FunnelModel

/// What the manifest says of a segment.
struct SegmentRecord: Equatable, Sendable {
    var number: UInt64
    var project: UInt32
    var bytes: Int
    var rows: Int
    /// The checksum of the footer, so that an older file of the same number is caught.
    var footerChecksum: UInt32
}

/// An immutable file of sorted rows. Readers hold it; its descriptor closes with the last of them. It is not generic,
/// nor is anything on a scan's path: generic code is specialised within this module alone, and slow elsewhere.
final class Segment: Sendable {
    let record: SegmentRecord
    let footer: SegmentFooter
    /// Bytes from an offset on; keeps the file open.
    private let readBytes: @Sendable (_ offset: Int, _ count: Int) throws(FileError) -> [UInt8]
    private let name: String

    var blocks: [BlockEntry] { footer.blocks }

    private init(record: SegmentRecord, footer: SegmentFooter, file: some StorageFile, name: String) {
        self.record = record
        self.footer = footer
        self.name = name
        readBytes = { (offset, count) throws(FileError) in try file.read(at: offset, count: count) }
    }

    /// Opens a segment and checks all but its blocks.
    static func open<Files: FileSystem>(
        _ record: SegmentRecord, directory: String, files: Files, identity: StoreIdentity
    ) throws(StoreError) -> Segment {
        let name = FileName.segment(record.number)
        let file: Files.File
        let size: Int
        let header: [UInt8]
        let trailer: [UInt8]
        do throws(FileError) {
            file = try files.open("\(directory)/\(name)", .read)
            size = try file.size()
            header = try file.read(at: 0, count: StorageFormat.segmentHeaderBytes)
            trailer = try file.read(
                at: size - StorageFormat.segmentTrailerBytes, count: StorageFormat.segmentTrailerBytes)
        } catch { throw StoreError(error) }
        guard size == record.bytes, trailer.count == StorageFormat.segmentTrailerBytes else {
            throw .corrupt(name, offset: 0, expected: "\(record.bytes) bytes", found: "\(size)")
        }
        var reader = try FilePrefix.check(.segment, header, identity, file: name)
        let found = SegmentFormat.identity(&reader)
        guard let found, found.number == record.number, found.project == record.project else {
            throw .corrupt(
                name, offset: StorageFormat.prefixBytes,
                expected: "segment \(record.number) of project \(record.project)",
                found: found.map { "segment \($0.number) of project \($0.project)" } ?? "neither")
        }
        let place = try SegmentFormat.footerPlace(trailer, size: size, file: name)
        let bytes: [UInt8]
        do throws(FileError) {
            bytes = try file.read(at: place.range.lowerBound, count: place.range.count)
        } catch { throw StoreError(error) }
        let sum = CRC32C.checksum(bytes, seed: littleEndian(header, at: header.count - 4))
        guard sum == place.checksum, sum == record.footerChecksum else {
            throw .corrupt(
                name, offset: place.range.lowerBound, expected: "footer checksum \(hex(record.footerChecksum))",
                found: hex(sum))
        }
        do throws(ByteError) {
            let footer = try SegmentFooter.decode(bytes, end: place.range.lowerBound)
            guard footer.rows == record.rows else {
                throw ByteError(offset: 0, reason: "\(footer.rows) rows, not \(record.rows)")
            }
            return Segment(record: record, footer: footer, file: file, name: name)
        } catch {
            let offset = place.range.lowerBound + error.offset
            throw .corrupt(name, offset: offset, expected: "a footer", found: error.reason)
        }
    }

    /// The wanted names, by the segment's name codes.
    func wanted(_ events: [ByteString: Int32]?) -> [Bool] {
        guard let events else { return [] }
        return (0..<footer.names.count).map { events[footer.names[$0]] != nil }
    }

    /// The first block that may hold users from `bound` on.
    func firstBlock(from bound: ByteString, inclusive: Bool) -> Int {
        var low = 0
        var high = blocks.count
        while low < high {
            let middle = (low + high) / 2
            let order = compareBytes(blocks[middle].lastUser.bytes[...], bound.bytes[...])
            if order < 0 || (order == 0 && !inclusive) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Reads and checks one block.
    func read(block number: Int, ids: Bool, properties: Bool) throws(StoreError) -> SortedRows {
        let block = blocks[number]
        let length = block.batchBytes + block.sequenceBytes
        let bytes = try io { () throws(FileError) in try readBytes(block.offset, length) }
        let sum = CRC32C.checksum(bytes)
        guard bytes.count == length, sum == block.checksum else {
            throw .corrupt(
                name, offset: block.offset, expected: "\(length) bytes with checksum \(hex(block.checksum))",
                found: "\(bytes.count) with \(hex(sum))")
        }
        do throws(ByteError) {
            var sections: EventBatchCodec.Sections = []
            if ids { sections.insert(.ids) }
            if properties { sections.insert(.properties) }
            let batch = try EventBatchCodec.decode(
                bytes, range: 0..<block.batchBytes, sections: sections, bounds: StorageFormat.blockBounds)
            guard batch.count == block.rows else {
                throw ByteError(offset: 0, reason: "\(batch.count) rows, not \(block.rows)")
            }
            let sequence = ids
                ? try SequenceColumn.decode(bytes, range: block.batchBytes..<length, rows: block.rows) : []
            guard let rows = SortedRows(checking: batch, sequence: sequence) else {
                throw ByteError(offset: 0, reason: "rows out of order")
            }
            return rows
        } catch {
            throw .corrupt(name, offset: block.offset + error.offset, expected: "a block", found: error.reason)
        }
    }
}

/// Header and trailer of a segment.
enum SegmentFormat {
    static func header(number: UInt64, project: UInt32, _ identity: StoreIdentity) -> [UInt8] {
        var out = ByteWriter(reserving: StorageFormat.segmentHeaderBytes)
        FilePrefix.write(.segment, identity, &out)
        out.integer(number)
        out.integer(project)
        out.integer(CRC32C.checksum(out.bytes))
        return out.bytes
    }

    static func identity(_ reader: inout ByteReader) -> (number: UInt64, project: UInt32)? {
        guard let number = try? reader.integer("number", as: UInt64.self),
            let project = try? reader.integer("project", as: UInt32.self)
        else { return nil }
        return (number, project)
    }

    static func trailer(footerOffset: Int, footerBytes: Int, checksum: UInt32) -> [UInt8] {
        var out = ByteWriter(reserving: StorageFormat.segmentTrailerBytes)
        out.integer(UInt64(footerOffset))
        out.integer(UInt64(footerBytes))
        out.integer(checksum)
        out.integer(StorageFormat.trailerMagic)
        out.integer(CRC32C.checksum(out.bytes))
        return out.bytes
    }

    static func footerPlace(
        _ trailer: [UInt8], size: Int, file: String
    ) throws(StoreError) -> (range: Range<Int>, checksum: UInt32) {
        let start = size - StorageFormat.segmentTrailerBytes
        let sum = CRC32C.checksum(trailer, range: 0..<(trailer.count - 4))
        let stored = littleEndian(trailer, at: trailer.count - 4)
        guard sum == stored else {
            throw .corrupt(file, offset: start, expected: "trailer checksum \(hex(sum))", found: hex(stored))
        }
        do throws(ByteError) {
            var reader = ByteReader(trailer)
            let offset: UInt64 = try reader.integer("footer offset")
            let bytes: UInt64 = try reader.integer("footer bytes")
            let checksum: UInt32 = try reader.integer("footer checksum")
            let magic: UInt64 = try reader.integer("magic")
            guard magic == StorageFormat.trailerMagic, offset >= UInt64(StorageFormat.segmentHeaderBytes),
                offset <= UInt64(start), bytes == UInt64(start) - offset
            else { throw ByteError(offset: 0, reason: "footer of \(bytes) bytes at \(offset)") }
            return (Int(offset)..<start, checksum)
        } catch {
            throw .corrupt(file, offset: start, expected: "a trailer", found: error.reason)
        }
    }
}

import FunnelCodec
import FunnelModel

/// Writes one segment file, block by block.
struct SegmentWriter<Files: FileSystem> {
    private let file: Files.File
    private let number: UInt64
    private let project: UInt32
    private let seed: UInt32
    private var offset: Int
    private var footer = SegmentFooter()
    private var names = StringInterner()
    private var keys = StringInterner()

    init(
        number: UInt64, project: UInt32, directory: String, files: Files, identity: StoreIdentity
    ) throws(FileError) {
        let header = SegmentFormat.header(number: number, project: project, identity)
        file = try files.open("\(directory)/\(FileName.segment(number))", .replace)
        try file.append(header)
        self.number = number
        self.project = project
        seed = littleEndian(header, at: header.count - 4)
        offset = header.count
    }

    mutating func append(_ rows: SortedRows) throws(FileError) {
        let batch = EventBatchCodec.encode(rows.batch, compressed: true)
        let sequence = SequenceColumn.encode(rows.sequence)
        let bytes = batch + sequence
        try file.append(bytes)
        let contents = rows.batch
        var block = BlockEntry()
        block.offset = offset
        block.batchBytes = batch.count
        block.sequenceBytes = sequence.count
        block.checksum = CRC32C.checksum(bytes)
        block.rows = rows.count
        block.needsIDs = Self.needsIDs(rows)
        block.firstUser = contents.users[0]
        block.lastUser = contents.users[contents.users.count - 1]
        block.minTime = contents.time.min() ?? 0
        block.maxTime = contents.time.max() ?? 0
        block.names = (0..<contents.names.count).map { names.code(contents.names[$0]) }.sorted()
        for i in 0..<contents.keys.count { _ = keys.code(contents.keys[i]) }
        footer.blocks.append(block)
        offset += bytes.count
    }

    /// Writes the footer and syncs the file (not its name).
    consuming func finish() throws(FileError) -> SegmentRecord {
        footer.names = names.table
        footer.keys = keys.table
        let bytes = footer.encode()
        let checksum = CRC32C.checksum(bytes, seed: seed)
        let trailer = SegmentFormat.trailer(footerOffset: offset, footerBytes: bytes.count, checksum: checksum)
        try file.append(bytes + trailer)
        try file.sync()
        return SegmentRecord(
            number: number, project: project, bytes: offset + bytes.count + trailer.count, rows: footer.rows,
            footerChecksum: checksum)
    }

    private static func needsIDs(_ rows: SortedRows) -> Bool {
        let batch = rows.batch
        if batch.flags.contains(where: { $0 & EventBatch.serverTimedFlag != 0 }) { return true }
        for row in batch.time.indices.dropFirst()
        where batch.time[row] == batch.time[row - 1] && batch.name[row] == batch.name[row - 1]
            && batch.user[row] == batch.user[row - 1] { return true }
        return false
    }
}

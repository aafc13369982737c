import Codec
import FunnelModel

/// Writes one segment file (`SEGMENT.md`, Segment file). Rows come in order, in groups of whole pages: of each group first
/// the keys, then one column after the other. So a scan of keys reads without gaps, and a writer holds one group in memory.
struct SegmentWriter<Files: FileSystem> {
    /// Rows of every group except the last one, which may have fewer.
    static var groupRows: Int { 64 * KeyPage.rows }

    private let file: Files.File
    private let number: UInt64
    private let project: UInt32
    private let month: Int
    private let seed: UInt32
    private let pace: (Int) -> Void
    private var offset: Int
    private var footer = SegmentFooter()
    private var directories: [ColumnKey: ColumnDirectory] = [:]
    /// Rows of the current group, by their number in the file.
    private var group = 0..<0

    /// Creates the file and writes its header.
    /// - Parameter pace: called with a number of bytes before they are written; may wait.
    init(
        number: UInt64, project: UInt32, month: Int, directory: String, files: Files, identity: StoreIdentity, pace: @escaping (Int) -> Void
    ) throws(FileError) {
        let header = SegmentFormat.header(number: number, project: project, identity)
        file = try files.open("\(directory)/\(FileName.segment(number))", .replace)
        try file.append(header)
        self.number = number
        self.project = project
        self.month = month
        self.pace = pace
        seed = littleEndian(header, at: header.count - 4)
        offset = header.count
    }

    /// Adds a run, which begins at the row where the run before ends. Its rows may be in groups before and after this call.
    /// Times are in microseconds, inclusive.
    mutating func add(run name: ByteString, rows: Int, times: (least: Int64, greatest: Int64), unit: TimeUnit, serverTimed: Bool) {
        footer.runs.append(
            RunEntry(
                name: name, firstRow: footer.rows, rows: rows, minTime: times.least, maxTime: times.greatest, unit: unit,
                serverTimed: serverTimed))
    }

    /// Begins a group and writes its keys: the next `groupRows` rows, or the last ones. Times are in microseconds.
    mutating func beginGroup(ordinals: [UInt32], times: [Int64]) throws(FileError) {
        group = group.upperBound..<(group.upperBound + ordinals.count)
        var bytes: [UInt8] = []
        for start in stride(from: 0, to: ordinals.count, by: KeyPage.rows) {
            let rows = start..<min(ordinals.count, start + KeyPage.rows)
            let page = KeyPage.encode(ordinals: ordinals[rows], times: times[rows])
            var least = times[start]
            var greatest = least
            for row in rows {
                least = min(least, times[row])
                greatest = max(greatest, times[row])
            }
            footer.pages.append(
                PageEntry(
                    offset: offset + bytes.count, bytes: page.count, checksum: CRC32C.checksum(page), firstOrdinal: ordinals[start],
                    minTime: least, maxTime: greatest))
            bytes += page
        }
        try write(bytes)
    }

    /// Writes the group's values of a column. Rows are counted from the group's first.
    mutating func add(column key: ColumnKey, _ values: ColumnValues) throws(FileError) {
        var bytes: [UInt8] = []
        var directory = directories[key] ?? ColumnDirectory()
        var at = 0
        while at < values.rows.count {
            let page = Int(values.rows[at]) / KeyPage.rows
            let start = at
            while at < values.rows.count, Int(values.rows[at]) / KeyPage.rows == page { at += 1 }
            let rows = min(KeyPage.rows, group.count - page * KeyPage.rows)
            let encoded = ColumnPage.encode(values, start..<at, firstRow: UInt32(page * KeyPage.rows), pageRows: rows)
            let chunk = ChunkEntry(offset: offset + bytes.count, bytes: encoded.count, checksum: CRC32C.checksum(encoded))
            directory.append(page: group.lowerBound / KeyPage.rows + page, chunk)
            bytes += encoded
        }
        if bytes.isEmpty { return }
        directories[key] = directory
        try write(bytes)
    }

    /// Writes directories, footer and trailer, and syncs the file (not its name).
    consuming func finish() throws(FileError) -> SegmentRecord {
        var tail: [UInt8] = []
        let order = directories.sorted { ($0.key.kind, $0.key.bytes) < ($1.key.kind, $1.key.bytes) }
        for (key, directory) in order {
            let bytes = directory.encode()
            footer.columns.append((key, ChunkEntry(offset: offset + tail.count, bytes: bytes.count, checksum: CRC32C.checksum(bytes))))
            tail += bytes
        }
        let footerOffset = offset + tail.count
        let encoded = footer.encode()
        let checksum = CRC32C.checksum(encoded, seed: seed)
        let trailer = SegmentFormat.trailer(footerOffset: footerOffset, footerBytes: encoded.count, checksum: checksum)
        tail += encoded + trailer
        try write(tail)
        try file.sync()
        return SegmentRecord(
            number: number, project: project, month: month, bytes: offset, rows: footer.rows, footerChecksum: checksum)
    }

    private mutating func write(_ bytes: [UInt8]) throws(FileError) {
        pace(bytes.count)
        try file.append(bytes)
        offset += bytes.count
    }
}

import Codec
import FunnelModel

/// The manifest's entry of a segment file.
struct SegmentRecord: Equatable, Sendable {
    var number: UInt64
    var project: UInt32
    /// The UTC month of all rows: `12 * year + month - 1`.
    var month: Int
    var bytes: Int
    var rows: Int
    var footerChecksum: UInt32
}

/// Fixed parts of a segment file.
enum SegmentFormat {
    static func header(
        number: UInt64, project: UInt32, _ identity: StoreIdentity, kind: FilePrefix.Kind = .segment
    ) -> [UInt8] {
        var out = ByteWriter(reserving: StorageFormat.segmentHeaderBytes)
        FilePrefix.write(kind, identity, &out)
        out.integer(number)
        out.integer(project)
        out.integer(CRC32C.checksum(out.bytes))
        return out.bytes
    }

    /// Checks a file's header against its entry in the manifest.
    /// - Returns: the header's checksum, from which that of a footer continues.
    static func checkHeader(
        _ bytes: [UInt8], number: UInt64, project: UInt32, _ owner: FileOwner, kind: FilePrefix.Kind = .segment, file: String
    ) throws(StoreError) -> UInt32 {
        var (_, reader) = try FilePrefix.check(kind, bytes, owner, file: file)
        let found = (number: (try? reader.integer("number")) as UInt64?, project: (try? reader.integer("project")) as UInt32?)
        guard found.number == number, found.project == project else {
            throw .corrupt(
                file, offset: StorageFormat.prefixBytes, expected: "file \(number) of project \(project)", found: "another file's header")
        }
        return littleEndian(bytes, at: bytes.count - 4)
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

    /// The month of the max storable time.
    static let lastMonth = month(of: Limits.storableTimes.upperBound - 1)

    /// The month of a time in microseconds.
    static func month(of time: Int64) -> Int {
        let (year, month, _) = Timestamp.civil(day: Timestamp.floorDivide(time, 86_400_000_000))
        return Int(year) * 12 + Int(month) - 1
    }
}

extension SegmentFormat {
    /// The times of a month, in microseconds.
    static func times(ofMonth month: Int) -> Range<Int64> {
        func start(_ month: Int) -> Int64 { Timestamp.days(year: Int64(month / 12), month: Int64(month % 12 + 1), day: 1) * 86_400_000_000 }
        return start(month)..<start(month + 1)
    }
}

/// The footer's entry of a run: the rows of one event name.
struct RunEntry: Sendable {
    var name: ByteString
    var firstRow: Int
    var rows: Int
    /// Microseconds, inclusive.
    var minTime: Int64
    var maxTime: Int64
    var unit: TimeUnit
    /// Whether rows may be server-timed.
    var serverTimed: Bool

    var range: Range<Int> { firstRow..<(firstRow + rows) }
}

/// A column other than the keys.
enum ColumnKey: Hashable, Sendable {
    /// Event ids of the rows that have one.
    case ids
    /// True for the rows whose time the server supplied.
    case serverTimed
    case property(ByteString)

    var bytes: ByteString {
        switch self {
        case .ids, .serverTimed: ""
        case .property(let key): key
        }
    }

    var kind: UInt8 {
        switch self {
        case .ids: 0
        case .serverTimed: 1
        case .property: 2
        }
    }

    init?(kind: UInt8, bytes: ByteString) {
        switch kind {
        case 0: self = .ids
        case 1: self = .serverTimed
        case 2: self = .property(bytes)
        default: return nil
        }
    }
}

/// Offset, size and checksum of a part of the file.
struct ChunkEntry: Sendable {
    var offset: Int
    var bytes: Int
    var checksum: UInt32
}

/// The footer of a segment file, which an open file keeps in memory.
struct SegmentFooter: Sendable {
    /// Ascending by name; each run begins at the row where the one before ends.
    var runs: [RunEntry] = []
    var pages: [PageEntry] = []
    /// Each column's directory of pages.
    var columns: [(key: ColumnKey, directory: ChunkEntry)] = []

    var rows: Int { runs.last.map { $0.firstRow + $0.rows } ?? 0 }
    var newestTime: Int64? { runs.map(\.maxTime).max() }

    func encode() -> [UInt8] {
        var out = ByteWriter()
        out.varint(UInt64(runs.count))
        for run in runs {
            out.string(run.name)
            out.varint(UInt64(run.rows))
            out.integer(run.unit.rawValue | (run.serverTimed ? 0x80 : 0))
            out.zigzag(run.minTime)
            out.zigzag(run.maxTime)
        }
        out.varint(UInt64(pages.count))
        for page in pages {
            out.varint(UInt64(page.offset))
            out.varint(UInt64(page.bytes))
            out.integer(page.checksum)
            out.integer(page.firstOrdinal)
            out.zigzag(page.minTime)
            out.zigzag(page.maxTime)
        }
        out.varint(UInt64(columns.count))
        for column in columns {
            out.integer(column.key.kind)
            out.string(column.key.bytes)
            out.varint(UInt64(column.directory.offset))
            out.varint(UInt64(column.directory.bytes))
            out.integer(column.directory.checksum)
        }
        return out.bytes
    }

    static func decode(_ reader: inout ByteReader, fileBytes: Int) throws(ByteError) -> SegmentFooter {
        var footer = SegmentFooter()
        var row = 0
        for _ in 0..<(try reader.count(limit: reader.remaining, "runs")) {
            let name = try reader.string(limit: Limits.eventNameBytes, "event name")
            let rows = try reader.count(limit: Int(UInt32.max) - row, "rows")
            let flags: UInt8 = try reader.integer("run flags")
            guard let unit = TimeUnit(rawValue: flags & 0x7F), rows > 0, footer.runs.last.map({ $0.name < name }) ?? true else {
                throw ByteError(offset: reader.offset, reason: "run of \(name) is out of order or of unknown unit")
            }
            let times = (least: try reader.zigzag("min time"), greatest: try reader.zigzag("max time"))
            guard times.least <= times.greatest, Limits.storableTimes.contains(times.least), Limits.storableTimes.contains(times.greatest)
            else {
                throw ByteError(offset: reader.offset, reason: "times \(times.least) to \(times.greatest) of \(name)")
            }
            footer.runs.append(
                RunEntry(
                    name: name, firstRow: row, rows: rows, minTime: times.least, maxTime: times.greatest, unit: unit,
                    serverTimed: flags & 0x80 != 0))
            row += rows
        }
        let pages = try reader.count(limit: reader.remaining, "pages")
        guard pages == (row + KeyPage.rows - 1) / KeyPage.rows else {
            throw ByteError(offset: reader.offset, reason: "\(pages) pages for \(row) rows")
        }
        footer.pages.reserveCapacity(pages)
        for _ in 0..<pages {
            let chunk = try readChunk(&reader, fileBytes, "page")
            footer.pages.append(
                PageEntry(
                    offset: chunk.offset, bytes: chunk.bytes, checksum: chunk.checksum, firstOrdinal: try reader.integer("first ordinal"),
                    minTime: try reader.zigzag("min time"), maxTime: try reader.zigzag("max time")))
        }
        for _ in 0..<(try reader.count(limit: reader.remaining, "columns")) {
            let kind: UInt8 = try reader.integer("column kind")
            let name = try reader.string(limit: Limits.propertyKeyBytes, "property key")
            guard let key = ColumnKey(kind: kind, bytes: name) else {
                throw ByteError(offset: reader.offset, reason: "column kind \(kind) is unknown")
            }
            footer.columns.append((key, try readChunk(&reader, fileBytes, "column directory")))
        }
        return footer
    }

    static func readChunk(_ reader: inout ByteReader, _ fileBytes: Int, _ what: String) throws(ByteError) -> ChunkEntry {
        let offset = try reader.count(limit: fileBytes, what)
        let bytes = try reader.count(limit: fileBytes - offset, what)
        return ChunkEntry(offset: offset, bytes: bytes, checksum: try reader.integer(what))
    }
}

/// The column pages of one column, by number of the key page, ascending.
struct ColumnDirectory: Sendable {
    private(set) var pages: [Int] = []
    private(set) var chunks: [ChunkEntry] = []

    mutating func append(page: Int, _ chunk: ChunkEntry) {
        pages.append(page)
        chunks.append(chunk)
    }

    func chunk(ofPage page: Int) -> ChunkEntry? {
        let i = pages.indices.partitioningIndex { pages[$0] >= page }
        return i < pages.count && pages[i] == page ? chunks[i] : nil
    }

    func encode() -> [UInt8] {
        var out = ByteWriter()
        out.varint(UInt64(pages.count))
        for (page, chunk) in zip(pages, chunks) {
            out.varint(UInt64(page))
            out.varint(UInt64(chunk.offset))
            out.varint(UInt64(chunk.bytes))
            out.integer(chunk.checksum)
        }
        return out.bytes
    }

    static func decode(_ bytes: [UInt8], pages: Int, fileBytes: Int) throws(ByteError) -> ColumnDirectory {
        var reader = ByteReader(bytes)
        var directory = ColumnDirectory()
        for _ in 0..<(try reader.count(limit: pages, "column pages")) {
            let page = try reader.count(limit: max(0, pages - 1), "column page")
            guard directory.pages.last.map({ $0 < page }) ?? true else {
                throw ByteError(offset: reader.offset, reason: "column pages out of order")
            }
            directory.append(page: page, try SegmentFooter.readChunk(&reader, fileBytes, "column page"))
        }
        try reader.finish("column directory")
        return directory
    }
}

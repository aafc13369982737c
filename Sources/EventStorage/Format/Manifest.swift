import Codec
import FunnelModel

/// The list of a store's live files; the file is replaced as a whole at every seal and merge. Layout: `SEGMENT.md`, MANIFEST.
struct Manifest: Sendable {
    /// One more with every replacement.
    var generation: UInt64 = 1
    /// The first live log: logs from this one on are replayed, older ones are not needed.
    var firstLog: UInt64 = 1
    /// Segment files and user files from this number on are left from work that did not finish.
    var nextFile: UInt64 = 1
    /// The sequence of the first record in `firstLog`.
    var nextRecord: UInt64 = 1
    /// In order of durability, within a month: rows of a later file became durable later.
    var segments: [SegmentRecord] = []
    /// In order of their ordinals, within a project.
    var userFiles: [UserFileRecord] = []
    /// Suppressed users by project.
    var suppressed: [UInt32: Set<ByteString>] = [:]
    var deliveries = Deliveries()
    /// Clusters that the directory belonged to before, whose files are accepted.
    var formerClusters: [UInt64] = []
    /// Drawn at random when the directory is made; copies keep it. 0 in manifests of release 0.1.
    var dataID: UInt64 = 0
    /// The last clean stop: fewer bytes of its log, or other ones, are damage.
    var stop = StopNote()

    /// A log and its durable bytes at a clean stop; log 0 is none.
    struct StopNote: Equatable, Sendable {
        var log: UInt64 = 0
        var bytes = 0
    }

    /// Inputs besides the bytes for decoding the delivery memory.
    struct Reading {
        var rules = DeliveryMemory.Rules()
        /// Seconds since 1970.
        var now: UInt64 = 0
    }

    func encode(_ identity: StoreIdentity) -> [UInt8] {
        let body = encodeBody()
        var out = ByteWriter(reserving: body.count + StorageFormat.manifestHeaderBytes)
        FilePrefix.write(.manifest, identity, &out)
        out.integer(UInt64(body.count))
        out.integer(CRC32C.checksum(body))
        out.integer(CRC32C.checksum(out.bytes))
        out.append(body)
        return out.bytes
    }

    static func decode(_ bytes: [UInt8], _ owner: FileOwner, _ reading: Reading = Reading()) throws(StoreError) -> Manifest {
        let file = FileName.manifest
        let header = StorageFormat.manifestHeaderBytes
        var (prefix, reader) = try FilePrefix.check(.manifest, Array(bytes.prefix(header)), owner, file: file)
        do throws(ByteError) {
            let length: UInt64 = try reader.integer("body length")
            let stored: UInt32 = try reader.integer("body checksum")
            guard length == UInt64(bytes.count - header) else {
                throw ByteError(offset: header, reason: "\(bytes.count - header) bytes, not \(length)")
            }
            let sum = CRC32C.checksum(bytes, range: header..<bytes.count)
            guard sum == stored else {
                throw ByteError(offset: header, reason: "checksum \(hex(sum)), not \(hex(stored))")
            }
            var body = ByteReader(bytes, range: header..<bytes.count)
            return try decodeBody(&body, version: prefix.version, reading)
        } catch {
            throw .corrupt(file, offset: error.offset, expected: "a manifest", found: error.reason)
        }
    }

    private func encodeBody() -> [UInt8] {
        var out = ByteWriter()
        for value in [generation, firstLog, nextFile, nextRecord] { out.integer(value) }
        out.varint(UInt64(segments.count))
        for segment in segments {
            out.integer(segment.number)
            out.integer(segment.project)
            out.varint(UInt64(segment.month))
            out.varint(UInt64(segment.bytes))
            out.varint(UInt64(segment.rows))
            out.integer(segment.footerChecksum)
        }
        out.varint(UInt64(userFiles.count))
        for file in userFiles {
            out.integer(file.number)
            out.integer(file.project)
            out.varint(UInt64(file.bytes))
            out.varint(UInt64(file.users))
            out.integer(file.checksum)
        }
        out.varint(UInt64(suppressed.count))
        for (project, users) in suppressed.sorted(by: { $0.key < $1.key }) {
            out.integer(project)
            out.varint(UInt64(users.count))
            for user in users.sorted() { out.string(user) }
        }
        deliveries.encode(&out)
        out.varint(UInt64(formerClusters.count))
        for cluster in formerClusters { out.integer(cluster) }
        out.integer(stop.log)
        out.integer(UInt64(stop.bytes))
        out.integer(dataID)
        return out.bytes
    }

    private static func decodeBody(_ reader: inout ByteReader, version: UInt16, _ reading: Reading) throws(ByteError) -> Manifest {
        var manifest = Manifest()
        manifest.generation = try reader.integer("generation")
        manifest.firstLog = try reader.integer("first log")
        manifest.nextFile = try reader.integer("next file")
        manifest.nextRecord = try reader.integer("next record")
        // So counting on cannot overflow.
        guard [manifest.generation, manifest.firstLog, manifest.nextFile, manifest.nextRecord].allSatisfy({ $0 < 1 << 62 }) else {
            throw ByteError(offset: reader.offset, reason: "a generation, log, file or record number of 2^62 or more")
        }
        for _ in 0..<(try reader.count(limit: reader.remaining, "segments")) {
            let number: UInt64 = try reader.integer("segment number")
            guard number < manifest.nextFile else {
                throw ByteError(offset: reader.offset, reason: "segment file \(number), but the next file is \(manifest.nextFile)")
            }
            manifest.segments.append(
                SegmentRecord(
                    number: number, project: try reader.integer("segment project"),
                    month: try reader.count(limit: SegmentFormat.lastMonth, "segment month"),
                    bytes: try reader.count(limit: 1 << 48, "segment bytes"),
                    rows: try reader.count(limit: 1 << 48, "segment rows"),
                    footerChecksum: try reader.integer("segment footer checksum")))
        }
        for _ in 0..<(try reader.count(limit: reader.remaining, "user files")) {
            let number: UInt64 = try reader.integer("user file number")
            guard number < manifest.nextFile else {
                throw ByteError(offset: reader.offset, reason: "user file \(number), but the next file is \(manifest.nextFile)")
            }
            manifest.userFiles.append(
                UserFileRecord(
                    number: number, project: try reader.integer("user file project"),
                    bytes: try reader.count(limit: 1 << 48, "user file bytes"),
                    users: try reader.count(limit: Int(UInt32.max), "users"), checksum: try reader.integer("user file checksum")))
        }
        for _ in 0..<(try reader.count(limit: reader.remaining, "suppressed projects")) {
            let project: UInt32 = try reader.integer("suppressed project")
            var users: Set<ByteString> = []
            for _ in 0..<(try reader.count(limit: reader.remaining, "suppressed users")) {
                users.insert(try reader.string(limit: Limits.userIDBytes, "suppressed user"))
            }
            manifest.suppressed[project] = users
        }
        manifest.deliveries =
            version > 3
            ? try Deliveries.decode(&reader, reading.rules) : try Deliveries.decodeFormat3(&reader, reading.rules, now: reading.now)
        if version > 3 {
            for _ in 0..<(try reader.count(limit: StorageFormat.formerClustersMax, "former clusters")) {
                manifest.formerClusters.append(try reader.integer("former cluster"))
            }
            manifest.stop.log = try reader.integer("log of the clean stop")
            let bytes: UInt64 = try reader.integer("bytes of the log at the clean stop")
            manifest.stop.bytes = Int(clamping: bytes)
            manifest.dataID = try reader.integer("data id")
        }
        try reader.finish("manifest")
        return manifest
    }
}

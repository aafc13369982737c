import Codec
import FunnelModel

/// File names in a store's directory.
enum FileName {
    static let identity = "IDENTITY"
    static let lock = "LOCK"
    static let manifest = "MANIFEST"
    static let temporarySuffix = ".tmp"

    static func log(_ number: UInt64) -> String { "log-" + padded(number) }
    static func segment(_ number: UInt64) -> String { "seg-" + padded(number) }
    static func users(_ number: UInt64) -> String { "usr-" + padded(number) }

    static func logNumber(_ name: String) -> UInt64? { number(name, "log-") }
    static func segmentNumber(_ name: String) -> UInt64? { number(name, "seg-") }
    static func usersNumber(_ name: String) -> UInt64? { number(name, "usr-") }

    private static func padded(_ number: UInt64) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 8 - digits.count)) + digits
    }

    private static func number(_ name: String, _ prefix: String) -> UInt64? {
        guard name.hasPrefix(prefix), let number = UInt64(name.dropFirst(prefix.count)) else { return nil }
        // One spelling per number, so that two files cannot have the same number.
        return prefix + padded(number) == name ? number : nil
    }
}

/// Constants of the files, which `Protocol/SEGMENT.md` specifies.
enum StorageFormat {
    static let version: UInt16 = 4
    /// Earlier versions were never released.
    static let oldestVersion: UInt16 = 3
    static let prefixBytes = 24
    static let identityBytes = 32
    static let logHeaderBytes = 44
    static let recordHeaderBytes = 28
    static let recordMagic: UInt32 = 0x4352_4C53
    static let segmentHeaderBytes = 40
    static let segmentTrailerBytes = 32
    static let trailerMagic: UInt64 = 0x444E_4547_4553_4C53
    static let manifestHeaderBytes = 40
    /// Max clusters that a directory has belonged to before.
    static let formerClustersMax = 1_024
    static let recordBytesMax = 512 << 20
    static let logBounds = bounds(rows: Limits.rowsPerBatch, sectionBytes: recordBytesMax)

    private static func bounds(rows: Int, sectionBytes: Int) -> EventBatchCodec.Bounds {
        var bounds = EventBatchCodec.Bounds.stored
        bounds.rows = rows
        bounds.sectionBytes = sectionBytes
        return bounds
    }
}

/// The owners whose files a directory may hold: its own identity, and the clusters that it belonged to before.
struct FileOwner: Equatable, Sendable {
    var identity: StoreIdentity
    var formerClusters: [UInt64] = []

    /// Every cluster id that a file may have.
    var clusters: [UInt64] { [identity.clusterID] + formerClusters }
}

/// The 24 bytes that every file begins with: kind, format version and owner.
struct FilePrefix {
    enum Kind: String {
        case identity = "SLUICEID"
        case manifest = "SLUICMAN"
        case log = "SLUICLOG"
        case segment = "SLUICSEG"
        case users = "SLUICUSR"
    }

    let version: UInt16
    let clusterID: UInt64

    static func write(_ kind: Kind, _ identity: StoreIdentity, version: UInt16 = StorageFormat.version, _ out: inout ByteWriter) {
        out.append(kind.rawValue.utf8)
        out.integer(version)
        out.integer(UInt16(truncatingIfNeeded: identity.shard))
        out.integer(UInt16(truncatingIfNeeded: identity.shardCount))
        out.integer(UInt16(0))
        out.integer(identity.clusterID)
    }

    /// Checks a header, whose last four bytes are the checksum of the bytes before, and that it belongs to `owner`.
    /// - Returns: the prefix, and a reader of the header's bytes after it.
    static func check(
        _ kind: Kind, _ bytes: [UInt8], _ owner: FileOwner, file: String
    ) throws(StoreError) -> (prefix: FilePrefix, reader: ByteReader) {
        var reader = try checked(kind, bytes, file: file)
        for cluster in owner.clusters {
            var identity = owner.identity
            identity.clusterID = cluster
            var expected = ByteWriter()
            let version = UInt16(bytes[8]) | UInt16(bytes[9]) << 8
            write(kind, identity, version: version, &expected)
            guard bytes.starts(with: expected.bytes) else { continue }
            _ = try? reader.take(StorageFormat.prefixBytes, "prefix")
            return (FilePrefix(version: version, clusterID: cluster), reader)
        }
        throw .corrupt(
            file, offset: 0, expected: "a file of cluster \(idText(owner.identity.clusterID)), shard \(owner.identity.shard)",
            found: "a file of another store")
    }

    /// Checks only the magic, the checksum and the version.
    static func checked(_ kind: Kind, _ bytes: [UInt8], file: String) throws(StoreError) -> ByteReader {
        guard bytes.count > StorageFormat.prefixBytes + 4 else {
            throw .corrupt(file, offset: 0, expected: "a header", found: "\(bytes.count) bytes")
        }
        guard bytes.starts(with: Array(kind.rawValue.utf8)) else {
            throw .corrupt(file, offset: 0, expected: "\"\(kind.rawValue)\"", found: hex(Array(bytes[..<8])))
        }
        let end = bytes.count - 4
        let sum = CRC32C.checksum(bytes, range: 0..<end)
        let stored = littleEndian(bytes, at: end)
        guard sum == stored else {
            throw .corrupt(file, offset: end, expected: "checksum \(hex(sum))", found: hex(stored))
        }
        let version = UInt16(bytes[8]) | UInt16(bytes[9]) << 8
        guard version <= StorageFormat.version else {
            throw StoreError(.newerFormat, "\(file): format \(version) is newer than \(StorageFormat.version)")
        }
        guard version >= StorageFormat.oldestVersion else {
            throw StoreError(
                .olderFormat,
                "\(file): format \(version) is older than \(StorageFormat.oldestVersion); load the events into a new directory")
        }
        return ByteReader(bytes, range: 0..<end)
    }
}

/// The `IDENTITY` file: the prefix, the map's epoch and a checksum. This layout never changes.
enum IdentityFile {
    static func encode(_ identity: StoreIdentity) -> [UInt8] {
        var out = ByteWriter(reserving: StorageFormat.identityBytes)
        FilePrefix.write(.identity, identity, &out)
        out.integer(identity.epoch)
        out.integer(CRC32C.checksum(out.bytes))
        return out.bytes
    }

    /// Decodes the file.
    /// - Returns: the identity, and the format version of the file.
    static func decode(_ bytes: [UInt8]) throws(StoreError) -> (identity: StoreIdentity, version: UInt16) {
        guard bytes.count == StorageFormat.identityBytes else {
            throw .corrupt(
                FileName.identity, offset: 0, expected: "\(StorageFormat.identityBytes) bytes", found: "\(bytes.count)")
        }
        var reader = try FilePrefix.checked(.identity, bytes, file: FileName.identity)
        do throws(ByteError) {
            _ = try reader.take(8, "magic")
            let version: UInt16 = try reader.integer("version")
            let shard: UInt16 = try reader.integer("shard")
            let shardCount: UInt16 = try reader.integer("shard count")
            _ = try reader.take(2, "zero")
            let cluster: UInt64 = try reader.integer("cluster")
            let epoch: UInt32 = try reader.integer("epoch")
            return (StoreIdentity(clusterID: cluster, shard: Int(shard), shardCount: Int(shardCount), epoch: epoch), version)
        } catch {
            throw .corrupt(FileName.identity, offset: error.offset, expected: "an identity", found: error.reason)
        }
    }
}

/// The little-endian value at `offset`; the caller has checked that four bytes are there.
func littleEndian(_ bytes: [UInt8], at offset: Int) -> UInt32 {
    (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << (8 * UInt32($1)) }
}

func hex(_ value: UInt32) -> String { "0x" + String(value, radix: 16) }

func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined(separator: " ")
}

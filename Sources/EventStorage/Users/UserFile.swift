import Codec
import FunnelModel

/// The manifest's entry of a user file.
struct UserFileRecord: Equatable, Sendable {
    var number: UInt64
    var project: UInt32
    var bytes: Int
    /// Holes included.
    var users: Int
    /// CRC-32C of all bytes before the trailer.
    var checksum: UInt32
}

/// An immutable file of users of a project, mapped unless it is small. Users are found by id through the index of their
/// bucket, and by ordinal through its range. Layout: `Protocol/SEGMENT.md`, "Users".
final class UserFile: Sendable {
    let record: UserFileRecord
    /// Seed of the index's hashes.
    let seed: UInt64
    private let file: FileBytes
    /// The current size of a mapped file, whose last memory page reads as zeros where the file was cut; nil if it is not mapped.
    private let size: @Sendable () -> Int?
    /// Where each bucket's block begins; one more for the end.
    private let blocks: [Int]

    /// Max bytes of a file that is read rather than mapped: a process may have few mappings, and projects may be many.
    private static let readBytesMax = 32 << 10

    /// Whether all that was looked up in the file could be read. Check it after the lookups.
    var isIntact: Bool { file.isIntact && (size() ?? record.bytes) == record.bytes }

    /// Opens a file and checks all its bytes against the manifest's checksum, so that later lookups only check bounds.
    init<Files: FileSystem>(
        _ record: UserFileRecord, directory: String, files: Files, owner: FileOwner
    ) throws(StoreError) {
        let name = FileName.users(record.number)
        let file = try io { () throws(FileError) in
            let file = try files.open("\(directory)/\(name)", .read)
            let size = try file.size()
            return size > Self.readBytesMax ? try file.map() : FileBytes(try file.read(at: 0, count: size))
        }
        self.record = record
        self.file = file
        let isMapped = record.bytes > Self.readBytesMax
        size = { isMapped ? files.size("\(directory)/\(name)") : nil }
        guard file.count == record.bytes, file.count >= UserFileFormat.headBytes + UserFileFormat.trailerBytes else {
            throw .corrupt(name, offset: 0, expected: "\(record.bytes) bytes", found: "\(file.count)")
        }
        _ = try SegmentFormat.checkHeader(
            file.bytes(0..<UserFileFormat.headerBytes), number: record.number, project: record.project, owner, kind: .users, file: name)
        let end = file.count - UserFileFormat.trailerBytes
        let sum = file.checksum(0..<end)
        guard sum == record.checksum, file.bytes(end..<file.count) == UserFileFormat.trailer(checksum: sum) else {
            throw .corrupt(name, offset: end, expected: "checksum \(hex(record.checksum))", found: hex(sum))
        }
        let buckets = Int(file.load(UserFileFormat.bucketsAt, as: UInt32.self))
        seed = file.load(UserFileFormat.seedAt)
        guard buckets <= Limits.buckets, IDSymbols(file) != nil else {
            throw .corrupt(
                name, offset: UserFileFormat.bucketsAt, expected: "at most \(Limits.buckets) buckets, \(IDAlphabet.bitsMax) bits a symbol",
                found: "\(buckets), \(file.load(UserFileFormat.symbolBitsAt, as: UInt8.self))")
        }
        blocks = try Self.blocks(file, buckets, end, name)
        var users = 0
        for bucket in 0..<Limits.buckets {
            let range = blocks[bucket]..<blocks[bucket + 1]
            if range.isEmpty { continue }
            guard let block = UserBlock(file, range) else {
                throw .corrupt(name, offset: range.lowerBound, expected: "tables that fit", found: "a block of \(range.count) bytes")
            }
            users += block.users
        }
        guard users == record.users else { throw .corrupt(name, offset: 0, expected: "\(record.users) users", found: "\(users)") }
    }

    private static func blocks(_ file: FileBytes, _ buckets: Int, _ end: Int, _ name: String) throws(StoreError) -> [Int] {
        var sizes = [Int](repeating: 0, count: Limits.buckets)
        for at in stride(from: UserFileFormat.headBytes, to: UserFileFormat.headBytes + 8 * buckets, by: 8) {
            sizes[Int(file.load(at, as: UInt32.self)) % Limits.buckets] = Int(file.load(at + 4, as: UInt32.self))
        }
        var blocks = [UserFileFormat.headBytes + 8 * buckets]
        for size in sizes { blocks.append(blocks[blocks.count - 1] + size) }
        guard blocks[Limits.buckets] == end else {
            throw .corrupt(name, offset: UserFileFormat.headBytes, expected: "blocks up to \(end)", found: "\(blocks[Limits.buckets])")
        }
        return blocks
    }

    @inline(__always)
    private func block(_ bucket: Int) -> UserBlock? { UserBlock(file, blocks[bucket]..<blocks[bucket + 1]) }

    /// The low parts of the ordinals that the file has of a bucket.
    func range(ofBucket bucket: Int) -> Range<UInt32> {
        block(bucket).map { $0.first..<($0.first + UInt32($0.users)) } ?? 0..<0
    }

    /// The id of a user, empty for a hole; nil if the ordinal is not in this file.
    func id(_ ordinal: UInt32) -> ByteString? { stored(ordinal).map { ByteString($0.text) } }

    /// The same without a copy; valid while the file is kept.
    @inline(__always)
    func stored(_ ordinal: UInt32) -> StoredID? {
        let low = Ordinal.low(ordinal)
        guard let block = block(Ordinal.bucket(ordinal)), let symbols = IDSymbols(file), low >= block.first,
            Int(low - block.first) < block.users
        else { return nil }
        return block.id(Int(low - block.first), symbols)
    }

    /// The ordinal of a user; nil if it is not in this file.
    /// - Parameters:
    ///   - bucket: the user's bucket.
    ///   - hash: XXH64 of the id with the file's seed.
    func find(_ user: ArraySlice<UInt8>, bucket: Int, hash: UInt64) -> UInt32? {
        guard let block = block(bucket), let symbols = IDSymbols(file) else { return nil }
        let place = unsafe user.withUnsafeBytes { user in block.place(hash) { unsafe block.id($0, symbols).equals(user) } }
        return place.map { Ordinal.make(bucket, block.first &+ UInt32(truncatingIfNeeded: $0)) }
    }
}

/// Ordinals: the number of the bucket in the upper 10 bits, and below it the user's number in the bucket, in order of first
/// appearance. So a bucket is one range of every run.
enum Ordinal {
    static let lowBits: UInt32 = 22

    static func make(_ bucket: Int, _ low: UInt32) -> UInt32 { UInt32(truncatingIfNeeded: bucket) << lowBits | low }
    static func bucket(_ ordinal: UInt32) -> Int { Int(ordinal >> lowBits) }
    static func low(_ ordinal: UInt32) -> UInt32 { ordinal & (1 << lowBits - 1) }
}

/// Offsets and fixed parts of a user file.
enum UserFileFormat {
    static let headerBytes = 40
    static let bucketsAt = 40
    static let symbolBitsAt = 44
    static let seedAt = 48
    static let symbolsAt = 56
    static let headBytes = symbolsAt + IDAlphabet.symbolsMax
    /// At least `UserBlock.slack`.
    static let trailerBytes = 16
    private static let trailerMagic: UInt64 = 0x444E_4552_5355_4C53

    static func header(number: UInt64, project: UInt32, _ identity: StoreIdentity) -> [UInt8] {
        SegmentFormat.header(number: number, project: project, identity, kind: .users)
    }

    static func trailer(checksum: UInt32) -> [UInt8] {
        var out = ByteWriter(reserving: trailerBytes)
        out.integer(trailerMagic)
        out.integer(checksum)
        out.integer(CRC32C.checksum(out.bytes))
        return out.bytes
    }

    /// Encodes a whole file. `ids` are grouped by bucket, and within it in order of the low part; an empty id is a hole.
    static func encode(
        ids: StringTable, buckets: [(bucket: Int, first: UInt32, count: UInt32)], seed: UInt64, number: UInt64, project: UInt32,
        _ identity: StoreIdentity
    ) -> (bytes: [UInt8], record: UserFileRecord) {
        let stored = StoredIDs(ids)
        var directory = ByteWriter()
        var blocks = ByteWriter(reserving: stored.table.heap.count + ids.count * 4)
        var place = 0
        for (bucket, first, count) in buckets {
            let before = blocks.count
            UserBlock.encode(ids, stored, place..<(place + Int(count)), first: first, seed: seed, into: &blocks)
            directory.integer(UInt32(truncatingIfNeeded: bucket))
            directory.integer(UInt32(truncatingIfNeeded: blocks.count - before))
            place += Int(count)
        }
        var out = ByteWriter(reserving: headBytes + directory.count + blocks.count + trailerBytes)
        out.append(header(number: number, project: project, identity))
        out.integer(UInt32(truncatingIfNeeded: buckets.count))
        out.integer(UInt32(stored.alphabet.bits))
        out.integer(seed)
        out.append(stored.alphabet.symbols + [UInt8](repeating: 0, count: IDAlphabet.symbolsMax - stored.alphabet.symbols.count))
        out.append(directory.bytes)
        out.append(blocks.bytes)
        let sum = CRC32C.checksum(out.bytes)
        out.append(trailer(checksum: sum))
        return (out.bytes, UserFileRecord(number: number, project: project, bytes: out.count, users: ids.count, checksum: sum))
    }
}

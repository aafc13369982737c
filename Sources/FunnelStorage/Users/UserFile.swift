import FunnelCodec
import FunnelModel
import Glibc

/// What a manifest says of a user file.
struct UserFileRecord: Equatable, Sendable {
    var number: UInt64
    var project: UInt32
    var bytes: Int
    var users: Int
    /// Of all bytes before the trailer.
    var checksum: UInt32
}

/// Some users of a project, immutable and mapped: found by id through a hash table, and by ordinal through their
/// bucket's range. Layout: `Protocol/SEGMENT.md`, "Users".
final class UserFile: Sendable {
    let record: UserFileRecord
    private let file: FileBytes
    /// The first low part of a bucket's ordinals here.
    let first: [UInt32]
    /// The place of a bucket's first user; one more for the end.
    private let start: [UInt32]
    private let slots: Int
    private let offsetsAt: Int
    private let tagsAt: Int
    private let slotsAt: Int
    private let heapAt: Int

    /// Opens a file and checks every byte of it, so that later look-ups need no checks but of bounds.
    init<Files: FileSystem>(
        _ record: UserFileRecord, directory: String, files: Files, identity: StoreIdentity
    ) throws(StoreError) {
        let name = FileName.users(record.number)
        let file = try io { () throws(FileError) in try files.open("\(directory)/\(name)", .read).map() }
        self.record = record
        self.file = file
        guard file.count == record.bytes, file.count >= UserFileFormat.headerBytes + UserFileFormat.trailerBytes else {
            throw .corrupt(name, offset: 0, expected: "\(record.bytes) bytes", found: "\(file.count)")
        }
        let header = UserFileFormat.header(number: record.number, project: record.project, identity)
        guard file.bytes(0..<header.count) == header else {
            _ = try FilePrefix.check(.users, file.bytes(0..<header.count), identity, file: name)
            throw .corrupt(name, offset: StorageFormat.prefixBytes, expected: "user file \(record.number)", found: "another's header")
        }
        let end = file.count - UserFileFormat.trailerBytes
        let sum = file.checksum(0..<end)
        guard sum == record.checksum, file.bytes(end..<file.count) == UserFileFormat.trailer(checksum: sum) else {
            throw .corrupt(name, offset: end, expected: "checksum \(hex(record.checksum))", found: hex(sum))
        }
        var at = header.count
        let users = Int(file.load(at, as: UInt32.self))
        slots = Int(file.load(at + 4, as: UInt32.self))
        let buckets = Int(file.load(at + 8, as: UInt32.self))
        at += 12
        var first = [UInt32](repeating: 0, count: Limits.buckets)
        var counts = [UInt32](repeating: 0, count: Limits.buckets)
        guard buckets <= Limits.buckets, users == record.users else {
            throw .corrupt(name, offset: at, expected: "\(record.users) users", found: "\(users) in \(buckets) buckets")
        }
        for _ in 0..<buckets {
            let bucket = Int(file.load(at, as: UInt32.self)) % Limits.buckets
            first[bucket] = file.load(at + 4)
            counts[bucket] = file.load(at + 8)
            at += 12
            guard Int(first[bucket]) + Int(counts[bucket]) <= Limits.usersPerBucket else {
                throw .corrupt(name, offset: at, expected: "\(Limits.usersPerBucket) users in a bucket", found: "more")
            }
        }
        var start: [UInt32] = [0]
        for count in counts { start.append(start[start.count - 1] &+ count) }
        self.first = first
        self.start = start
        offsetsAt = at
        tagsAt = at + 4 * (users + 1)
        slotsAt = tagsAt + (slots + 3) / 4 * 4
        heapAt = slotsAt + 4 * slots
        guard slots > 0, heapAt <= end, Int(start[Limits.buckets]) == users,
            heapAt + Int(file.load(offsetsAt + 4 * users, as: UInt32.self)) == end
        else { throw .corrupt(name, offset: header.count, expected: "tables that fit", found: "\(users) users, \(slots) slots") }
    }

    /// Users of a bucket here, by the low part of the ordinal.
    func range(ofBucket bucket: Int) -> Range<UInt32> { first[bucket]..<(first[bucket] &+ (start[bucket + 1] &- start[bucket])) }

    /// The bytes of a user's id: a range of the file; nil where the ordinal is none of this file's.
    func range(ofOrdinal ordinal: UInt32) -> Range<Int>? {
        let bucket = Ordinal.bucket(ordinal)
        let low = Ordinal.low(ordinal)
        guard range(ofBucket: bucket).contains(low) else { return nil }
        return range(atPlace: Int(start[bucket] + (low - first[bucket])))
    }

    private func range(atPlace place: Int) -> Range<Int> {
        let from = Int(file.load(offsetsAt + 4 * place, as: UInt32.self))
        let to = Int(file.load(offsetsAt + 4 * place + 4, as: UInt32.self))
        return heapAt + from..<max(heapAt + from, min(heapAt + to, file.count))
    }

    func bytes(_ range: Range<Int>) -> [UInt8] { file.bytes(range) }

    /// The ordinal of a user; `hash` is XXH64 of its id.
    func find(_ user: ArraySlice<UInt8>, hash: UInt64) -> UInt32? {
        let bucket = Int(hash % UInt64(Limits.buckets))
        if start[bucket] == start[bucket + 1] { return nil }
        var slot = UserFileFormat.slot(hash, of: slots)
        let tag = UserFileFormat.tag(hash)
        for _ in 0..<slots {
            let found: UInt8 = file.load(tagsAt + slot)
            if found == 0 { return nil }
            if found == tag {
                let place = Int(file.load(slotsAt + 4 * slot, as: UInt32.self))
                if place < record.users, equals(range(atPlace: place), user), place >= start[bucket], place < start[bucket + 1] {
                    return Ordinal.make(bucket, first[bucket] + (UInt32(place) - start[bucket]))
                }
            }
            slot = slot + 1 == slots ? 0 : slot + 1
        }
        return nil
    }

    private func equals(_ range: Range<Int>, _ user: ArraySlice<UInt8>) -> Bool {
        guard range.count == user.count, let at = unsafe file.pointer(at: range.lowerBound, need: range.count) else { return false }
        return unsafe user.withUnsafeBytes { unsafe $0.baseAddress.map { unsafe memcmp(at, $0, user.count) == 0 } ?? true }
    }
}

/// Ordinals: a bucket's number in the upper 10 bits, and below it the user's number in the bucket, in order of first
/// appearance. So a bucket is one range of every run.
enum Ordinal {
    static let lowBits: UInt32 = 22

    static func make(_ bucket: Int, _ low: UInt32) -> UInt32 { UInt32(truncatingIfNeeded: bucket) << lowBits | low }
    static func bucket(_ ordinal: UInt32) -> Int { Int(ordinal >> lowBits) }
    static func low(_ ordinal: UInt32) -> UInt32 { ordinal & (1 << lowBits - 1) }
}

enum UserFileFormat {
    static let headerBytes = 40
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

    /// Where a search begins: the hash's upper half, scaled to the table.
    static func slot(_ hash: UInt64, of slots: Int) -> Int { Int(((hash >> 32) * UInt64(slots)) >> 32) }

    /// One byte that tells most other users apart without a look at them; never 0, which marks a free slot.
    static func tag(_ hash: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: hash >> 10) | 1 }

    /// A whole file. `ids` are grouped by bucket and within it in order of the low part; an empty id is a hole.
    static func encode(
        ids: StringTable, buckets: [(bucket: Int, first: UInt32, count: UInt32)], number: UInt64, project: UInt32,
        _ identity: StoreIdentity
    ) -> (bytes: [UInt8], record: UserFileRecord) {
        let slots = max(4, ids.count + ids.count / 2)
        var tags = [UInt8](repeating: 0, count: (slots + 3) / 4 * 4)
        var table = [UInt32](repeating: 0, count: slots)
        for place in 0..<ids.count where !ids.isEmpty(place) {
            let hash = XXH64.hash(ids.slice(place))
            var at = slot(hash, of: slots)
            while tags[at] != 0 { at = at + 1 == slots ? 0 : at + 1 }
            tags[at] = tag(hash)
            table[at] = UInt32(truncatingIfNeeded: place)
        }
        var out = ByteWriter(reserving: ids.heap.count + ids.count * 16 + 1_024)
        out.append(header(number: number, project: project, identity))
        out.integer(UInt32(truncatingIfNeeded: ids.count))
        out.integer(UInt32(truncatingIfNeeded: slots))
        out.integer(UInt32(truncatingIfNeeded: buckets.count))
        for entry in buckets {
            out.integer(UInt32(truncatingIfNeeded: entry.bucket))
            out.integer(entry.first)
            out.integer(entry.count)
        }
        for offset in ids.offsets { out.integer(offset) }
        out.append(tags)
        for slot in table { out.integer(slot) }
        out.append(ids.heap)
        let sum = CRC32C.checksum(out.bytes)
        out.append(trailer(checksum: sum))
        let record = UserFileRecord(number: number, project: project, bytes: out.count, users: ids.count, checksum: sum)
        return (out.bytes, record)
    }
}

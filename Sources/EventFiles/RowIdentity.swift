import Crypto
import FunnelModel

/// Gives an id to events without one, so that loading a file again adds nothing.
package struct RowIdentity {
    package enum Rule: Sendable {
        /// A hash of the row's contents (`FILES.md` section 6).
        case content
        /// `PREFIX/<0-based number of the record in the file>`.
        case numbered(prefix: ByteString)
        /// None: an event without an id stays without.
        case none
    }

    private let rule: Rule
    private let repeats: RepeatCounts
    private var canonical: [UInt8] = []

    /// For one file: repetitions of a row are counted within it.
    package init(_ rule: Rule) throws {
        self.rule = rule
        repeats = try RepeatCounts()
    }

    /// Sets the ids of all rows without one; batches of a file must come in order.
    package mutating func complete(_ read: inout FileBatch) throws {
        if case .none = rule { return }
        let batch = read.batch
        guard (0..<batch.count).contains(where: { batch.ids.isEmpty($0) }) else { return }
        var ids = StringTable()
        for row in 0..<batch.count {
            if !batch.ids.isEmpty(row) {
                ids.append(batch.ids.slice(row))
            } else if case .numbered(let prefix) = rule {
                ids.append(ByteString(prefix.bytes + Array("/\(read.records[row])".utf8)))
            } else {
                ids.append(ByteString(try id(of: row, in: batch, isAnonymous: read.isAnonymous[row])))
            }
        }
        read.batch.ids = ids
    }

    private mutating func id(of row: Int, in batch: EventBatch, isAnonymous: Bool) throws -> [UInt8] {
        canonical.removeAll(keepingCapacity: true)
        let user = batch.users.slice(Int(batch.user[row]))
        append(isAnonymous ? [] : user)
        append(batch.names.slice(Int(batch.name[row])))
        append(UInt64(bitPattern: batch.time[row]))
        for p in Int(batch.propertyStart[row])..<Int(batch.propertyStart[row + 1]) {
            append(batch.keys.slice(Int(batch.propertyKey[p])))
            append(value: p, of: batch)
        }
        let digest = Digest(canonical)
        // Rows of two users are not repetitions of each other, although the anonymous id is not part of the row's hash.
        let counted = isAnonymous ? Digest(Self.bytes(UInt64(user.count)) + user + canonical) : digest
        let earlier = try repeats.add(counted.first, UInt32(truncatingIfNeeded: counted.second))
        guard earlier > 0 else { return Self.hex(digest.first) }
        append(UInt64(earlier))
        return Self.hex(Digest(canonical).first)
    }

    private mutating func append(_ text: ArraySlice<UInt8>) {
        append(UInt64(text.count))
        canonical += text
    }

    private mutating func append(_ number: UInt64) {
        for shift in stride(from: 0, to: 64, by: 8) { canonical.append(UInt8(truncatingIfNeeded: number >> UInt64(shift))) }
    }

    private static func bytes(_ number: UInt64) -> [UInt8] { withUnsafeBytes(of: number.littleEndian) { Array($0) } }

    /// Appends a value. Equal numbers are one value: 1 and 1.0 have the same hash.
    private mutating func append(value p: Int, of batch: EventBatch) {
        var tag = batch.propertyTag[p]
        var bits = batch.propertyBits[p]
        if tag == EventBatch.Tag.double, let whole = Int64(exactly: Double(bitPattern: bits)) {
            tag = EventBatch.Tag.integer
            bits = UInt64(bitPattern: whole)
        }
        canonical.append(tag)
        if tag == EventBatch.Tag.string { append(batch.strings.slice(Int(bits))) } else { append(bits) }
    }

    private static func hex(_ value: UInt64) -> [UInt8] { Hex.digits(bytes(value.byteSwapped)) }

    /// The first 16 bytes of a SHA-256, big-endian.
    private struct Digest {
        var first: UInt64 = 0
        var second: UInt64 = 0

        init(_ bytes: [UInt8]) {
            var hasher = SHA256()
            bytes.withUnsafeBytes { hasher.update(bufferPointer: $0) }
            hasher.finalize().withUnsafeBytes { digest in
                first = UInt64(bigEndian: digest.loadUnaligned(as: UInt64.self))
                second = UInt64(bigEndian: digest.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            }
        }
    }
}

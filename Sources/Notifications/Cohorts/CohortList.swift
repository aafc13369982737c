import FunnelModel

/// The chunks of a stored list of users, sorted byte by byte. A chunk is its users, each as its length in two bytes, low byte first, and
/// its bytes.
package enum CohortList {
    /// Bytes of a chunk. With the longest id it stays under the 512 KiB that a value of the metadata may have.
    package static let chunkBytes = 256 << 10

    /// Gathers users until a chunk is full.
    package struct Writer: Sendable {
        private var bytes: [UInt8] = []
        /// Users of all chunks.
        package private(set) var count = 0

        package init() {}

        /// - Returns: a chunk, once it is full.
        package mutating func add(_ user: ByteString) -> [UInt8]? {
            let length = UInt16(clamping: user.count)
            bytes += [UInt8(truncatingIfNeeded: length), UInt8(truncatingIfNeeded: length >> 8)]
            bytes += user.bytes.prefix(Int(length))
            count += 1
            return bytes.count >= CohortList.chunkBytes ? takeRest() : nil
        }

        /// The last chunk; nil if it would be empty.
        package mutating func takeRest() -> [UInt8]? {
            guard !bytes.isEmpty else { return nil }
            defer { bytes = [] }
            return bytes
        }
    }

    /// The users of a chunk; nil if its bytes end within one.
    package static func users(_ chunk: [UInt8]) -> [ByteString]? {
        var users: [ByteString] = []
        var place = 0
        while place < chunk.count {
            guard chunk.count - place >= 2 else { return nil }
            let length = Int(chunk[place]) | Int(chunk[place + 1]) << 8
            place += 2
            guard length <= chunk.count - place else { return nil }
            users.append(ByteString(chunk[place..<place + length]))
            place += length
        }
        return users
    }
}

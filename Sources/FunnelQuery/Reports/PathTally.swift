import FunnelModel

/// One shard has more distinct paths, or more bytes of them, than its limits. There is no estimate instead: answers are exact.
package struct TooManyPaths: Error, Equatable, Sendable, CustomStringConvertible {
    package var description: String { "there are more than \(Limits.paths) paths, or more than \(Limits.pathBytes) bytes of them" }
}

/// Counts users by path. Each thread fills its own tally; `merge` joins them.
package struct PathTally: Sendable {
    /// A path as integers of `bits` bits, the first event in the lowest: index of the event's name plus 1, or 0 after the end.
    package struct Path: Sendable {
        fileprivate static let bits = 128 / Limits.pathLength
        fileprivate var codes: UInt128 = 0
        package private(set) var length = 0

        package init() {}

        /// Appends an event, by the index of its name. At most `Limits.pathLength` times.
        package mutating func append(_ name: Int) {
            codes |= UInt128(truncatingIfNeeded: name + 1) << UInt128(Self.bits * length)
            length += 1
        }
    }

    private let names: [ByteString]
    private let pathsMax: Int
    private let bytesMax: Int
    private var users: [UInt128: UInt64] = [:]

    /// An empty tally. Indexes in paths refer to `names`, which are fewer than 2^25.
    package init(names: [ByteString]) { self.init(names: names, pathsMax: Limits.paths, bytesMax: Limits.pathBytes) }

    package init(names: [ByteString], pathsMax: Int, bytesMax: Int) {
        self.names = names
        self.pathsMax = pathsMax
        self.bytesMax = bytesMax
    }

    /// Adds a user.
    package mutating func add(_ path: Path) throws(TooManyPaths) { try add(path.codes, users: 1) }

    private mutating func add(_ codes: UInt128, users more: UInt64) throws(TooManyPaths) {
        users[codes, default: 0] += more
        guard users.count <= pathsMax else { throw TooManyPaths() }
    }

    package mutating func merge(_ other: PathTally) throws(TooManyPaths) {
        for (codes, more) in other.users { try add(codes, users: more) }
    }

    /// The counts, with the names of events.
    package func finish() throws(TooManyPaths) -> PathCounts {
        var counts = PathCounts()
        var used = [Bool](repeating: false, count: names.count)
        var bytes = 0
        for (codes, count) in users {
            var path: [ByteString] = []
            var rest = codes
            while rest != 0 {
                let name = Int(truncatingIfNeeded: rest & (1 << UInt128(Path.bits) - 1)) - 1
                path.append(names[name])
                rest >>= UInt128(Path.bits)
                if !used[name] { bytes += names[name].count + PathCounts.bytesPerName }
                used[name] = true
            }
            bytes += PathCounts.bytesPerPath
            counts.users[path] = count
        }
        guard bytes <= bytesMax else { throw TooManyPaths() }
        return counts
    }
}

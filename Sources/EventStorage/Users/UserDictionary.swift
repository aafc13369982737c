import FunnelModel
import Synchronization

/// Counts the users of all projects of a store, holes in files included.
final class UserCounter: Sendable {
    private let users = Atomic<Int>(0)

    func add(_ more: Int) { users.wrappingAdd(more, ordering: .relaxed) }

    var value: Int { users.load(ordering: .relaxed) }
}

/// A project's users: id to ordinal and back. A user gets its ordinal once and for ever. New users are in memory until a seal
/// writes them to a file; after a crash they come from the log.
final class UserDictionary: Sendable {
    struct State: Sendable {
        /// Oldest first.
        var files: [UserFile] = []
        /// Users that are in no file yet, in the order of the freezes; the last part grows.
        var parts = [UserPart(first: [UInt32](repeating: 0, count: Limits.buckets))]
    }

    /// Seed of the hashes by which users are found; random, so that nobody can choose ids that collide. Files of other
    /// writers may have other seeds.
    let seed: UInt64
    private let state: Mutex<State>
    private let counter: UserCounter

    init(files: [UserFile] = [], counter: UserCounter) {
        self.counter = counter
        for file in files { counter.add(file.record.users) }
        seed = files.last?.seed ?? .random(in: 0 ... .max)
        var first = [UInt32](repeating: 0, count: Limits.buckets)
        for file in files {
            for bucket in 0..<Limits.buckets { first[bucket] = max(first[bucket], file.range(ofBucket: bucket).upperBound) }
        }
        state = Mutex(State(files: files, parts: [UserPart(first: first)]))
    }

    /// The ordinal of each user; new users get one. nil if the bucket has `usersPerBucketMax`, or if new ids in memory take 4 GiB.
    func assign(_ users: StringTable, usersPerBucketMax: Int) -> [UInt32?] {
        state.withLock { state in
            (0..<users.count).map { i in
                let user = users.slice(i)
                let bucket = ClusterMap.bucket(of: XXH64.hash(user))
                let hash = XXH64.hash(user, seed: seed)
                if let known = state.find(user, bucket, hash, seed) { return known }
                let low = state.parts[state.parts.count - 1].next[bucket]
                guard low < usersPerBucketMax, state.parts[state.parts.count - 1].hasRoom(for: user.count) else { return nil }
                let ordinal = Ordinal.make(bucket, low)
                state.parts[state.parts.count - 1].add(user, hash, ordinal)
                counter.add(1)
                return ordinal
            }
        }
    }

    /// Adds the users of a log record; known users stay as they are. False if an ordinal contradicts what is known.
    func restore(_ users: StringTable, _ ordinals: [UInt32]) -> Bool {
        state.withLock { state in
            for i in 0..<min(users.count, ordinals.count) {
                let user = users.slice(i)
                let bucket = ClusterMap.bucket(of: XXH64.hash(user))
                let hash = XXH64.hash(user, seed: seed)
                if let known = state.find(user, bucket, hash, seed) {
                    if known != ordinals[i] { return false }
                    continue
                }
                let last = state.parts.count - 1
                guard Ordinal.bucket(ordinals[i]) == bucket, state.parts[last].isFree(ordinals[i]),
                    state.parts[last].hasRoom(for: user.count)
                else { return false }
                state.parts[last].add(user, hash, ordinals[i])
                counter.add(1)
            }
            return users.count == ordinals.count
        }
    }

    func find(_ user: ByteString) -> UInt32? {
        let bucket = ClusterMap.bucket(ofUser: user)
        let hash = XXH64.hash(user.bytes, seed: seed)
        return state.withLock { $0.find(user.bytes[...], bucket, hash, seed) }
    }

    /// The ids of users, in the order of `ordinals`; empty if there is no user.
    func ids(_ ordinals: some Collection<UInt32>) -> [ByteString] {
        let state = self.state.withLock { $0 }
        return ordinals.map { state.id($0) }
    }

    /// Calls `body` with the id of each user, in the order of `ordinals`, without a copy on the heap; empty if there is no user.
    func eachID(_ ordinals: some Sequence<UInt32>, _ body: (RawSpan) -> Void) {
        let state = self.state.withLock { $0 }
        for ordinal in ordinals { state.withID(ordinal, body) }
    }

    /// A file whose users could not all be read; nil if there is none. Check it after ids or ordinals were looked up.
    var damaged: UserFileRecord? { state.withLock { state in state.files.first { !$0.isIntact }?.record } }

    /// Number of ordinals in each bucket, holes included.
    var counts: [UInt32] { state.withLock { $0.parts[$0.parts.count - 1].next } }

    var fileRecords: [UserFileRecord] { state.withLock { $0.files.map(\.record) } }

    /// Users that are in no file yet.
    var usersInMemory: Int { state.withLock { $0.parts.reduce(0) { $0 + $1.count } } }

    /// Ends the growing part, and returns all parts for a seal to write.
    func freeze() -> [UserPart] {
        state.withLock { state in
            let last = state.parts[state.parts.count - 1]
            if last.count > 0 { state.parts.append(UserPart(first: last.next)) }
            return Array(state.parts.dropLast())
        }
    }

    /// Replaces the first `parts` in memory by a file that has their users.
    func replace(parts: Int, with file: UserFile) {
        state.withLock { state in
            state.files.append(file)
            counter.add(file.record.users - state.parts.prefix(parts).reduce(0) { $0 + $1.count })
            state.parts.removeFirst(parts)
        }
    }

    /// Replaces the files of these numbers by one that has their users.
    func replace(files numbers: Set<UInt64>, with file: UserFile) {
        state.withLock { state in
            guard let place = state.files.firstIndex(where: { numbers.contains($0.record.number) }) else { return }
            counter.add(file.record.users - state.files.filter { numbers.contains($0.record.number) }.reduce(0) { $0 + $1.record.users })
            state.files[place] = file
            state.files.removeAll { numbers.contains($0.record.number) }
        }
    }

    var files: [UserFile] { state.withLock { $0.files } }
}

extension UserDictionary.State {
    /// The ordinal of a user; nil if it is not known.
    /// - Parameter hash: XXH64 of the id with `seed`.
    fileprivate func find(_ user: ArraySlice<UInt8>, _ bucket: Int, _ hash: UInt64, _ seed: UInt64) -> UInt32? {
        for i in parts.indices.reversed() { if let ordinal = parts[i].find(user, hash) { return ordinal } }
        for i in files.indices.reversed() {
            let hash = files[i].seed == seed ? hash : XXH64.hash(user, seed: files[i].seed)
            if let ordinal = files[i].find(user, bucket: bucket, hash: hash) { return ordinal }
        }
        return nil
    }

    fileprivate func id(_ ordinal: UInt32) -> ByteString {
        for i in parts.indices { if let id = parts[i].id(ordinal) { return id } }
        for file in files { if let id = file.id(ordinal) { return id } }
        return ""
    }

    fileprivate func withID(_ ordinal: UInt32, _ body: (RawSpan) -> Void) {
        for i in parts.indices { if let id = parts[i].stored(ordinal) { return body(id.span.bytes) } }
        for file in files { if let id = file.stored(ordinal) { return id.withText(body) } }
        body(RawSpan())
    }
}

/// Users in memory, from one freeze to the next.
struct UserPart: Sendable {
    /// By bucket: users with lower low parts are in files or older parts.
    let first: [UInt32]
    /// By bucket: the next low part.
    private(set) var next: [UInt32]
    private var ids = StringTable()
    private var ordinals: [UInt32] = []
    private var hashes: [UInt64] = []
    /// Hash table of place + 1, with open addressing; 0 is free.
    private var table = [UInt32](repeating: 0, count: 64)
    /// Place + 1 by bucket and low part minus `first`; 0 is a hole.
    private var places: [[UInt32]] = Array(repeating: [], count: Limits.buckets)

    init(first: [UInt32]) {
        self.first = first
        next = first
    }

    var count: Int { ids.count }

    /// Whether a user with an id of `bytes` bytes may be added.
    func hasRoom(for bytes: Int) -> Bool { ids.hasRoom(for: bytes) }

    func find(_ user: ArraySlice<UInt8>, _ hash: UInt64) -> UInt32? {
        var at = Int(hash >> 20) & (table.count - 1)
        while table[at] != 0 {
            let place = Int(table[at]) - 1
            if hashes[place] == hash, ids.slice(place).elementsEqual(user) { return ordinals[place] }
            at = (at + 1) & (table.count - 1)
        }
        return nil
    }

    func id(_ ordinal: UInt32) -> ByteString? { stored(ordinal).map { ByteString($0) } }

    /// The id of an ordinal, empty for a hole; nil if the ordinal is not in this part.
    func stored(_ ordinal: UInt32) -> ArraySlice<UInt8>? {
        let bucket = Ordinal.bucket(ordinal)
        let low = Ordinal.low(ordinal)
        guard low >= first[bucket], low < next[bucket] else { return nil }
        let place = places[bucket][Int(low - first[bucket])]
        return place == 0 ? [] : ids.slice(Int(place) - 1)
    }

    /// Whether no user has the ordinal, here or in a file or older part.
    func isFree(_ ordinal: UInt32) -> Bool {
        let bucket = Ordinal.bucket(ordinal)
        let low = Ordinal.low(ordinal)
        guard low >= first[bucket] else { return false }
        return low >= next[bucket] || places[bucket][Int(low - first[bucket])] == 0
    }

    /// Adds a user.
    /// - Parameter ordinal: free. Ordinals that are skipped are holes, which a later log record may fill: users of a failed
    ///   append keep their ordinals, but only the record of a later append has them.
    mutating func add(_ user: ArraySlice<UInt8>, _ hash: UInt64, _ ordinal: UInt32) {
        let bucket = Ordinal.bucket(ordinal)
        let place = Int(Ordinal.low(ordinal) - first[bucket])
        let missing = place + 1 - places[bucket].count
        if missing > 0 { places[bucket].append(contentsOf: repeatElement(0, count: missing)) }
        ids.append(user)
        ordinals.append(ordinal)
        hashes.append(hash)
        places[bucket][place] = UInt32(truncatingIfNeeded: ids.count)
        next[bucket] = max(next[bucket], Ordinal.low(ordinal) + 1)
        if ids.count * 4 > table.count * 3 { grow() }
        insert(ids.count - 1)
    }

    private mutating func insert(_ place: Int) {
        var at = Int(hashes[place] >> 20) & (table.count - 1)
        while table[at] != 0 { at = (at + 1) & (table.count - 1) }
        table[at] = UInt32(truncatingIfNeeded: place + 1)
    }

    private mutating func grow() {
        table = [UInt32](repeating: 0, count: table.count * 2)
        for place in 0..<(ids.count - 1) { insert(place) }
    }
}

/// Collects the users of several sources for one user file: ids by bucket and low part; an empty id is a hole.
enum UserFileMerge {
    /// Users of parts of memory that follow each other.
    static func ids(of parts: [UserPart]) throws(StoreError) -> (ids: StringTable, buckets: [(bucket: Int, first: UInt32, count: UInt32)]) {
        guard let oldest = parts.first, let newest = parts.last else { return (StringTable(), []) }
        return try collect(first: oldest.first, next: newest.next) { ordinal in
            for part in parts { if let id = part.id(ordinal) { return id } }
            return ""
        }
    }

    /// Users of files that follow each other.
    static func ids(of files: [UserFile]) throws(StoreError) -> (ids: StringTable, buckets: [(bucket: Int, first: UInt32, count: UInt32)]) {
        var first = [UInt32](repeating: 0, count: Limits.buckets)
        var next = first
        for bucket in first.indices {
            let ranges = files.map { $0.range(ofBucket: bucket) }.filter { !$0.isEmpty }
            first[bucket] = ranges.map(\.lowerBound).min() ?? 0
            next[bucket] = ranges.map(\.upperBound).max() ?? 0
        }
        return try collect(first: first, next: next) { ordinal in
            for file in files { if let id = file.id(ordinal) { return id } }
            return ""
        }
    }

    /// Collects the ids of the ordinals from `first` up to `next`, by bucket.
    /// - Throws: `.tooLarge` if the ids do not fit into a `StringTable`; `MergePlan` keeps merges far below that.
    private static func collect(
        first: [UInt32], next: [UInt32], _ id: (UInt32) -> ByteString
    ) throws(StoreError) -> (ids: StringTable, buckets: [(bucket: Int, first: UInt32, count: UInt32)]) {
        var ids = StringTable()
        var buckets: [(bucket: Int, first: UInt32, count: UInt32)] = []
        for bucket in first.indices where next[bucket] > first[bucket] {
            buckets.append((bucket, first[bucket], next[bucket] - first[bucket]))
            for low in first[bucket]..<next[bucket] {
                let id = id(Ordinal.make(bucket, low))
                guard ids.hasRoom(for: id.count) else { throw StoreError(.tooLarge, "the ids of \(ids.count) users take more than 4 GiB") }
                ids.append(id)
            }
        }
        return (ids, buckets)
    }
}

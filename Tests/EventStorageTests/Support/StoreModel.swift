import EventStorage
import FunnelModel

typealias SimulatedStore = ShardStore<SimulatedFileSystem>

let testIdentity = StoreIdentity(clusterID: 0xC0FFEE, shard: 1, shardCount: 4, epoch: 7)

func openStore(
    _ files: SimulatedFileSystem, _ identity: StoreIdentity = testIdentity, _ options: StoreOptions = StoreOptions()
) throws(StoreError) -> SimulatedStore {
    try ShardStore.open(directory: "data", files: files, identity: identity, options: options)
}

func request(
    _ events: [Event], sequence: UInt64, part: UInt32 = 0, producer: UInt64 = 9, project: UInt32 = 1, fingerprint: UInt32 = 0
) -> AppendRequest {
    AppendRequest(
        project: project, producer: producer, sequence: sequence, part: part, fingerprint: fingerprint,
        batch: EventBatchBuilder(events).finish())
}

func event(
    _ user: String, _ name: String, _ time: Int64, id: String = "", serverTimed: Bool = false, p: Int64? = nil
) -> Event {
    Event(
        user: ByteString(user), name: ByteString(name), time: time, id: ByteString(id), serverTimed: serverTimed,
        properties: p.map { [Event.Property("p", .integer($0))] } ?? [])
}

extension Result where Failure == StoreError {
    var errorCode: StoreError.Code? {
        if case .failure(let error) = self { return error.code }
        return nil
    }
}

/// One user with its rows.
struct History: Equatable {
    var user: ByteString
    var events: [Event]
}

extension StoreView {
    /// All that a scan tells, by user.
    func histories(
        events: [ByteString]? = nil, after: ByteString? = nil, keep: ((ByteString) -> Bool)? = nil
    ) throws -> [History] {
        var all: [History] = []
        try scan(events: events) { rows in
            let user = rows.id
            if after.map({ user > $0 }) ?? true, keep?(user) ?? true {
                all.append(History(user: user, events: try (0..<rows.count).map(rows.row)))
            }
            return true
        }
        return all.sorted { $0.user < $1.user }
    }

    func allEvents() throws -> [Event] { try histories().flatMap(\.events) }
}

extension ShardStore {
    /// Does one piece of the work that is due: a seal, else a merge. False where none is.
    func maintain() -> Bool { sealIfDue() || mergeIfDue() }

    /// An append, then the work that is due after it.
    func put(_ group: [AppendRequest]) throws(StoreError) -> [Result<AppendResult, StoreError>] {
        let results = try append(group)
        while maintain() {}
        return results
    }
}

/// What the store promises, in the most obvious way.
struct StoreModel {
    /// In the order in which they became durable.
    var rows: [Event] = []
    var suppressed: Set<ByteString> = []

    func histories(events: [ByteString]? = nil, after: ByteString? = nil) -> [History] {
        var byUser: [ByteString: [(order: Int, event: Event)]] = [:]
        for (order, event) in rows.enumerated() { byUser[event.user, default: []].append((order, event)) }
        return byUser.keys.sorted().compactMap { user in
            if suppressed.contains(user) { return nil }
            if let after, user <= after { return nil }
            let mine = distinct(byUser[user] ?? []).filter { events?.contains($0.name) ?? true }
            return mine.isEmpty ? nil : History(user: user, events: mine.sorted(by: inOrder))
        }
    }

    private struct Key: Hashable {
        var name: ByteString
        var id: ByteString
        var time: Int64 = 0
    }

    private func distinct(_ rows: [(order: Int, event: Event)]) -> [Event] {
        var earliest: [Key: Int64] = [:]
        for (_, event) in rows where event.serverTimed {
            let key = Key(name: event.name, id: event.id)
            earliest[key] = min(earliest[key] ?? event.time, event.time)
        }
        var seen: Set<Key> = []
        return rows.compactMap { _, event in
            if event.id.isEmpty { return event }
            if event.serverTimed, earliest[Key(name: event.name, id: event.id)] != event.time { return nil }
            return seen.insert(Key(name: event.name, id: event.id, time: event.time)).inserted ? event : nil
        }
    }

    private func inOrder(_ a: Event, _ b: Event) -> Bool {
        if a.time != b.time { return a.time < b.time }
        if a.name != b.name { return a.name < b.name }
        if a.id != b.id { return a.id < b.id }
        return a.properties.order < b.properties.order
    }
}

extension [Event.Property] {
    /// Canonical bytes of properties, as `Protocol/SEGMENT.md` tells.
    fileprivate var order: ByteString {
        var out = ByteWriter()
        for property in self {
            out.string(property.key)
            switch property.value {
            case .string(let text):
                out.integer(UInt8(1))
                out.string(text)
            case .integer(let value):
                out.integer(UInt8(2))
                out.integer(value)
            case .double(let value):
                out.integer(UInt8(3))
                out.integer(value.bitPattern)
            case .bool(let value):
                out.integer(UInt8(4))
                out.integer(UInt64(value ? 1 : 0))
            }
        }
        return ByteString(out.bytes)
    }
}

/// Events with few users, names, times and ids, so that ties and repeats are common.
func randomEvents(_ count: Int, users: Int = 12, _ random: inout SeededGenerator) -> [Event] {
    (0..<count).map { _ in
        let hasID = Int.random(in: 0..<3, using: &random) > 0
        var properties: [Event.Property] = []
        if Bool.random(using: &random) {
            properties.append(.init("plan", .string(Bool.random(using: &random) ? "free" : "pro")))
        }
        if Bool.random(using: &random) {
            properties.append(.init("n", .integer(Int64.random(in: -2...2, using: &random))))
        }
        if Int.random(in: 0..<5, using: &random) == 0 { properties.append(.init("x", .double(0.5))) }
        if Int.random(in: 0..<5, using: &random) == 0 { properties.append(.init("ok", .bool(true))) }
        return Event(
            user: ByteString("longish-user-\(Int.random(in: 0..<users, using: &random))"),
            name: ByteString("name\(Int.random(in: 0..<5, using: &random))"),
            time: 1_700_000_000_000_000 + Int64.random(in: 0..<6, using: &random),
            id: hasID ? ByteString("id\(Int.random(in: 0..<4, using: &random))") : "",
            serverTimed: Int.random(in: 0..<4, using: &random) == 0, properties: properties)
    }
}

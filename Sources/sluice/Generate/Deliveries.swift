import FunnelModel

/// Events in the order in which they arrive: one in fifty is delivered twice, and one in twenty arrives long after it happened.
struct Deliveries {
    var random: RandomNumbers
    private var arrived: [JSONValue] = []
    private var late: [JSONValue] = []
    private var serial = 0

    init(seed: UInt64) { random = RandomNumbers(seed: seed) }

    /// - Parameter time: microseconds since 1970.
    mutating func add(user: String, _ name: String, _ time: Int64, _ properties: [JSONValue.Member]) {
        serial += 1
        let event: JSONValue = [
            "user_id": .text(user), "event": .text(name), "timestamp": .text(Timestamp.format(time)), "event_id": .text("e\(serial)"),
            "properties": .object(properties),
        ]
        if random.chance(5) { late.append(event) } else { arrived.append(event) }
        if random.chance(2) { late.append(event) }
    }

    /// The events that arrived since the last call. The late ones are held back until there are many.
    ///
    /// - Parameter isEnd: gives all late ones too.
    mutating func take(isEnd: Bool) -> [JSONValue] {
        if isEnd || late.count > 500 {
            arrived += late
            late.removeAll()
        }
        defer { arrived.removeAll() }
        return arrived
    }
}

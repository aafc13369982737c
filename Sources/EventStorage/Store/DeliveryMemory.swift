import FunnelModel

/// The name of a delivery, by which a repeat of it is recognised.
struct DeliveryName: Hashable, Sendable {
    var producer: UInt64
    var sequence: UInt64
    /// The client's part in the low 16 bits, the number of ingest's slice above them.
    var part: UInt32
}

/// A remembered delivery: the buckets whose rows were decided on, and which of these rows were rejected. `PROTOCOL.md` section 5.
struct Delivered: Equatable, Sendable {
    /// CRC-32C of the client's request; 0 if ingest has numbered the request.
    var fingerprint: UInt32
    /// All rows of the slice in these buckets were decided on. nil: all rows of a frame whose sender does not name buckets.
    var buckets: BucketSet?
    /// Ascending, by their number in the request.
    var rejected: [RejectedRow] = []

    /// The weight that counts against the memory's limits.
    var weight: Int { 1 + rejected.count }

    /// Adds the buckets and rejected rows of another part of the same delivery.
    mutating func add(_ other: Delivered) {
        if let mine = buckets, let more = other.buckets { buckets = mine.union(more) }
        if other.rejected.isEmpty { return }
        rejected = (rejected + other.rejected).sorted { $0.row < $1.row }
    }
}

/// The outcomes of one project's recent deliveries, by which repeats are recognised. It has no clock: times come with what is
/// recorded, so replay of the log makes the same memory.
struct DeliveryMemory: Sendable {
    /// How long and how much is remembered.
    struct Rules: Equatable, Sendable {
        /// Seconds within which a repeat is always known; `shortPromise` is for deliveries that ingest has numbered itself.
        var promise: UInt64 = 3_600
        var shortPromise: UInt64 = 60
        var producersMax = 100_000
        /// Deliveries plus rejected rows. Above `weightUsual`, what is older than the promise is forgotten; `weightMax` is the limit.
        var weightUsual = 1 << 16
        var weightMax = 1 << 20
    }

    enum Answer: Equatable {
        /// All rows are known.
        case known
        /// Store the rows of these buckets (nil: all rows of the frame). The other rows are known.
        case store(BucketSet?)
        /// Another request was stored under this name.
        case reused
        /// It is unknown whether the rows are stored: the sequence is below this floor.
        case expired(UInt64)
        /// Deliveries that must be kept leave no room.
        case overloaded
    }

    struct Delivery: Sendable {
        /// When its newest part was added, in seconds since 1970.
        var time: UInt64
        var isShort: Bool
        var content: Delivered
        /// Number of its newest entry in the queue; older entries are void.
        fileprivate var turn: UInt64 = 0
    }

    private struct Producer: Sendable {
        /// Sequences below the floor that are not known are forgotten.
        var floor: UInt64 = 0
        var deliveries = 0
    }

    private struct Turn: Sendable {
        var number: UInt64
        var name: DeliveryName
    }

    let rules: Rules
    /// The max time recorded, in seconds since 1970.
    private(set) var time: UInt64 = 0
    private(set) var weight = 0
    private var deliveries: [DeliveryName: Delivery] = [:]
    private var producers: [UInt64: Producer] = [:]
    /// Oldest first; a delivery that was added to has a newer entry, which makes the older one void.
    private var long = Queue<Turn>()
    private var short = Queue<Turn>()
    /// Producers in the order in which their last delivery was forgotten; some may have new deliveries.
    private var empty = Queue<UInt64>()
    private var turns: UInt64 = 0
    private var lastBuckets: BucketSet?

    init(_ rules: Rules = Rules()) { self.rules = rules }

    var count: Int { deliveries.count }
    var producerCount: Int { producers.count }

    func find(_ name: DeliveryName) -> Delivery? { deliveries[name] }
    func floor(ofProducer producer: UInt64) -> UInt64 { producers[producer]?.floor ?? 0 }

    /// Decides what to do with rows that arrive.
    /// - Parameters:
    ///   - known: what is remembered of the delivery, here and elsewhere.
    ///   - now: seconds since 1970.
    ///   - pending: weight of deliveries that are decided on but not recorded yet.
    ///   - floor: the producer's floor in another memory.
    func answer(
        _ name: DeliveryName, _ content: Delivered, known: Delivered?, now: UInt64, pending: Int = 0, floor: UInt64 = 0
    ) -> Answer {
        var wanted = content.buckets
        if let known {
            // An ingest of another release cut the request differently the first time: it is unknown which rows are stored.
            if (known.buckets == nil) != (content.buckets == nil) { return .expired(name.sequence &+ 1) }
            if known.fingerprint != content.fingerprint { return .reused }
            guard let sent = content.buckets, let there = known.buckets else { return .known }
            let rest = sent.subtracting(there)
            if rest.isEmpty { return .known }
            wanted = rest
        }
        let floor = max(self.floor(ofProducer: name.producer), floor)
        if known == nil, name.sequence < floor { return .expired(floor) }
        let isNew = producers[name.producer] == nil
        return hasRoom(for: 1 + pending, newProducers: isNew ? 1 + pending : 0, now: max(now, time)) ? .store(wanted) : .overloaded
    }

    /// Raises a producer's floor: unknown sequences below it are forgotten.
    mutating func raise(floor: UInt64, ofProducer producer: UInt64) {
        if producers[producer] == nil { empty.append(producer) }
        producers[producer, default: Producer()].floor = max(floor, self.floor(ofProducer: producer))
    }

    /// Records a stored delivery, or a part of one that was not known yet.
    mutating func record(_ name: DeliveryName, _ content: Delivered, isShort: Bool, now: UInt64) {
        time = max(time, now)
        turns += 1
        var delivery: Delivery
        if let known = deliveries[name] {
            delivery = known
            weight -= delivery.content.weight
            delivery.content.add(content)
        } else {
            delivery = Delivery(time: time, isShort: isShort, content: content)
            producers[name.producer, default: Producer()].deliveries += 1
        }
        delivery.content.buckets = share(delivery.content.buckets)
        delivery.time = time
        delivery.turn = turns
        deliveries[name] = delivery
        weight += delivery.content.weight
        if delivery.isShort { short.append(Turn(number: turns, name: name)) } else { long.append(Turn(number: turns, name: name)) }
        forget()
    }

    /// Lets equal sets share memory: nearly all deliveries of a shard have the same buckets.
    private mutating func share(_ buckets: BucketSet?) -> BucketSet? {
        if buckets != lastBuckets { lastBuckets = buckets }
        return lastBuckets
    }

    // MARK: - Forgetting

    private func isOld(_ delivery: Delivery, _ now: UInt64) -> Bool {
        now - min(now, delivery.time) > (delivery.isShort ? rules.shortPromise : rules.promise)
    }

    /// Whether `more` weight and `newProducers` fit, once old deliveries are forgotten.
    private func hasRoom(for more: Int, newProducers: Int, now: UInt64) -> Bool {
        var weight = weight + more - rules.weightMax
        var producers = producers.count + newProducers - rules.producersMax
        if weight <= 0 && producers <= 0 { return true }
        producers -= Set(empty.elements.filter { self.producers[$0]?.deliveries == 0 }).count
        // A producer makes room for another one only when all its deliveries are old.
        var left: [UInt64: Int] = [:]
        for turn in long.elements {
            guard let delivery = deliveries[turn.name], delivery.turn == turn.number else { continue }
            guard weight > 0 || producers > 0, isOld(delivery, now) else { break }
            weight -= delivery.content.weight
            let rest = (left[turn.name.producer] ?? self.producers[turn.name.producer]?.deliveries ?? 1) - 1
            left[turn.name.producer] = rest
            if rest == 0 { producers -= 1 }
        }
        return weight <= 0 && producers <= 0
    }

    private mutating func forget() {
        while let turn = short.first, isPassed(turn, when: true) {
            short.removeFirst()
            forget(turn)
        }
        forgetIdle()
        while let turn = long.first, isPassed(turn, when: weight > rules.weightUsual || producers.count > rules.producersMax) {
            long.removeFirst()
            forget(turn)
            forgetIdle()
        }
    }

    private mutating func forgetIdle() {
        while producers.count > rules.producersMax, let oldest = empty.first {
            empty.removeFirst()
            if producers[oldest]?.deliveries == 0 { producers[oldest] = nil }
        }
    }

    /// Whether the first entry of a queue may be removed: it is void, or its delivery is old.
    private func isPassed(_ turn: Turn, when isWanted: Bool) -> Bool {
        guard let delivery = deliveries[turn.name], delivery.turn == turn.number else { return true }
        return isWanted && isOld(delivery, time)
    }

    private mutating func forget(_ turn: Turn) {
        guard let delivery = deliveries[turn.name], delivery.turn == turn.number else { return }
        let name = turn.name
        deliveries[name] = nil
        weight -= delivery.content.weight
        guard var producer = producers[name.producer] else { return }
        producer.deliveries -= 1
        producer.floor = max(producer.floor, name.sequence &+ 1)
        producers[name.producer] = producer
        if producer.deliveries > 0 { return }
        // Ingest does not repeat a short delivery later, so its floor is not needed.
        if delivery.isShort { producers[name.producer] = nil } else { empty.append(name.producer) }
    }
}

/// A first-in, first-out queue; `removeFirst` is amortized O(1).
struct Queue<Element: Sendable>: Sendable {
    private var items: [Element] = []
    private var start = 0

    var elements: ArraySlice<Element> { items[start...] }
    var first: Element? { start < items.count ? items[start] : nil }

    mutating func append(_ element: Element) { items.append(element) }

    mutating func removeFirst() {
        start += 1
        if start > 64, start * 2 > items.count {
            items.removeFirst(start)
            start = 0
        }
    }
}

// MARK: - In the manifest

extension DeliveryMemory {
    /// Encodes the memory (`SEGMENT.md`, Memory of deliveries). The bytes depend only on what was recorded, and in which order.
    func encode(_ out: inout ByteWriter) {
        out.integer(time)
        var places: [UInt64: Int] = [:]
        var order: [UInt64] = []
        func place(_ producer: UInt64) -> Int {
            if let known = places[producer] { return known }
            places[producer] = order.count
            order.append(producer)
            return order.count - 1
        }
        // Producers without deliveries come first, oldest first.
        var idle = 0
        for producer in empty.elements where places[producer] == nil && producers[producer]?.deliveries == 0 {
            _ = place(producer)
            idle += 1
        }
        var sets: [BucketSet: Int] = [:]
        var setOrder: [BucketSet] = []
        var body = ByteWriter()
        for queue in [long, short] {
            let live = queue.elements.compactMap { turn in
                deliveries[turn.name].flatMap { $0.turn == turn.number ? (turn.name, $0) : nil }
            }
            body.varint(UInt64(live.count))
            for (name, delivery) in live {
                body.varint(UInt64(place(name.producer)))
                body.varint(name.sequence)
                body.varint(UInt64(name.part))
                body.varint(time - min(time, delivery.time))
                body.integer(delivery.content.fingerprint)
                if let buckets = delivery.content.buckets {
                    let place = sets[buckets] ?? sets.count
                    if place == setOrder.count {
                        sets[buckets] = place
                        setOrder.append(buckets)
                    }
                    body.varint(UInt64(place + 1))
                } else {
                    body.varint(0)
                }
                RejectedRows.encode(delivery.content.rejected, &body)
            }
        }
        out.varint(UInt64(order.count))
        out.varint(UInt64(idle))
        for producer in order {
            out.integer(producer)
            out.varint(producers[producer]?.floor ?? 0)
        }
        out.varint(UInt64(setOrder.count))
        for set in setOrder { set.encode(&out) }
        out.append(body.bytes)
    }

    static func decode(_ reader: inout ByteReader, _ rules: Rules) throws(ByteError) -> DeliveryMemory {
        var memory = DeliveryMemory(rules)
        memory.time = try reader.integer("time of deliveries")
        let count = try reader.count(limit: reader.remaining / 9, "producers")
        let idle = try reader.count(limit: count, "producers without deliveries")
        var order: [UInt64] = []
        for _ in 0..<count {
            let producer: UInt64 = try reader.integer("producer")
            memory.producers[producer] = Producer(floor: try reader.varint("producer floor"))
            order.append(producer)
        }
        for producer in order.prefix(idle) { memory.empty.append(producer) }
        var sets: [BucketSet] = []
        for _ in 0..<(try reader.count(limit: reader.remaining, "sets of buckets")) { sets.append(try BucketSet(&reader)) }
        for isShort in [false, true] {
            for _ in 0..<(try reader.count(limit: reader.remaining, "deliveries")) {
                let place = try reader.count(limit: max(0, count - 1), "place of a producer")
                guard place < count else { throw ByteError(offset: reader.offset, reason: "a delivery without a producer") }
                let name = DeliveryName(
                    producer: order[place], sequence: try reader.varint("sequence"),
                    part: UInt32(truncatingIfNeeded: try reader.count(limit: Int(UInt32.max), "part")))
                let age = try reader.varint("age of a delivery")
                let fingerprint: UInt32 = try reader.integer("fingerprint")
                let set = try reader.count(limit: sets.count, "place of a set of buckets")
                let content = Delivered(
                    fingerprint: fingerprint, buckets: set == 0 ? nil : sets[set - 1], rejected: try RejectedRows.decode(&reader))
                memory.turns += 1
                var delivery = Delivery(time: memory.time - min(memory.time, age), isShort: isShort, content: content)
                delivery.turn = memory.turns
                guard memory.deliveries.updateValue(delivery, forKey: name) == nil else {
                    throw ByteError(offset: reader.offset, reason: "a delivery twice")
                }
                memory.producers[name.producer]?.deliveries += 1
                memory.weight += content.weight
                let turn = Turn(number: memory.turns, name: name)
                if isShort { memory.short.append(turn) } else { memory.long.append(turn) }
            }
        }
        return memory
    }
}

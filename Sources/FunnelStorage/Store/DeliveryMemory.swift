import FunnelModel

/// Names what a producer sent at once.
struct DeliveryName: Hashable, Sendable {
    var producer: UInt64
    var sequence: UInt64
    /// The client's own part of the sequence.
    var part: UInt32
}

/// Rows of a delivery that are stored or known as one: those of one bucket, cut by size. `PROTOCOL.md` section 5.
struct DeliveredPiece: Equatable, Sendable {
    /// Of a sender that does not cut by bucket: all of its rows for this shard.
    static let everyBucket: UInt16 = .max

    var bucket: UInt16
    var cut: UInt16
    var fingerprint: UInt32
    var accepted: Int
    /// By their place in the piece.
    var rejected: [RejectedRow] = []

    func isSamePlace(_ other: DeliveredPiece) -> Bool { bucket == other.bucket && cut == other.cut }
    var weight: Int { 1 + rejected.count }
}

/// What became of the recent deliveries of one project, by which repeats are known. A value without a clock: time comes with
/// what is recorded, so that replay of the log makes the same memory.
struct DeliveryMemory: Sendable {
    /// What is kept.
    struct Rules: Equatable, Sendable {
        /// Seconds within which a repeat is known in any case; the second for deliveries that nobody repeats later.
        var promise: UInt64 = 3_600
        var shortPromise: UInt64 = 60
        var producersMax = 100_000
        /// Pieces and rejected rows. Above the first what the promise does not cover is forgotten, the second is the limit.
        var weightUsual = 1 << 16
        var weightMax = 1 << 20
    }

    enum Answer: Equatable {
        /// Pieces that are to be stored, by their place in what was asked; the others are known.
        case store([Int])
        /// Other content was stored under this name.
        case reused
        /// Below what is remembered; the floor is given.
        case expired(UInt64)
        /// What must be kept leaves no room.
        case overloaded
    }

    struct Delivery: Sendable {
        /// Seconds; of its newest piece.
        var time: UInt64
        var isShort: Bool
        var pieces: [DeliveredPiece]
        /// Its newest place in the queue.
        fileprivate var turn: UInt64 = 0
    }

    private struct Producer: Sendable {
        /// Sequences below that are not known are forgotten.
        var floor: UInt64 = 0
        var deliveries = 0
    }

    private struct Turn: Sendable {
        var number: UInt64
        var name: DeliveryName
    }

    let rules: Rules
    /// The greatest that was recorded, in seconds.
    private(set) var time: UInt64 = 0
    private(set) var weight = 0
    private var deliveries: [DeliveryName: Delivery] = [:]
    private var producers: [UInt64: Producer] = [:]
    /// Oldest first; a delivery that was added to stands in it again.
    private var long = Queue<Turn>()
    private var short = Queue<Turn>()
    /// Producers in the order in which their last delivery was forgotten; some may have new ones.
    private var empty = Queue<UInt64>()
    private var turns: UInt64 = 0

    init(_ rules: Rules = Rules()) { self.rules = rules }

    var count: Int { deliveries.count }
    var producerCount: Int { producers.count }

    func find(_ name: DeliveryName) -> Delivery? { deliveries[name] }
    func floor(ofProducer producer: UInt64) -> UInt64 { producers[producer]?.floor ?? 0 }

    /// What is to be done with pieces that arrive.
    /// - Parameters:
    ///   - now: seconds.
    ///   - pending: pieces that were decided on and not recorded yet.
    ///   - earlier: what is known of the producer from elsewhere.
    func answer(
        _ name: DeliveryName, _ pieces: [DeliveredPiece], now: UInt64, pending: Int = 0, earlier: (pieces: [DeliveredPiece], floor: UInt64) = ([], 0)
    ) -> Answer {
        let known = (deliveries[name]?.pieces ?? []) + earlier.pieces
        let isByBucket = pieces.contains { $0.bucket != DeliveredPiece.everyBucket }
        if let first = known.first, (first.bucket != DeliveredPiece.everyBucket) != isByBucket {
            // Cut in another way the first time, by an ingest of another release: which rows are known can't be told.
            return .expired(name.sequence &+ 1)
        }
        var wanted: [Int] = []
        for (i, piece) in pieces.enumerated() {
            guard let same = known.first(where: { $0.isSamePlace(piece) }) else {
                wanted.append(i)
                continue
            }
            if same.fingerprint != piece.fingerprint { return .reused }
        }
        if wanted.isEmpty { return .store([]) }
        let floor = max(floor(ofProducer: name.producer), earlier.floor)
        if known.isEmpty, name.sequence < floor { return .expired(floor) }
        let isNew = producers[name.producer] == nil
        return hasRoom(for: wanted.count + pending, newProducers: isNew ? 1 + pending : 0, now: max(now, time)) ? .store(wanted) : .overloaded
    }

    /// Nothing of a producer below the sequence is known any more.
    mutating func raise(floor: UInt64, ofProducer producer: UInt64) {
        if producers[producer] == nil { empty.append(producer) }
        producers[producer, default: Producer()].floor = max(floor, self.floor(ofProducer: producer))
    }

    /// Takes up pieces that are stored; they are not known yet.
    mutating func record(_ name: DeliveryName, _ pieces: [DeliveredPiece], isShort: Bool, now: UInt64) {
        time = max(time, now)
        turns += 1
        var delivery = deliveries[name] ?? Delivery(time: time, isShort: isShort, pieces: [])
        if delivery.pieces.isEmpty { producers[name.producer, default: Producer()].deliveries += 1 }
        delivery.pieces += pieces
        delivery.time = time
        delivery.turn = turns
        deliveries[name] = delivery
        weight += pieces.reduce(0) { $0 + $1.weight }
        if delivery.isShort { short.append(Turn(number: turns, name: name)) } else { long.append(Turn(number: turns, name: name)) }
        forget()
    }

    // MARK: - Forgetting

    private func isOld(_ delivery: Delivery, _ now: UInt64) -> Bool {
        now - min(now, delivery.time) > (delivery.isShort ? rules.shortPromise : rules.promise)
    }

    /// Whether so much more can be kept, once what is old is forgotten.
    private func hasRoom(for more: Int, newProducers: Int, now: UInt64) -> Bool {
        var weight = weight + more - rules.weightMax
        var producers = producers.count + newProducers - rules.producersMax
        if weight <= 0 && producers <= 0 { return true }
        producers -= Set(empty.elements.filter { self.producers[$0]?.deliveries == 0 }).count
        // Of a producer whose deliveries are old in part, none makes room for another producer.
        var left: [UInt64: Int] = [:]
        for turn in long.elements {
            guard let delivery = deliveries[turn.name], delivery.turn == turn.number else { continue }
            guard weight > 0 || producers > 0, isOld(delivery, now) else { break }
            weight -= delivery.pieces.reduce(0) { $0 + $1.weight }
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

    /// Whether the first of a queue may go: it stands elsewhere too, or is old.
    private func isPassed(_ turn: Turn, when isWanted: Bool) -> Bool {
        guard let delivery = deliveries[turn.name], delivery.turn == turn.number else { return true }
        return isWanted && isOld(delivery, time)
    }

    private mutating func forget(_ turn: Turn) {
        guard let delivery = deliveries[turn.name], delivery.turn == turn.number else { return }
        let name = turn.name
        deliveries[name] = nil
        weight -= delivery.pieces.reduce(0) { $0 + $1.weight }
        guard var producer = producers[name.producer] else { return }
        producer.deliveries -= 1
        producer.floor = max(producer.floor, name.sequence &+ 1)
        producers[name.producer] = producer
        if producer.deliveries > 0 { return }
        // Nobody repeats what was to be known for a short time, so nobody needs the floor.
        if delivery.isShort { producers[name.producer] = nil } else { empty.append(name.producer) }
    }
}

/// First in, first out.
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
    /// Everything that is remembered, in an order that depends on what was recorded alone.
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
        // Those without deliveries first, oldest first.
        var idle = 0
        for producer in empty.elements where places[producer] == nil && producers[producer]?.deliveries == 0 {
            _ = place(producer)
            idle += 1
        }
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
                delivery.pieces.encode(&body)
            }
        }
        out.varint(UInt64(order.count))
        out.varint(UInt64(idle))
        for producer in order {
            out.integer(producer)
            out.varint(producers[producer]?.floor ?? 0)
        }
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
        for isShort in [false, true] {
            for _ in 0..<(try reader.count(limit: reader.remaining, "deliveries")) {
                let place = try reader.count(limit: max(0, count - 1), "place of a producer")
                guard place < count else { throw ByteError(offset: reader.offset, reason: "a delivery without a producer") }
                let name = DeliveryName(
                    producer: order[place], sequence: try reader.varint("sequence"),
                    part: UInt32(truncatingIfNeeded: try reader.count(limit: Int(UInt32.max), "part")))
                let age = try reader.varint("age of a delivery")
                memory.turns += 1
                var delivery = Delivery(
                    time: memory.time - min(memory.time, age), isShort: isShort, pieces: try [DeliveredPiece].decode(&reader))
                delivery.turn = memory.turns
                guard memory.deliveries.updateValue(delivery, forKey: name) == nil else {
                    throw ByteError(offset: reader.offset, reason: "a delivery twice")
                }
                memory.producers[name.producer]?.deliveries += 1
                memory.weight += delivery.pieces.reduce(0) { $0 + $1.weight }
                let turn = Turn(number: memory.turns, name: name)
                if isShort { memory.short.append(turn) } else { memory.long.append(turn) }
            }
        }
        return memory
    }
}

extension [DeliveredPiece] {
    func encode(_ out: inout ByteWriter) {
        out.varint(UInt64(count))
        for piece in self {
            out.integer(piece.bucket)
            out.varint(UInt64(piece.cut))
            out.integer(piece.fingerprint)
            out.varint(UInt64(piece.accepted))
            RejectedRows.encode(piece.rejected, &out)
        }
    }

    static func decode(_ reader: inout ByteReader) throws(ByteError) -> [DeliveredPiece] {
        var pieces: [DeliveredPiece] = []
        for _ in 0..<(try reader.count(limit: reader.remaining / 9, "pieces")) {
            pieces.append(
                DeliveredPiece(
                    bucket: try reader.integer("bucket"), cut: UInt16(truncatingIfNeeded: try reader.count(limit: Int(UInt16.max), "cut")),
                    fingerprint: try reader.integer("fingerprint"), accepted: try reader.count(limit: Limits.rowsPerBatch, "accepted rows"),
                    rejected: try RejectedRows.decode(&reader)))
        }
        return pieces
    }
}

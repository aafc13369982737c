import FunnelModel

/// The memories of all projects, each with room of its own.
struct Deliveries: Sendable {
    /// What release 0.1 remembered was of no project; it is asked for all until it is old.
    static let ofEveryProject: UInt32 = 0

    let rules: DeliveryMemory.Rules
    private(set) var memories: [UInt32: DeliveryMemory] = [:]

    init(_ rules: DeliveryMemory.Rules = DeliveryMemory.Rules()) { self.rules = rules }

    /// What is known of a delivery.
    /// - Parameter namesBuckets: whether its sender does.
    func known(_ project: UInt32, _ name: DeliveryName, namesBuckets: Bool) -> Delivered? {
        let both = [memories[project], memories[Self.ofEveryProject]]
        for memory in both { if let known = memory?.find(name)?.content { return known } }
        guard namesBuckets, name != name.ofFirstPart else { return nil }
        // Release 0.1 cut a request in another way, for each shard by itself. Of whatever it cut, there is a first part.
        for memory in both { if let known = memory?.find(name.ofFirstPart)?.content, known.buckets == nil { return known } }
        return nil
    }

    func answer(
        _ project: UInt32, _ name: DeliveryName, _ content: Delivered, known: Delivered?, now: UInt64, pending: Int
    ) -> DeliveryMemory.Answer {
        let floor = memories[Self.ofEveryProject]?.floor(ofProducer: name.producer) ?? 0
        return (memories[project] ?? DeliveryMemory(rules)).answer(name, content, known: known, now: now, pending: pending, floor: floor)
    }

    mutating func record(_ project: UInt32, _ name: DeliveryName, _ content: Delivered, isShort: Bool, now: UInt64) {
        memories[project, default: DeliveryMemory(rules)].record(name, content, isShort: isShort, now: now)
    }

    /// Lets go of what is asked for all projects, once nothing of it is promised any more.
    mutating func forget(now: UInt64) {
        guard let old = memories[Self.ofEveryProject], now > old.time, now - old.time > rules.promise else { return }
        memories[Self.ofEveryProject] = nil
    }

    func encode(_ out: inout ByteWriter) {
        out.varint(UInt64(memories.count))
        for (project, memory) in memories.sorted(by: { $0.key < $1.key }) {
            out.integer(project)
            memory.encode(&out)
        }
    }

    static func decode(_ reader: inout ByteReader, _ rules: DeliveryMemory.Rules) throws(ByteError) -> Deliveries {
        var deliveries = Deliveries(rules)
        for _ in 0..<(try reader.count(limit: reader.remaining, "projects with deliveries")) {
            let project: UInt32 = try reader.integer("project")
            deliveries.memories[project] = try DeliveryMemory.decode(&reader, rules)
        }
        return deliveries
    }

    /// The producers of a manifest of format 3, which knew neither projects nor times.
    /// - Parameter now: the time that they are given, in seconds.
    static func decodeFormat3(_ reader: inout ByteReader, _ rules: DeliveryMemory.Rules, now: UInt64) throws(ByteError) -> Deliveries {
        var memory = DeliveryMemory(rules)
        for _ in 0..<(try reader.count(limit: 1_024, "producers")) {
            let producer: UInt64 = try reader.integer("producer")
            var sequence = try reader.varint("producer floor")
            memory.raise(floor: sequence, ofProducer: producer)
            for _ in 0..<(try reader.count(limit: 4_096, "sequences")) {
                let (next, overflow) = sequence.addingReportingOverflow(try reader.varint("sequence"))
                guard !overflow else { throw ByteError(offset: reader.offset, reason: "a sequence over \(UInt64.max)") }
                sequence = next
                for _ in 0..<(try reader.count(limit: reader.remaining, "parts")) {
                    let part = UInt32(truncatingIfNeeded: try reader.count(limit: Int(UInt32.max), "part"))
                    let fingerprint: UInt32 = try reader.integer("fingerprint")
                    // Accepted rows: all that were sent but the rejected ones.
                    _ = try reader.count(limit: Limits.rowsPerBatch, "accepted rows")
                    let content = Delivered(fingerprint: fingerprint, buckets: nil, rejected: try RejectedRows.decode(&reader))
                    memory.record(DeliveryName(producer: producer, sequence: sequence, part: part), content, isShort: false, now: now)
                }
            }
        }
        var deliveries = Deliveries(rules)
        if memory.producerCount > 0 { deliveries.memories[ofEveryProject] = memory }
        return deliveries
    }
}

extension DeliveryName {
    /// The part's low 16 bits are the client's, the others the number of ingest's slice.
    fileprivate var ofFirstPart: DeliveryName { DeliveryName(producer: producer, sequence: sequence, part: part & 0xFFFF) }
}

/// Rejected rows in the log and the manifest: a count, then a row and a code each.
enum RejectedRows {
    static func encode(_ rows: [RejectedRow], _ out: inout ByteWriter) {
        out.varint(UInt64(rows.count))
        for rejected in rows {
            out.varint(UInt64(rejected.row))
            out.integer(rejected.code.rawValue)
        }
    }

    static func decode(_ reader: inout ByteReader) throws(ByteError) -> [RejectedRow] {
        let count = try reader.count(limit: min(Limits.rowsPerBatch, reader.remaining), "rejected rows")
        var rows: [RejectedRow] = []
        for _ in 0..<count {
            let row = try reader.count(limit: Limits.rowsPerBatch, "rejected row")
            let raw: UInt8 = try reader.integer("rejection code")
            guard let code = RejectedRow.Code(rawValue: raw) else {
                throw ByteError(offset: reader.offset, reason: "rejection code \(raw) is unknown")
            }
            rows.append(RejectedRow(row: row, code: code))
        }
        return rows
    }
}

import FunnelModel

/// The delivery memories of all projects; each project has its own limits.
struct Deliveries: Sendable {
    /// Key of the memory that release 0.1 has left, which knows no projects. It is searched for every project until it expires.
    static let ofEveryProject: UInt32 = 0

    let rules: DeliveryMemory.Rules
    private(set) var memories: [UInt32: DeliveryMemory] = [:]

    init(_ rules: DeliveryMemory.Rules = DeliveryMemory.Rules()) { self.rules = rules }

    /// The remembered delivery of a name; nil if it is not known.
    /// - Parameter namesBuckets: whether the sender names buckets (`Delivered.buckets`).
    func known(_ project: UInt32, _ name: DeliveryName, namesBuckets: Bool) -> Delivered? {
        let both = [memories[project], memories[Self.ofEveryProject]]
        for memory in both { if let known = memory?.find(name)?.content { return known } }
        guard namesBuckets, name != name.ofFirstPart else { return nil }
        // Ingest 0.1 cut a request into other slices, shard by shard. Its first slice always exists, so it shows that the
        // request came then.
        for memory in both { if let known = memory?.find(name.ofFirstPart)?.content, known.buckets == nil { return known } }
        return nil
    }

    /// Decides what to do with rows that arrive; see `DeliveryMemory.answer`.
    func answer(
        _ project: UInt32, _ name: DeliveryName, _ content: Delivered, known: Delivered?, now: UInt64, pending: Int
    ) -> DeliveryMemory.Answer {
        let floor = memories[Self.ofEveryProject]?.floor(ofProducer: name.producer) ?? 0
        return (memories[project] ?? DeliveryMemory(rules)).answer(name, content, known: known, now: now, pending: pending, floor: floor)
    }

    mutating func record(_ project: UInt32, _ name: DeliveryName, _ content: Delivered, isShort: Bool, now: UInt64) {
        memories[project, default: DeliveryMemory(rules)].record(name, content, isShort: isShort, now: now)
    }

    /// Drops the memory of release 0.1 once all of it is older than the promise.
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

    /// Reads the producers of a version 3 manifest, which has neither projects nor times (`SEGMENT.md`, Differences of version 3).
    /// - Parameter now: the time that all deliveries get, in seconds since 1970.
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
                    // The number of accepted rows, which nothing needs.
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
    /// The same for the first slice: a part's low 16 bits are the client's, its high bits the number of the slice.
    fileprivate var ofFirstPart: DeliveryName { DeliveryName(producer: producer, sequence: sequence, part: part & 0xFFFF) }
}

/// Rejected rows in logs and manifests: a count, then the row number and code of each.
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

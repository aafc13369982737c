import FunnelModel

/// The memories of all projects, each with room of its own.
struct Deliveries: Sendable {
    /// What release 0.1 remembered was of no project; it is asked for all until it is old.
    static let ofEveryProject: UInt32 = 0

    let rules: DeliveryMemory.Rules
    private(set) var memories: [UInt32: DeliveryMemory] = [:]

    init(_ rules: DeliveryMemory.Rules = DeliveryMemory.Rules()) { self.rules = rules }

    /// Pieces that are known of a delivery.
    func known(_ project: UInt32, _ name: DeliveryName) -> [DeliveredPiece] {
        (memories[project]?.find(name)?.pieces ?? []) + (memories[Self.ofEveryProject]?.find(name)?.pieces ?? [])
    }

    func answer(_ project: UInt32, _ name: DeliveryName, _ pieces: [DeliveredPiece], now: UInt64, pending: Int) -> DeliveryMemory.Answer {
        let old = memories[Self.ofEveryProject]
        let earlier = (pieces: old?.find(name)?.pieces ?? [], floor: old?.floor(ofProducer: name.producer) ?? 0)
        return (memories[project] ?? DeliveryMemory(rules)).answer(name, pieces, now: now, pending: pending, earlier: earlier)
    }

    mutating func record(_ project: UInt32, _ name: DeliveryName, _ pieces: [DeliveredPiece], isShort: Bool, now: UInt64) {
        memories[project, default: DeliveryMemory(rules)].record(name, pieces, isShort: isShort, now: now)
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
                    let accepted = try reader.count(limit: Limits.rowsPerBatch, "accepted rows")
                    let (name, piece) = DeliveredPiece.ofWholePart(producer, sequence, part, fingerprint, accepted, try RejectedRows.decode(&reader))
                    memory.record(name, [piece], isShort: false, now: now)
                }
            }
        }
        var deliveries = Deliveries(rules)
        if memory.producerCount > 0 { deliveries.memories[ofEveryProject] = memory }
        return deliveries
    }
}

extension DeliveredPiece {
    /// Senders that do not cut by bucket number their cuts above the client's part.
    static func ofWholePart(
        _ producer: UInt64, _ sequence: UInt64, _ part: UInt32, _ fingerprint: UInt32, _ accepted: Int = 0, _ rejected: [RejectedRow] = []
    ) -> (name: DeliveryName, piece: DeliveredPiece) {
        (
            DeliveryName(producer: producer, sequence: sequence, part: part & 0xFFFF),
            DeliveredPiece(
                bucket: everyBucket, cut: UInt16(truncatingIfNeeded: part >> 16), fingerprint: fingerprint, accepted: accepted, rejected: rejected)
        )
    }
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

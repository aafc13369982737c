import FunnelModel

/// The results of recent appends, by which a producer's retry is known. It changes only by what the log holds, so that
/// replay makes the same table.
struct ProducerTable: Equatable, Sendable {
    static let sequencesPerProducer: UInt64 = 4_096
    static let producersMax = 1_024
    /// Parts and rejected rows kept for one producer, whatever it sends.
    static let weightMax = 1 << 18
    /// The same over all producers.
    static let totalWeightMax = 1 << 20

    enum Found: Equatable {
        case new
        case repeated(AppendResult)
        /// Other content was stored under this number.
        case reused
        /// Below the window; the floor is given.
        case expired(UInt64)
    }

    struct Part: Equatable, Sendable {
        var part: UInt32
        var fingerprint: UInt32
        var accepted: Int
        var rejected: [RejectedRow]
    }

    struct Window: Equatable, Sendable {
        /// Sequences below are forgotten.
        var floor: UInt64 = 0
        var lastUse: UInt64 = 0
        var parts: [UInt64: [Part]] = [:]
        var weight = 0
    }

    private(set) var windows: [UInt64: Window] = [:]
    private var uses: UInt64 = 0
    private var totalWeight = 0

    func find(producer: UInt64, sequence: UInt64, part: UInt32, fingerprint: UInt32) -> Found {
        guard let window = windows[producer] else { return .new }
        if sequence < window.floor { return .expired(window.floor) }
        guard let known = window.parts[sequence]?.first(where: { $0.part == part }) else { return .new }
        guard known.fingerprint == fingerprint else { return .reused }
        return .repeated(AppendResult(accepted: known.accepted, rejected: known.rejected, repeated: true))
    }

    mutating func record(producer: UInt64, sequence: UInt64, _ part: Part) {
        if windows[producer] == nil, windows.count >= Self.producersMax,
            let oldest = windows.min(by: { $0.value.lastUse < $1.value.lastUse })?.key {
            forget(oldest)
        }
        uses += 1
        let before = windows[producer]?.weight ?? 0
        windows[producer, default: Window()].add(sequence, part, use: uses)
        totalWeight += (windows[producer]?.weight ?? 0) - before
        while totalWeight > Self.totalWeightMax, windows.count > 1,
            let oldest = windows.filter({ $0.key != producer }).min(by: { $0.value.lastUse < $1.value.lastUse })?.key {
            forget(oldest)
        }
    }

    private mutating func forget(_ producer: UInt64) {
        totalWeight -= windows.removeValue(forKey: producer)?.weight ?? 0
    }

    /// Everything, in an order that depends on the contents alone.
    func encode(_ out: inout ByteWriter) {
        out.varint(UInt64(windows.count))
        for (producer, window) in windows.sorted(by: { $0.value.lastUse < $1.value.lastUse }) {
            out.integer(producer)
            out.varint(window.floor)
            out.varint(UInt64(window.parts.count))
            var previous = window.floor
            for (sequence, parts) in window.parts.sorted(by: { $0.key < $1.key }) {
                out.varint(sequence - previous)
                previous = sequence
                out.varint(UInt64(parts.count))
                for part in parts {
                    out.varint(UInt64(part.part))
                    out.integer(part.fingerprint)
                    out.varint(UInt64(part.accepted))
                    RejectedRows.encode(part.rejected, &out)
                }
            }
        }
    }

    static func decode(_ reader: inout ByteReader) throws(ByteError) -> ProducerTable {
        var table = ProducerTable()
        for _ in 0..<(try reader.count(limit: producersMax, "producers")) {
            let producer: UInt64 = try reader.integer("producer")
            var window = Window()
            window.floor = try reader.varint("producer floor")
            var sequence = window.floor
            for _ in 0..<(try reader.count(limit: Int(sequencesPerProducer), "sequences")) {
                let (next, overflow) = sequence.addingReportingOverflow(try reader.varint("sequence"))
                guard !overflow else { throw ByteError(offset: reader.offset, reason: "a sequence over \(UInt64.max)") }
                sequence = next
                for _ in 0..<(try reader.count(limit: reader.remaining, "parts")) {
                    let number = try reader.count(limit: Int(UInt32.max), "part")
                    let fingerprint: UInt32 = try reader.integer("fingerprint")
                    let accepted = try reader.count(limit: Limits.rowsPerBatch, "accepted rows")
                    let rejected = try RejectedRows.decode(&reader)
                    window.insert(sequence, Part(part: UInt32(number), fingerprint: fingerprint, accepted: accepted, rejected: rejected))
                }
            }
            table.uses += 1
            window.lastUse = table.uses
            table.windows[producer] = window
            table.totalWeight += window.weight
        }
        return table
    }
}

extension ProducerTable.Window {
    fileprivate mutating func add(_ sequence: UInt64, _ part: ProducerTable.Part, use: UInt64) {
        lastUse = use
        guard sequence >= floor else { return }
        insert(sequence, part)
        let width = ProducerTable.sequencesPerProducer
        if sequence >= width { forget(below: sequence - width + 1) }
        // The newest always stays, or its own retry would be refused.
        while weight > ProducerTable.weightMax, parts.count > 1, let least = parts.keys.min() {
            forget(below: least + 1)
        }
    }

    fileprivate mutating func insert(_ sequence: UInt64, _ part: ProducerTable.Part) {
        parts[sequence, default: []].append(part)
        weight += 1 + part.rejected.count
    }

    private mutating func forget(below newFloor: UInt64) {
        guard newFloor > floor else { return }
        if newFloor - floor < UInt64(parts.count) {
            for sequence in floor..<newFloor { remove(sequence) }
        } else {
            for sequence in parts.keys where sequence < newFloor { remove(sequence) }
        }
        floor = newFloor
    }

    private mutating func remove(_ sequence: UInt64) {
        for part in parts.removeValue(forKey: sequence) ?? [] { weight -= 1 + part.rejected.count }
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

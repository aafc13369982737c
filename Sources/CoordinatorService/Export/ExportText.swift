import FunnelModel
import ReportTables

/// Stored events as lines that `sluice load --preset sluice-export` takes (`FILES.md` section 10).
struct ExportText: Sendable {
    let format: ExportRequest.Format
    let isRaw: Bool

    var contentType: String { format == .csv ? "text/csv; charset=utf-8" : "application/x-ndjson" }

    static let columns = ["user_id", "event", "timestamp", "event_id", "properties", "claim", "parent"]

    /// The header of CSV.
    var head: [UInt8] { format == .csv ? Array(Self.columns.joined(separator: ",").utf8) + [13, 10] : [] }

    /// Adds the line of a row.
    func write(_ batch: EventBatch, _ row: Int, to out: inout [UInt8]) {
        let name = batch.names[Int(batch.name[row])]
        let claim = EventName.isReserved(name) ? Claim(row: batch.event(row)) : nil
        // Reserved names of later releases are no events of a client.
        if claim == nil, EventName.isReserved(name) { return }
        switch format {
        case .ndjson: writeLine(batch, row, name, claim, &out)
        case .csv: writeRecord(batch, row, name, claim, &out)
        }
    }

    private func writeLine(_ batch: EventBatch, _ row: Int, _ name: ByteString, _ claim: Claim?, _ out: inout [UInt8]) {
        out += "{\"user_id\":".utf8
        JSONValue.string(batch.users[Int(batch.user[row])]).write(to: &out)
        if claim == nil {
            out += ",\"event\":".utf8
            JSONValue.string(name).write(to: &out)
        }
        out += ",\"timestamp\":\"".utf8
        out += Timestamp.format(batch.time[row]).utf8
        out.append(UInt8(ascii: "\""))
        if let claim {
            out += ",\"claim\":\"\(claim.kind.word)\",\"parent\":".utf8
            JSONValue.string(claim.parent).write(to: &out)
        } else {
            if !batch.ids.isEmpty(row) {
                out += ",\"event_id\":".utf8
                JSONValue.string(batch.ids[row]).write(to: &out)
            }
            out += ",\"properties\":".utf8
            writeProperties(batch, row, &out)
        }
        out += "}\n".utf8
    }

    private func writeProperties(_ batch: EventBatch, _ row: Int, _ out: inout [UInt8]) {
        out.append(UInt8(ascii: "{"))
        let first = Int(batch.propertyStart[row])
        for p in first..<Int(batch.propertyStart[row + 1]) {
            if p > first { out.append(UInt8(ascii: ",")) }
            JSONValue.string(batch.keys[Int(batch.propertyKey[p])]).write(to: &out)
            out.append(UInt8(ascii: ":"))
            batch.value(ofProperty: p).json.write(to: &out)
        }
        out.append(UInt8(ascii: "}"))
    }

    private func writeRecord(_ batch: EventBatch, _ row: Int, _ name: ByteString, _ claim: Claim?, _ out: inout [UInt8]) {
        var properties: [UInt8] = []
        if claim == nil { writeProperties(batch, row, &properties) }
        let cells: [JSONValue] = [
            .string(batch.users[Int(batch.user[row])]), claim == nil ? .string(name) : .null, .text(Timestamp.format(batch.time[row])),
            claim != nil || batch.ids.isEmpty(row) ? .null : .string(batch.ids[row]),
            claim == nil ? .string(ByteString(properties)) : .null, claim.map { .text($0.kind.word) } ?? .null,
            claim.map { .string($0.parent) } ?? .null,
        ]
        out += cells.map { ReportTable.cell($0, for: isRaw ? .program : .spreadsheet) }.joined(separator: ",").utf8
        out += [13, 10]
    }
}

extension Claim.Kind {
    fileprivate var word: String {
        switch self {
        case .identify: "identify"
        case .alias: "alias"
        }
    }
}

import Crypto
import Foundation
import FunnelCodec
import FunnelModel

/// The rows of one file, in order, as events or the reason why not. Reads as it goes: memory does not grow with the file.
final class EventSource {
    struct Columns {
        var user: ByteString
        var event: ByteString
        var timestamp: ByteString
        /// A name that no file has where the file's ids are to be ignored.
        var id: ByteString
    }

    struct Row {
        var number: Int
        var result: Result<Event, EventFault>
    }

    private let handle: FileHandle
    private let columns: Columns
    private let idPrefix: ByteString
    private let reader: EventReader
    private var inflate: Inflate?
    private var started = false
    private var ended = false
    private var csv: CSVReader?
    private var header: [ByteString] = []
    private var lines: [UInt8] = []
    private var lineStart = 0
    private var rows = 0
    private(set) var bytesRead = 0
    let size: Int?

    /// - Parameters:
    ///   - path: `-` is standard input.
    ///   - idPrefix: events without an id get `<prefix>/<row>`.
    init(path: String, columns: Columns, idPrefix: String, now: Int64) throws {
        if path == "-" {
            handle = .standardInput
            size = nil
        } else {
            handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            size = (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) ?? nil
        }
        self.columns = columns
        self.idPrefix = ByteString(idPrefix)
        reader = EventReader(now: now)
    }

    /// SHA-256 of a file's bytes, in hex.
    static func hash(_ path: String) throws -> String {
        let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        var hasher = SHA256()
        while let chunk = try handle.read(upToCount: 1 << 20), !chunk.isEmpty { hasher.update(data: chunk) }
        return hasher.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// The next row; nil at the end.
    func next() throws -> Row? {
        while true {
            if started, let row = try csv == nil ? nextLine() : nextRecord() { return row }
            if ended { return nil }
            try readMore()
        }
    }

    private func readMore() throws {
        guard let data = try handle.read(upToCount: 1 << 18), !data.isEmpty else {
            try inflate?.finish()
            ended = true
            started = true
            return
        }
        bytesRead += data.count
        var bytes = Array(data)
        if !started, bytes.starts(with: [0x1F, 0x8B]) { inflate = try Inflate(limit: .max) }
        if let inflate { bytes = try inflate.feed(bytes) }
        if !started, let first = bytes.first(where: { $0 > 32 }) {
            started = true
            if first != UInt8(ascii: "{") { csv = CSVReader() }
        }
        if csv != nil {
            csv?.feed(bytes)
        } else {
            lines.removeFirst(lineStart)
            lineStart = 0
            lines += bytes
        }
    }

    // MARK: - NDJSON

    private func nextLine() throws -> Row? {
        while lineStart < lines.count {
            guard let end = lines[lineStart...].firstIndex(of: 10) ?? (ended ? lines.count : nil) else { return nil }
            defer { lineStart = min(lines.count, end + 1) }
            if lines[lineStart..<end].allSatisfy({ $0 <= 32 }) { continue }
            rows += 1
            return Row(number: rows - 1, result: parse(line: lineStart..<end))
        }
        return nil
    }

    private func parse(line: Range<Int>) -> Result<Event, EventFault> {
        do {
            let document = try JSONParser.parse(lines, range: line)
            return .success(named(try reader.read(renamed(document)), row: rows - 1))
        } catch let fault as EventFault {
            return .failure(fault)
        } catch {
            return .failure(EventFault("line", "\(error)"))
        }
    }

    /// The document with the chosen members under the names that the reader knows.
    private func renamed(_ document: JSONValue) -> JSONValue {
        guard var members = document.asObject else { return document }
        func choose(_ chosen: ByteString, over known: [ByteString]) {
            guard chosen != known[0] else { return }
            // What goes by the usual name must not stand in for the chosen one where that is missing.
            members.removeAll { known.contains($0.key) }
            if let value = document[chosen] { members.append(.init(known[0], value)) }
        }
        choose(columns.user, over: ["user_id"])
        choose(columns.event, over: ["event", "event_type"])
        choose(columns.timestamp, over: ["timestamp"])
        choose(columns.id, over: ["event_id"])
        return .object(members)
    }

    // MARK: - CSV

    private func nextRecord() throws -> Row? {
        while let fields = try csv?.next(atEnd: ended) {
            if header.isEmpty {
                header = fields.map { ByteString($0) }
                for name in [columns.user, eventColumn, columns.timestamp] where !header.contains(name) {
                    throw Failure("the header has no column \"\(name.string)\"; it has \(header.map(\.string).joined(separator: ", "))")
                }
                continue
            }
            rows += 1
            return Row(number: rows - 1, result: event(fields))
        }
        return nil
    }

    private var eventColumn: ByteString {
        columns.event == "event" && !header.contains("event") && header.contains("event_type") ? "event_type" : columns.event
    }

    private func event(_ fields: [[UInt8]]) -> Result<Event, EventFault> {
        guard fields.count == header.count else {
            return .failure(EventFault("line", "has \(fields.count) fields, the header \(header.count)"))
        }
        var properties: [JSONValue.Member] = []
        var members: [JSONValue.Member] = []
        let event = eventColumn
        for (name, field) in zip(header, fields) {
            let text = ByteString(field)
            guard isValidUTF8(field) else { return .failure(EventFault(name.string, "is not UTF-8")) }
            switch name {
            case columns.user: members.append(.init("user_id", .string(text)))
            case event: members.append(.init("event", .string(text)))
            case columns.timestamp: members.append(.init("timestamp", .string(text)))
            case columns.id: members.append(.init("event_id", .string(text)))
            default: if !field.isEmpty { properties.append(.init(name, Self.cell(text))) }
            }
        }
        members.append(.init("properties", .object(properties)))
        do {
            return .success(named(try reader.read(.object(members)), row: rows - 1))
        } catch {
            return .failure(error)
        }
    }

    /// A cell that is a JSON number, true or false is one; everything else, leading zeros too, is text.
    private static func cell(_ text: ByteString) -> JSONValue {
        guard let first = text.bytes.first, first == UInt8(ascii: "-") || (48...57).contains(first) || text == "true" || text == "false",
            let value = try? JSONParser.parse(text.bytes), value != .null
        else { return .string(text) }
        return value
    }

    private func named(_ event: Event, row: Int) -> Event {
        guard event.id.isEmpty else { return event }
        var event = event
        event.id = ByteString(idPrefix.bytes + Array("/\(row)".utf8))
        return event
    }
}

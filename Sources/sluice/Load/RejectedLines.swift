import EventFiles
import EventSDKs
import FunnelModel
import Synchronization

/// Reads the lines of files of rejected events: those of ingest, and those of earlier loads.
final class RejectedLines: Sendable {
    private let named = Mutex<UInt32?>(nil)

    /// The project that the lines so far name; nil if they name none, as those of a load.
    var project: UInt32? { named.withLock { $0 } }

    func unwrap(_ line: JSONValue) throws(EventFault) -> FileOptions.Unwrapped {
        let unwrapped = try Self.read(line)
        if let project = line["project"] { try check(project) }
        return unwrapped
    }

    /// One API key sends the events, and it is of one project.
    private func check(_ project: JSONValue) throws(EventFault) {
        guard let number = project.asInteger.flatMap({ UInt32(exactly: $0) }), number > 0 else {
            throw EventFault("project", "must be the number of a project")
        }
        let first = named.withLock { named in
            if named == nil { named = number }
            return named
        }
        guard let first, first != number else { return }
        throw EventFault(
            "project", "the event is of project \(number), and the first one of project \(first): send each project's file by itself")
    }

    private static func read(_ line: JSONValue) throws(EventFault) -> FileOptions.Unwrapped {
        guard line["reason"] != nil else {
            throw EventFault("", "the line has no \"reason\", so it is not of a file of rejected events: load it without --retry-rejected")
        }
        if let event = line["event"] { return .events([try native(event)]) }
        if let record = line["record"] { return .events(try events(record, line)) }
        guard let text = line["text"]?.asString else {
            throw EventFault("", "the line has no event: repair the row in the file that was loaded, and load that file again")
        }
        if line["cut"]?.asBool == true { throw EventFault("text", "the event was not kept as it came: it is too long, or not UTF-8") }
        guard text.bytes.first(where: { ![9, 10, 13, 32].contains($0) }) == UInt8(ascii: "{") else {
            throw EventFault("text", "is no JSON object: repair a row of CSV in the file that was loaded, and load that file again")
        }
        do throws(JSONError) {
            return .record(try JSONParser.parse(text.bytes))
        } catch {
            throw EventFault("text", "malformed JSON at byte \(error.offset): \(error.reason)")
        }
    }

    private static func native(_ event: JSONValue) throws(EventFault) -> JSONValue {
        guard event["type"] != "alias" || event["event"] != nil || event["event_type"] != nil else { throw aliasFault }
        return event
    }

    /// The events of a record of another product's SDK. A claim that two ids are one person becomes the first event's `anonymous_id`.
    private static func events(_ record: JSONValue, _ line: JSONValue) throws(EventFault) -> [JSONValue] {
        func text(_ name: ByteString) -> String { line[name]?.asString?.string ?? "" }
        for name in ["product", "endpoint"] as [ByteString] where line[name]?.asString == nil {
            throw EventFault(name.string, "the line has no \(name.string)")
        }
        guard let time = line["time"]?.asString.flatMap({ try? Timestamp.parse($0) }) else {
            throw EventFault("time", "the line has no time")
        }
        let read = try SDKEndpoint.readAgain(record, product: text("product"), path: text("endpoint"), time: time)
        guard case .object(let first)? = read.events.first else { throw aliasFault }
        let user = JSONValue.object(first)["user_id"]
        guard let claim = read.claims.first(where: { $0.kind == .identify && .string($0.parent) == user }) else { return read.events }
        return [.object(first + [.init("anonymous_id", .string(claim.child))])] + read.events.dropFirst()
    }

    private static let aliasFault = EventFault("", "an alias cannot be sent from a file: send it to ingest over HTTP")
}

import FunnelModel

/// An event that ingest has rejected, as a line of the file of its project (`PROTOCOL.md` section 5, "Files of rejected events").
package struct RejectedEvent: Equatable, Sendable {
    /// The event as it came.
    package enum Content: Equatable, Sendable {
        /// A native event, as JSON text.
        case event([UInt8])
        /// A record of another product's SDK, as JSON text.
        case record([UInt8], product: String)
        /// Text that is not JSON, or that is not whole: it was cut, or is not UTF-8 and has other characters in a line.
        case text([UInt8], isCut: Bool)

        /// The JSON of an event, or its text if it is not JSON or longer than `textMax`.
        /// - Parameter product: of the SDK that sent it; nil for a native event.
        package init(_ text: [UInt8], product: String? = nil) {
            guard text.count <= RejectedEvent.textMax else {
                self = .text(Array(text.prefix(RejectedEvent.textMax)), isCut: true)
                return
            }
            // A line of the file is one level deeper.
            guard (try? JSONParser.parse(text)) != nil, (try? JSONParser.parse([91] + text + [93])) != nil else {
                self = .text(text, isCut: !isValidUTF8(text[...]))
                return
            }
            // A line end within JSON is white space.
            let line = text.map { $0 == 10 || $0 == 13 ? 32 : $0 }
            self = product.map { .record(line, product: $0) } ?? .event(line)
        }

        package var bytes: [UInt8] {
            switch self {
            case .event(let bytes), .record(let bytes, _), .text(let bytes, _): bytes
            }
        }
    }

    /// Max bytes of an event that are kept.
    package static let textMax = 64 << 10

    /// When it was rejected, in microseconds since 1970 UTC.
    package var time: Int64
    package var project: UInt32
    /// The path of the request, or `append` for a wire call.
    package var endpoint: String
    /// Id of the created API key; nil for another one, or none.
    package var key: String?
    package var reason: String
    package var content: Content

    package init(time: Int64, project: UInt32, endpoint: String, key: String?, reason: String, content: Content) {
        self.time = time
        self.project = project
        self.endpoint = endpoint
        self.key = key
        self.reason = reason
        self.content = content
    }

    /// The field at fault, or the limit that the project has reached: what the reason has before its first colon. Empty if it has none.
    package var field: String {
        guard let colon = reason.utf8.firstIndex(of: UInt8(ascii: ":")) else { return "" }
        let name = reason[..<colon]
        return name.utf8.count <= Limits.propertyKeyBytes && !name.contains(" ") ? String(name) : ""
    }

    /// The line, with its line feed.
    package var line: [UInt8] {
        var members: [JSONValue.Member] = [
            .init("time", .text(Timestamp.format(time))), .init("project", .count(Int(project))), .init("endpoint", .text(endpoint)),
        ]
        if let key { members.append(.init("key", .text(key))) }
        members += [.init("reason", .string(ProtocolError.cut(reason))), .init("field", .text(field))]
        switch content {
        case .event: break
        case .record(_, let product): members.append(.init("product", .text(product)))
        case .text(let bytes, let isCut):
            members.append(.init("text", .string(ByteString(bytes))))
            if isCut { members.append(.init("cut", true)) }
        }
        var out = JSONValue.object(members).encode()
        switch content {
        case .event(let json): Self.add("event", json, to: &out)
        case .record(let json, _): Self.add("record", json, to: &out)
        case .text: break
        }
        out.append(10)
        return out
    }

    private static func add(_ name: String, _ json: [UInt8], to out: inout [UInt8]) {
        out.removeLast()
        out += ",\"\(name)\":".utf8
        out += json
        out.append(UInt8(ascii: "}"))
    }

    /// Reads a line without its line feed; nil if it is none, such as one that was cut short.
    package init?(line: [UInt8]) {
        guard let document = try? JSONParser.parse(line), let reason = document["reason"]?.asString?.string,
            let time = document["time"]?.asString.flatMap({ try? Timestamp.parse($0) }),
            let project = document["project"]?.asInteger.flatMap({ UInt32(exactly: $0) }),
            let endpoint = document["endpoint"]?.asString?.string
        else { return nil }
        let content: Content
        if let event = document["event"] {
            content = .event(event.encode())
        } else if let record = document["record"] {
            content = .record(record.encode(), product: document["product"]?.asString?.string ?? "")
        } else if let text = document["text"]?.asString {
            content = .text(text.bytes, isCut: document["cut"]?.asBool ?? false)
        } else {
            return nil
        }
        self.init(
            time: time, project: project, endpoint: endpoint, key: document["key"]?.asString?.string, reason: reason, content: content)
    }
}

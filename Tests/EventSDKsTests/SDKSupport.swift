import EventSDKs
import FunnelModel

/// 2026-01-01T12:00:00Z.
let serverTime: Int64 = 1_767_268_800_000_000

extension SDKRequest {
    static func post(_ path: String, _ body: String, query: String = "", _ headers: [(name: String, value: String)] = []) -> SDKRequest {
        SDKRequest(.post, path, query: query, headers: headers, body: Array(body.utf8))
    }

    static func get(_ path: String, query: String = "") -> SDKRequest { SDKRequest(.get, path, query: query) }

    /// Basic credentials with this text in base64.
    static func basic(_ text: String) -> (name: String, value: String) { ("Authorization", "Basic \(base64(text))") }
}

/// What reading a request gave, and the answer to it.
struct SDKReading {
    let endpoint: SDKEndpoint
    let request: SDKRequest
    let batch: SDKBatch

    init(_ request: SDKRequest, limit: Int = 1_000, keyInBody: Bool = false) throws {
        guard let endpoint = SDKEndpoint.owner(of: request) else { throw SDKFault.unsupported("no endpoint") }
        self.endpoint = endpoint
        self.request = request
        batch = try endpoint.read(request, now: serverTime, limit: limit, keyInBody: keyInBody)
    }

    func answer(_ outcome: SDKOutcome = SDKOutcome()) -> SDKAnswer { endpoint.answer(batch, outcome, to: request, now: serverTime) }

    var records: [SDKRecord] { batch.records }

    /// All events in one line each: user, name, time, id, and properties by name.
    var events: [String] { records.flatMap(\.events).map(Self.line) }

    var claims: [String] {
        records.flatMap(\.claims).map { "\($0.kind) \($0.child) -> \($0.parent) \(Timestamp.format($0.time))" }
    }

    /// By record, the reason or nil.
    var faults: [String?] { records.map { $0.rejected?.reason } }

    static func line(_ document: JSONValue) -> String {
        do {
            let event = try EventReader(now: serverTime).read(document, text: [], 0..<0)
            let properties = event.properties.sorted { $0.key < $1.key }.map { property in
                "\(property.key)=\(String(decoding: property.value.json.encode(), as: UTF8.self))"
            }
            return ([event.user.string, event.name.string, Timestamp.format(event.time), event.id.string] + properties).joined(
                separator: " ")
        } catch {
            return "rejected: \(error.reason)"
        }
    }
}

extension SDKAnswer {
    /// Status, content type, headers and body in one line.
    var line: String {
        let fields = headers.map { " \($0.name): \($0.value)" }.joined()
        return "\(status) \(contentType)\(fields) \(String(decoding: body, as: UTF8.self))"
    }
}

func base64(_ text: String, url: Bool = false) -> String {
    let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789\(url ? "-_" : "+/")")
    let bytes = Array(text.utf8)
    var out = ""
    for start in stride(from: 0, to: bytes.count, by: 3) {
        let group = bytes[start..<min(start + 3, bytes.count)]
        let bits = group.reduce(UInt32(0)) { $0 << 8 | UInt32($1) } << (8 * UInt32(3 - group.count))
        for place in 0...group.count { out.append(letters[Int(bits >> UInt32(18 - 6 * place)) & 63]) }
        if !url { out += String(repeating: "=", count: 3 - group.count) }
    }
    return out
}

/// Percent-encodes all but letters and digits.
func escaped(_ text: String) -> String {
    let hex = Array("0123456789ABCDEF")
    return text.utf8.map { byte in
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
            ? String(Unicode.Scalar(byte)) : "%\(hex[Int(byte >> 4)])\(hex[Int(byte & 15)])"
    }.joined()
}

import HTTP2
import NIOCore

/// A client and a server session joined by memory.
final class Pair {
    let client: HTTP2Session
    let server: HTTP2Session
    /// Bytes given to a session at a time.
    var step = Int.max
    /// Whether received data is credited at once.
    var credits = true

    init(limits: HTTP2Limits = HTTP2Limits()) throws {
        client = try HTTP2Session(role: .client, limits: limits)
        server = try HTTP2Session(role: .server, limits: limits)
    }

    /// Moves bytes both ways until nobody has any, and returns what each side noticed.
    func exchange() throws -> (client: [HTTP2Event], server: [HTTP2Event]) {
        var events: (client: [HTTP2Event], server: [HTTP2Event]) = ([], [])
        while true {
            let toServer = try client.drain()
            let toClient = try server.drain()
            if toServer.readableBytes == 0 && toClient.readableBytes == 0 {
                events.client += client.takeEvents()
                events.server += server.takeEvents()
                return events
            }
            events.server += try feed(server, toServer)
            events.client += try feed(client, toClient)
        }
    }

    private func feed(_ session: HTTP2Session, _ bytes: ByteBuffer) throws -> [HTTP2Event] {
        var rest = bytes
        var events: [HTTP2Event] = session.takeEvents()
        while let part = rest.readSlice(length: min(step, rest.readableBytes)), part.readableBytes > 0 {
            try session.receive(part, now: 0)
            let new = session.takeEvents()
            for case .data(let stream, let bytes) in new where credits {
                session.creditStream(stream, bytes: bytes.readableBytes)
                session.creditConnection(bytes: bytes.readableBytes)
            }
            events += new
        }
        return events
    }
}

extension HTTP2Session {
    /// Everything the session wants to send now, in one buffer.
    func drain() throws -> ByteBuffer {
        var all = ByteBuffer()
        var hasMore = true
        while hasMore {
            hasMore = try pump(upTo: 1 << 20)
            for piece in takeOutput() { all.writeImmutableBuffer(piece) }
        }
        return all
    }
}

extension [HTTP2Event] {
    func body(_ wanted: Int32) -> [UInt8] {
        var all: [UInt8] = []
        for case .data(let stream, let bytes) in self where stream == wanted { all += bytes.readableBytesView }
        return all
    }

    func heads() -> [(stream: Int32, fields: HTTP2Fields)] {
        compactMap { if case .head(let stream, let fields) = $0 { (stream, fields) } else { nil } }
    }

    func closes() -> [Int32: HTTP2ErrorCode] {
        var all: [Int32: HTTP2ErrorCode] = [:]
        for case .closed(let stream, let code) in self { all[stream] = code }
        return all
    }

    func ended(_ wanted: Int32) -> Bool {
        contains { if case .endStream(wanted) = $0 { true } else { false } }
    }
}

extension HTTP2Fields {
    static func request(_ path: String) -> HTTP2Fields {
        var fields = HTTP2Fields()
        fields.append(":method", "POST")
        fields.append(":scheme", "http")
        fields.append(":authority", "test")
        fields.append(":path", path)
        return fields
    }

    static func response(_ status: Int) -> HTTP2Fields {
        var fields = HTTP2Fields()
        fields.append(":status", "\(status)")
        return fields
    }
}

/// Frames made by hand, for what no honest library would send.
enum Raw {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    static let settings = frame(4)
    /// POST, http, /, authority "t", by index or literal.
    static let requestHeaders: [UInt8] = [0x83, 0x86, 0x84, 0x01, 0x01, 0x74]

    static func frame(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) -> [UInt8] {
        let length = payload.count
        return [UInt8(length >> 16), UInt8(length >> 8 & 255), UInt8(length & 255), type, flags]
            + bytes(stream) + payload
    }

    static func bytes(_ value: UInt32) -> [UInt8] {
        [UInt8(value >> 24), UInt8(value >> 16 & 255), UInt8(value >> 8 & 255), UInt8(value & 255)]
    }

    /// A complete request head; the body is left open unless `ends`.
    static func request(_ stream: UInt32, ends: Bool = false) -> [UInt8] {
        frame(1, flags: ends ? 5 : 4, stream: stream, requestHeaders)
    }
}

/// A small seeded generator, so that a failure can be repeated.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

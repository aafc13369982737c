import Foundation
import FunnelModel

/// A viewer: a plain socket that reads server-sent events.
final class EventStream {
    struct Event {
        var name: String
        var data: JSONValue
    }

    private let socket: Int32
    private var text = ""
    private(set) var head = ""

    init(_ address: String, _ path: String, _ body: JSONValue, headers: [String: String] = [:]) throws {
        let parts = address.split(separator: ":")
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = (UInt16(parts.last ?? "") ?? 0).bigEndian
        target.sin_addr.s_addr = inet_addr(String(parts.first ?? ""))
        let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        socket = descriptor
        var patience = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        let connected = withUnsafePointer(to: &target) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { throw Trouble("cannot connect to \(address)") }
        let json = body.encode()
        let fields = headers.map { "\($0.key): \($0.value)\r\n" }.joined()
        let request =
            "POST \(path) HTTP/1.1\r\nHost: \(address)\r\nContent-Type: application/json\r\n\(fields)Content-Length: \(json.count)\r\n\r\n"
        let bytes = Array(request.utf8) + json
        guard send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else { throw Trouble("cannot send to \(address)") }
        while !text.contains("\r\n\r\n") { try receive() }
        let end = text.range(of: "\r\n\r\n")
        head = end.map { String(text[..<$0.lowerBound]) } ?? ""
        text = end.map { String(text[$0.upperBound...]) } ?? ""
    }

    deinit { Glibc.close(socket) }

    /// The next event, waited for; nil where the stream has ended.
    func next() throws -> Event? {
        while true {
            if let start = text.range(of: "event: "), let end = text.range(of: "\n\n", range: start.upperBound..<text.endIndex) {
                let lines = text[start.upperBound..<end.lowerBound].split(separator: "\n", maxSplits: 1)
                text = String(text[end.upperBound...])
                let data = lines.count > 1 ? Array(lines[1].dropFirst("data: ".count).utf8) : []
                return Event(name: lines.first.map(String.init) ?? "", data: try JSONParser.parse(data))
            }
            if text.hasSuffix("0\r\n\r\n") { return nil }
            try receive()
        }
    }

    /// Reads on until a report satisfies `body`.
    func report(_ body: (JSONValue) -> Bool) throws {
        while let event = try next() {
            if event.name == "report", body(event.data) { return }
        }
        throw Trouble("the stream ended")
    }

    private func receive() throws {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let got = recv(socket, &buffer, buffer.count, 0)
        guard got > 0 else { throw Trouble("nothing more on the stream: \(got)") }
        text += String(decoding: buffer[..<got], as: UTF8.self)
    }
}

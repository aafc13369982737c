import Dispatch
import Foundation

/// Requests on connections of their own. No redirect is followed, no header field is added but `Host` and `Connection`, and the
/// caller chooses the address that the request comes from.
enum PlainHTTP {
    /// - Parameter source: an address of 127.0.0.0/8; nil takes the usual one.
    static func call(
        _ method: String, _ address: String, _ target: String, body: [UInt8]? = nil, headers: [String: String] = [:],
        from source: String? = nil
    ) async throws -> HTTP.Answer {
        var fields = ["Host": address, "Connection": "close"].merging(headers) { $1 }
        if let body { fields["Content-Length"] = "\(body.count)" }
        let head = "\(method) \(target) HTTP/1.1\r\n" + fields.map { "\($0.key): \($0.value)\r\n" }.joined() + "\r\n"
        let request = Array(head.utf8) + (body ?? [])
        // The calls of sockets wait, which a task may not.
        let bytes = try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(with: Result { try exchange(request, with: address, from: source) }) }
        }
        return try answer(bytes, to: method)
    }

    /// Sends bytes, which need not be a whole request, and returns what the peer sends until it closes the connection.
    static func exchange(_ text: String, with address: String, from source: String? = nil) async throws -> String {
        let bytes = try await withCheckedThrowingContinuation { continuation in
            DispatchQueue.global().async {
                continuation.resume(with: Result { try exchange(Array(text.utf8), with: address, from: source) })
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func answer(_ bytes: [UInt8], to method: String) throws -> HTTP.Answer {
        guard let end = bytes.indices.dropLast(3).first(where: { bytes[$0..<($0 + 4)].elementsEqual("\r\n\r\n".utf8) }) else {
            throw Trouble("no answer to \(method): \(bytes.count) bytes")
        }
        let lines = String(decoding: bytes[..<end], as: UTF8.self).components(separatedBy: "\r\n")
        let status = lines[0].split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        var fields: [String: String] = [:]
        for line in lines.dropFirst() {
            let parts = line.components(separatedBy: ": ")
            fields[parts[0].lowercased()] = parts.dropFirst().joined(separator: ": ")
        }
        return HTTP.Answer(status: status, body: Array(bytes[(end + 4)...]), headers: fields)
    }

    /// Sends the bytes, and receives until the peer closes.
    private static func exchange(_ request: [UInt8], with address: String, from source: String?) throws -> [UInt8] {
        let parts = address.split(separator: ":").map(String.init)
        guard parts.count == 2, let port = UInt16(parts[1]) else { throw Trouble("no address: \(address)") }
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { _ = close(descriptor) }
        var patience = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        if let source {
            guard at(source, 0, { bind(descriptor, $0, $1) }) else { throw Trouble("cannot send from \(source): \(errno)") }
        }
        guard at(parts[0], port, { connect(descriptor, $0, $1) }) else { throw Trouble("cannot connect to \(address): \(errno)") }
        guard send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count else {
            throw Trouble("cannot send to \(address): \(errno)")
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count >= 0 else { throw Trouble("no answer from \(address): \(errno)") }
            if count == 0 { return bytes }
            bytes += buffer[..<count]
        }
    }

    private static func at(_ host: String, _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Bool {
        var place = sockaddr_in()
        place.sin_family = sa_family_t(AF_INET)
        place.sin_port = port.bigEndian
        place.sin_addr.s_addr = inet_addr(host)
        return withUnsafePointer(to: &place) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 }
        }
    }
}

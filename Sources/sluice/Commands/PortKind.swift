import Foundation

/// What a port speaks: for errors, since every service has an HTTP port beside its wire port.
enum PortKind {
    case http, wire, tls, unknown

    /// Sends the first bytes of HTTP/2 in plain text, which each kind of port answers in another way. Takes at most a few seconds.
    static func of(host: String, port: Int) -> PortKind {
        var wanted = addrinfo()
        wanted.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, "\(port)", &wanted, &found) == 0, let found else { return .unknown }
        defer { freeaddrinfo(found) }
        for address in sequence(first: found, next: { $0.pointee.ai_next }).prefix(2) {
            if let answer = answer(address.pointee) { return PortKind(answer: answer) }
        }
        return .unknown
    }

    /// - Parameter answer: the first bytes.
    private init(answer: [UInt8]) {
        // A frame is u24 length, u8 type, u8 flags, u32 stream. A server begins with settings, type 4, on stream 0.
        if answer.count >= 9, answer[3] == 4, answer[5..<9].allSatisfy({ $0 == 0 }) {
            self = .wire
        } else if answer.starts(with: "HTTP/1".utf8) {
            self = .http
        } else if answer.starts(with: [0x15, 3]) {
            // An alert of TLS.
            self = .tls
        } else {
            self = .unknown
        }
    }

    /// Nil if there is no connection.
    private static func answer(_ address: addrinfo) -> [UInt8]? {
        let descriptor = socket(address.ai_family, address.ai_socktype, address.ai_protocol)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var patience = timeval(tv_sec: 1, tv_usec: 0)
        for option in [SO_SNDTIMEO, SO_RCVTIMEO] {
            setsockopt(descriptor, SOL_SOCKET, option, &patience, socklen_t(MemoryLayout<timeval>.size))
        }
        guard connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 else { return nil }
        let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        guard send(descriptor, preface, preface.count, Int32(MSG_NOSIGNAL)) == preface.count else { return nil }
        var bytes = [UInt8](repeating: 0, count: 64)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return Array(bytes.prefix(max(0, count)))
    }
}

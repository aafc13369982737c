import Foundation

/// A request whose body is announced and never sent in full.
final class OpenRequest {
    private let socket: Int32

    init(_ address: String, _ path: String) throws {
        let port = UInt16(address.split(separator: ":").last ?? "") ?? 0
        socket = try loopback { descriptor, target, size in
            connect(descriptor, target, size)
        } port: {
            port
        }
        let text = "POST \(path) HTTP/1.1\r\nHost: \(address)\r\nContent-Length: 100\r\n\r\n{"
        guard send(socket, text, text.utf8.count, Int32(MSG_NOSIGNAL)) == text.utf8.count else {
            throw Trouble("cannot send to \(address)")
        }
    }

    /// A connection on which nothing is sent.
    /// - Parameter source: an address of 127.0.0.0/8 that it comes from.
    init(to address: String, from source: String) throws {
        let port = UInt16(address.split(separator: ":").last ?? "") ?? 0
        socket = try loopback { descriptor, target, size in
            var own = sockaddr_in()
            own.sin_family = sa_family_t(AF_INET)
            own.sin_addr.s_addr = inet_addr(source)
            let bytes = socklen_t(MemoryLayout<sockaddr_in>.size)
            let bound = withUnsafePointer(to: &own) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, bytes) }
            }
            return bound == 0 ? connect(descriptor, target, size) : bound
        } port: {
            port
        }
    }

    func close() { Glibc.close(socket) }
}

/// A port where connections are made and nothing is ever said.
final class Listener {
    private let socket: Int32
    let port: UInt16

    init() throws {
        socket = try loopback { descriptor, target, size in
            bind(descriptor, target, size)
        } port: {
            0
        }
        guard listen(socket, 16) == 0 else { throw Trouble("cannot listen") }
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = socket
        _ = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
        }
        port = UInt16(bigEndian: address.sin_port)
    }

    func close() { Glibc.close(socket) }
}

private func loopback(
    _ join: (Int32, UnsafePointer<sockaddr>, socklen_t) -> Int32, port: () -> UInt16
) throws -> Int32 {
    var target = sockaddr_in()
    target.sin_family = sa_family_t(AF_INET)
    target.sin_port = port().bigEndian
    target.sin_addr.s_addr = inet_addr("127.0.0.1")
    let descriptor = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    let joined = withUnsafePointer(to: &target) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { join(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    guard joined == 0 else {
        Glibc.close(descriptor)
        throw Trouble("no socket on loopback: \(errno)")
    }
    return descriptor
}

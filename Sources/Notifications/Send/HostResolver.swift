import Dispatch
import FunnelModel
import Glibc
import Synchronization

/// Finds the addresses of a host.
package struct HostResolver: Sendable {
    package var addresses: @Sendable (_ host: String, _ seconds: Int) async throws -> [IPAddress]

    package init(_ addresses: @escaping @Sendable (_ host: String, _ seconds: Int) async throws -> [IPAddress]) {
        self.addresses = addresses
    }

    /// The resolver of the system (`getaddrinfo`), in its order of preference.
    package static let system = HostResolver { host, seconds in
        try await withCheckedThrowingContinuation { continuation in
            let first = FirstResult(continuation)
            DispatchQueue.global().async { first.resume(Result { () throws(ChannelFault) in try HostResolver.look(up: host) }) }
            // `getaddrinfo` cannot be cancelled; its thread ends when the system gives up.
            DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(seconds)) {
                first.resume(.failure(ChannelFault("no answer for the name \(host) within \(seconds) s")))
            }
        }
    }

    fileprivate static func look(up host: String) throws(ChannelFault) -> [IPAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, nil, &hints, &list)
        guard status == 0 else { throw ChannelFault("no address for the name \(host): \(String(cString: gai_strerror(status)))") }
        defer { freeaddrinfo(list) }
        var addresses: [IPAddress] = []
        var next = list
        while let entry = next {
            if let address = IPAddress(entry.pointee), !addresses.contains(address) { addresses.append(address) }
            next = entry.pointee.ai_next
        }
        return addresses
    }
}

extension IPAddress {
    /// The address of an entry of `getaddrinfo`; nil if it is of another family.
    fileprivate init?(_ entry: addrinfo) {
        guard let socket = entry.ai_addr else { return nil }
        switch entry.ai_family {
        case AF_INET:
            guard entry.ai_addrlen >= MemoryLayout<sockaddr_in>.size else { return nil }
            let address = UnsafeRawPointer(socket).loadUnaligned(as: sockaddr_in.self).sin_addr
            self.init(bytes: withUnsafeBytes(of: address) { Array($0) })
        case AF_INET6:
            guard entry.ai_addrlen >= MemoryLayout<sockaddr_in6>.size else { return nil }
            let address = UnsafeRawPointer(socket).loadUnaligned(as: sockaddr_in6.self).sin6_addr
            self.init(bytes: withUnsafeBytes(of: address) { Array($0) })
        default: return nil
        }
    }
}

/// Resumes a continuation with the first of several results.
private final class FirstResult<Value: Sendable>: Sendable {
    private let continuation: Mutex<CheckedContinuation<Value, any Error>?>

    init(_ continuation: CheckedContinuation<Value, any Error>) { self.continuation = Mutex(continuation) }

    func resume(_ result: Result<Value, ChannelFault>) {
        let waiting = continuation.withLock { continuation in
            defer { continuation = nil }
            return continuation
        }
        waiting?.resume(with: result.mapError { $0 as any Error })
    }
}

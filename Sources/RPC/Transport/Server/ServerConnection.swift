import Synchronization

/// One accepted connection, as its calls see it.
package final class ServerConnection: Sendable {
    /// Unique in the process.
    package let id: UInt64
    /// The peer's address, for logs.
    package let remoteAddress: String
    /// The part of it that limits use.
    package let limitAddress: String
    /// Its IP address; nil if it has none.
    package let ipAddress: String?
    private let slot = Mutex<(any Sendable)?>(nil)
    private let names = Mutex<[String]?>(nil)
    private let proven = Atomic<Bool>(false)
    private let onProof: @Sendable () -> Void

    /// Also a connection made by hand, for tests of handlers.
    package init(
        id: UInt64, remoteAddress: String, limitAddress: String = "local", ipAddress: String? = nil,
        onProof: @escaping @Sendable () -> Void = {}
    ) {
        self.id = id
        self.remoteAddress = remoteAddress
        self.limitAddress = limitAddress
        self.ipAddress = ipAddress
        self.onProof = onProof
    }

    /// Keeps what the service knows about this connection, such as the peer's role.
    package func setAttachment(_ value: (any Sendable)?) {
        slot.withLock { $0 = value }
    }

    /// The value that `setAttachment` kept.
    package func attachment() -> (any Sendable)? {
        slot.withLock { $0 }
    }

    /// The DNS names of the peer's certificate, where certificates must name the roles of services; otherwise nil.
    package var certificateNames: [String]? { names.withLock { $0 } }

    func setCertificateNames(_ names: [String]) { self.names.withLock { $0 = names } }

    /// Call when the peer has proven to be a service of the cluster: from now on it has a reserved place, and its bodies do
    /// not count against the share of others.
    package func prove() {
        if !proven.exchange(true, ordering: .relaxed) { onProof() }
    }

    var isProven: Bool { proven.load(ordering: .relaxed) }
}

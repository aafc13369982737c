import Synchronization

/// One accepted connection, as its calls see it.
package final class ServerConnection: Sendable {
    /// Unique in the process.
    package let id: UInt64
    /// The peer's address, for logs.
    package let remoteAddress: String
    /// The part of it that limits go by.
    package let limitAddress: String
    private let slot = Mutex<(any Sendable)?>(nil)
    private let proven = Atomic<Bool>(false)
    private let onProof: @Sendable () -> Void

    /// Also a connection made by hand, for tests of handlers.
    package init(
        id: UInt64, remoteAddress: String, limitAddress: String = "local", onProof: @escaping @Sendable () -> Void = {}
    ) {
        self.id = id
        self.remoteAddress = remoteAddress
        self.limitAddress = limitAddress
        self.onProof = onProof
    }

    /// Keeps whatever the service knows about this connection, such as who is at the other end.
    package func setAttachment(_ value: (any Sendable)?) {
        slot.withLock { $0 = value }
    }

    /// What was kept.
    package func attachment() -> (any Sendable)? {
        slot.withLock { $0 }
    }

    /// The peer is a service of the cluster: it has a place of its own from now on, and bodies beside those of others.
    package func prove() {
        if !proven.exchange(true, ordering: .relaxed) { onProof() }
    }

    var isProven: Bool { proven.load(ordering: .relaxed) }
}

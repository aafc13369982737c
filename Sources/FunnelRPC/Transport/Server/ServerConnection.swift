import Synchronization

/// One accepted connection, as its calls see it.
package final class ServerConnection: Sendable {
    /// Unique in the process.
    package let id: UInt64
    /// The peer's address, for logs.
    package let remoteAddress: String
    private let slot = Mutex<(any Sendable)?>(nil)

    /// A connection made by hand, for tests of handlers.
    package init(id: UInt64, remoteAddress: String) {
        self.id = id
        self.remoteAddress = remoteAddress
    }

    /// Keeps whatever the service knows about this connection, such as who is at the other end.
    package func setAttachment(_ value: (any Sendable)?) {
        slot.withLock { $0 = value }
    }

    /// What was kept.
    package func attachment() -> (any Sendable)? {
        slot.withLock { $0 }
    }
}

import HTTP2

/// Bounds of a transport server or client.
package struct TransportLimits: Sendable {
    /// A request body above this is answered 413 and its stream reset. A handler may allow less by path.
    package var maxBodyBytes: Int = 16 * 1024 * 1024
    /// Connections a server keeps. At the limit the one that was idle longest is closed.
    package var maxConnections: Int = 1024
    /// Of these, connections of one address whose peers have proven no role.
    package var maxConnectionsPerAddress: Int = 512
    /// Of these, places for connections whose peers prove a role. Others may have one for `proofTimeout`.
    package var reservedConnections: Int = 64
    /// How long a connection without an ordinary place may take to prove a role.
    package var proofTimeout: Duration = .seconds(5)
    /// Complete but unanswered request bytes on one connection above which its producer is held back.
    package var maxBacklogBytes: Int = 8 * 1024 * 1024
    /// Request bytes in the whole server. Above it, and above the shares below, the slowest body loses its stream.
    package var maxGlobalBodyBytes: Int = 256 * 1024 * 1024
    /// How slowly a request body may come, while we do not hold it back, before it loses its stream.
    package var body = BodyClock.Limits()
    /// TCP, TLS, SETTINGS and the client's handshake together.
    package var connectTimeout: Duration = .seconds(5)
    /// Response bytes buffered per call before `write` suspends.
    package var writeBufferBytes: Int = 256 * 1024
    /// The HTTP/2 bounds.
    package var http2 = HTTP2Limits()

    /// Max request bytes of all connections whose peers have proven no role; the rest is reserved for services.
    var unprovenBodyBytes: Int { maxGlobalBodyBytes / 4 * 3 }
    /// Of these, max bytes of the connections of one address, and of one connection: at least one body.
    var bodyBytesPerAddress: Int { max(maxGlobalBodyBytes / 2, maxBodyBytes) }
    var bodyBytesPerConnection: Int { max(maxGlobalBodyBytes / 8, maxBodyBytes) }

    /// How long a connection without calls is kept.
    package var idleTimeout: Duration {
        get { http2.idleTimeout }
        set { http2.idleTimeout = newValue }
    }

    /// The defaults above.
    package init() {}
}

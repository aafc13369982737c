import FunnelHTTP2

/// Bounds of a transport server or client.
package struct TransportLimits: Sendable {
    /// A request body above this is answered 413 and its stream reset.
    package var maxBodyBytes: Int = 16 * 1024 * 1024
    /// Connections a server keeps; more are closed on arrival.
    package var maxConnections: Int = 1024
    /// Complete but unanswered request bytes on one connection above which its producer is held back.
    package var maxBacklogBytes: Int = 8 * 1024 * 1024
    /// Request bytes in the whole server above which new streams are refused. A quarter above that, streams whose body
    /// is still arriving are refused too.
    package var maxGlobalBodyBytes: Int = 256 * 1024 * 1024
    /// A request body that makes no progress for this long, while we do not hold it back, loses its stream.
    package var bodyStallTimeout: Duration = .seconds(30)
    /// TCP, TLS, SETTINGS and the client's handshake together.
    package var connectTimeout: Duration = .seconds(5)
    /// Response bytes buffered per call before `write` suspends.
    package var writeBufferBytes: Int = 256 * 1024
    /// The HTTP/2 bounds.
    package var http2 = HTTP2Limits()

    /// How long a connection without calls is kept.
    package var idleTimeout: Duration {
        get { http2.idleTimeout }
        set { http2.idleTimeout = newValue }
    }

    /// The defaults above.
    package init() {}
}

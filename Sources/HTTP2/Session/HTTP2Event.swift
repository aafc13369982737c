import NIOCore

/// An event of a session. Events are in order; `receive` and `pump` produce them, and they are handled afterwards.
package enum HTTP2Event: Sendable {
    /// The peer's first SETTINGS arrived: it speaks HTTP/2.
    case peerReady
    /// A complete request or final response head.
    case head(stream: Int32, fields: HTTP2Fields)
    /// Body bytes: a slice of the buffer given to `receive`. Each byte is owed to both windows by `creditStream` and
    /// `creditConnection`.
    case data(stream: Int32, bytes: ByteBuffer)
    /// The peer will send no more on this stream.
    case endStream(stream: Int32)
    /// A request left for the wire (client only): from here on the peer may have acted on it.
    case requestSent(stream: Int32)
    /// This number of body bytes went to the output.
    case sent(stream: Int32, bytes: Int)
    /// The stream is gone, for any reason. May come twice for a request that was never sent.
    case closed(stream: Int32, code: HTTP2ErrorCode)
    /// The peer takes no new streams.
    case goAway(lastStream: Int32, code: HTTP2ErrorCode)
}

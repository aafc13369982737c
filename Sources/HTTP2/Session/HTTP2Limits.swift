/// The limits of one connection. The defaults are the settings that stopped each measured attack.
package struct HTTP2Limits: Sendable {
    /// Streams the peer may have open at once (announced in SETTINGS).
    package var maxConcurrentStreams: Int = 128
    /// Decoded header bytes (name + value + 32) of one header block. Above it the whole connection is closed, since
    /// resetting the stream would still decode the rest of a compression bomb.
    package var maxHeaderBlockBytes: Int = 32 * 1024
    /// Frames that move no data which a peer may send at once, before it has earned more.
    package var glitchBurst: Int = 1000
    /// Tokens regained per second.
    package var glitchesPerSecond: Int = 20
    /// DATA frames with fewer bytes than this which do not end their stream count as frames that move no data, beyond
    /// what the sender has earned by `receivedBytesPerSmallFrame`.
    package var smallFrameBytes: Int = 64
    /// Body bytes received per small DATA frame the peer earns.
    package var receivedBytesPerSmallFrame: Int = 32
    /// Bytes sent per extra WINDOW_UPDATE the peer earns; honest readers send about two per 4 KiB at worst.
    package var sentBytesPerWindowUpdate: Int = 1024
    /// Resets a client may send at once, and per second after that (rapid reset).
    package var streamResetBurst: UInt64 = 100
    /// Sustained resets per second.
    package var streamResetsPerSecond: UInt64 = 20
    /// CONTINUATION frames per header block.
    package var maxContinuations: Int = 4
    /// PING and SETTINGS acknowledgements queued while the peer does not read.
    package var maxOutboundAcks: Int = 200
    /// Entries in one SETTINGS frame.
    package var maxSettingsEntries: Int = 16
    /// Receive window of one stream.
    package var streamWindowBytes: Int = 4 * 1024 * 1024
    /// Receive window of the connection.
    package var connectionWindowBytes: Int = 16 * 1024 * 1024
    /// From connecting (TLS included) until the peer's first SETTINGS.
    package var prefaceTimeout: Duration = .seconds(5)
    /// From the first byte of a header block to its last.
    package var headerTimeout: Duration = .seconds(10)
    /// How long a connection without open streams is kept.
    package var idleTimeout: Duration = .seconds(300)
    /// How long a stream, or the socket, may have data waiting that the peer does not take.
    package var writeStallTimeout: Duration = .seconds(30)

    /// The defaults above.
    package init() {}
}

extension Duration {
    /// Whole nanoseconds, negative values as 0 and anything over a year as a year, so that sums cannot overflow.
    package var boundedNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let year: Int64 = 366 * 24 * 3600
        if seconds < 0 || attoseconds < 0 { return 0 }
        if seconds >= year { return year * 1_000_000_000 }
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }
}

/// A token bucket of frames that move no data.
///
/// WINDOW_UPDATE has a purse of its own which fills with the data we send, because a flat budget also cuts off honest
/// fast readers. So have small DATA frames, whose purse fills with the data we receive, and DATA of streams that are
/// over, which may be as much as was on its way when they ended.
struct GlitchBudget {
    private let burst: Int
    private let perSecond: Int
    private let bytesPerUpdate: Int
    private let smallFrame: Int
    private let bytesPerSmallFrame: Int
    private let streamWindow: Int
    private let connectionWindow: Int
    private let role: HTTP2Role
    private var tokens: Int
    private var windowTokens = 0
    private var sentRemainder = 0
    private var smallTokens = 0
    private var receivedRemainder = 0
    private var lateBytes: Int
    private var refilledAt: UInt64?

    /// Enough for a full connection window sent before the first update comes back.
    private static let windowTokensMax = 65_536
    private static let smallTokensMax = 65_536
    /// Min cost of a late frame, however small it is.
    private static let lateFrameMin = 256

    init(limits: HTTP2Limits, role: HTTP2Role) {
        burst = limits.glitchBurst
        perSecond = limits.glitchesPerSecond
        bytesPerUpdate = max(1, limits.sentBytesPerWindowUpdate)
        smallFrame = limits.smallFrameBytes
        bytesPerSmallFrame = max(1, limits.receivedBytesPerSmallFrame)
        streamWindow = limits.streamWindowBytes
        connectionWindow = limits.connectionWindowBytes
        tokens = limits.glitchBurst
        // The peer may open streams before it knows how many are allowed.
        lateBytes = limits.streamWindowBytes
        self.role = role
    }

    /// Regains tokens for the time that passed.
    mutating func refill(now: UInt64) {
        guard let before = refilledAt else {
            refilledAt = now
            return
        }
        guard now > before, perSecond > 0 else { return }
        let interval = max(1, 1_000_000_000 / UInt64(perSecond))
        let gained = (now - before) / interval
        guard gained > 0 else { return }
        tokens = min(burst, tokens + Int(min(gained, UInt64(burst))))
        refilledAt = before + gained * interval
    }

    /// Earns WINDOW_UPDATEs: two for the frame (stream and connection) and more for its size.
    mutating func sentData(_ bytes: Int) {
        sentRemainder += bytes
        let earned = 2 + sentRemainder / bytesPerUpdate
        sentRemainder %= bytesPerUpdate
        windowTokens = min(Self.windowTokensMax, windowTokens + earned)
    }

    /// A stream ended before its body did: as much as its window may still be on its way.
    mutating func streamCut() { lateBytes = min(connectionWindow, lateBytes + streamWindow) }

    /// All streams after this may be ignored, with a whole window on its way.
    mutating func connectionCut() { lateBytes = connectionWindow }

    /// DATA of a stream that is over, or whose answer was given already. False when this frame is one too many.
    mutating func admitLate(_ bytes: Int) -> Bool {
        let cost = max(bytes, Self.lateFrameMin)
        guard lateBytes < cost else {
            lateBytes -= cost
            return true
        }
        return spend()
    }

    /// False when this frame is one too many.
    mutating func admit(_ header: FrameHeader) -> Bool {
        switch header.type {
        case FrameHeader.data:
            return header.endsStream || admitData(header)
        case FrameHeader.headers:
            // Some clients set each new stream's window by an update of its own, and send a short body before its end.
            windowTokens = min(Self.windowTokensMax, windowTokens + 2)
            smallTokens = min(Self.smallTokensMax, smallTokens + 1)
            return true
        case FrameHeader.continuation:
            return true
        case FrameHeader.resetStream:
            // A busy server may refuse many streams; only clients attack by resets.
            return role == .client || spend()
        case FrameHeader.windowUpdate where windowTokens > 0:
            windowTokens -= 1
            return true
        default:
            return spend()
        }
    }

    /// A frame that the library refuses. False when it is one too many.
    mutating func admitInvalid() -> Bool { spend() }

    private mutating func admitData(_ header: FrameHeader) -> Bool {
        // Up to 256 bytes can be padding alone.
        if header.length == 0 || (header.isPadded && header.length <= 256) { return spend() }
        receivedRemainder += header.length
        smallTokens = min(Self.smallTokensMax, smallTokens + receivedRemainder / bytesPerSmallFrame)
        receivedRemainder %= bytesPerSmallFrame
        guard header.length < smallFrame else { return true }
        guard smallTokens > 0 else { return spend() }
        smallTokens -= 1
        return true
    }

    private mutating func spend() -> Bool {
        tokens -= 1
        return tokens >= 0
    }
}

/// The clocks of one connection, as a value: facts and the time go in, a verdict comes out.
struct ConnectionTimers {
    /// What to do about a clock that ran out.
    enum Verdict: Equatable {
        case none
        /// No stream was open for the idle timeout: send GOAWAY.
        case idle
        case tooSlow(String)
    }

    /// What the handler sees at this moment.
    struct Facts {
        var isInHeaderBlock: Bool
        var openStreams: Int
        var isWritable: Bool
    }

    private let preface: UInt64
    private let header: UInt64
    private let idle: UInt64
    private let stall: UInt64
    private let openedAt: UInt64
    private var headerSince: UInt64?
    private var idleSince: UInt64
    private var unwritableSince: UInt64?
    private var saidGoodbye = false
    /// The peer has proved that it speaks HTTP/2.
    var isPeerReady = false

    init(limits: HTTP2Limits, now: UInt64) {
        preface = UInt64(limits.prefaceTimeout.boundedNanoseconds)
        header = UInt64(limits.headerTimeout.boundedNanoseconds)
        idle = UInt64(limits.idleTimeout.boundedNanoseconds)
        stall = UInt64(limits.writeStallTimeout.boundedNanoseconds)
        openedAt = now
        idleSince = now
    }

    /// Time between two checks: a quarter of the shortest clock, but from 10 ms to 1 s.
    var tickNanoseconds: Int64 {
        let shortest = min(preface, header, idle, stall)
        return Int64(min(1_000_000_000, max(10_000_000, shortest / 4)))
    }

    /// Advances the clocks.
    mutating func check(_ facts: Facts, now: UInt64) -> Verdict {
        if !isPeerReady && now >= openedAt + preface { return .tooSlow("no http/2 preface in time") }

        if !facts.isInHeaderBlock {
            headerSince = nil
        } else if let since = headerSince {
            if now >= since + header { return .tooSlow("header block not completed in time") }
        } else {
            headerSince = now
        }

        if facts.isWritable {
            unwritableSince = nil
        } else if let since = unwritableSince {
            if now >= since + stall { return .tooSlow("peer does not read") }
        } else {
            unwritableSince = now
        }

        if facts.openStreams > 0 { idleSince = now }
        if now >= idleSince + idle {
            if saidGoodbye { return .tooSlow("idle") }
            saidGoodbye = true
            idleSince = now
            return .idle
        }
        return .none
    }
}

import CNghttp2
import NIOCore

/// Which end of the connection we are.
package enum HTTP2Role: Sendable { case client, server }

/// One nghttp2 session: bytes in, events out; calls in, bytes out. No waiting, no clock, no sockets.
///
/// Not `Sendable`: it belongs to one event loop. nghttp2 may free a stream under a callback that sends or receives, so
/// callbacks only append to `events` and `output`, and everything is acted on after the library has returned.
package final class HTTP2Session {
    /// Client or server.
    package let role: HTTP2Role
    /// The bounds this session enforces.
    package let limits: HTTP2Limits
    /// Set once: nothing is read or sent after it except what `pump` has left in the output.
    package private(set) var failure: HTTP2Error?

    let raw: OpaquePointer
    var events: [HTTP2Event] = []
    var outbound: [Int32: HTTP2Outbound] = [:]
    var output = HTTP2Output()
    var outputLimit = 0
    var budget: GlitchBudget
    /// Streams to reset as soon as their complete answer is out.
    var resetsAfterEnd: [Int32: HTTP2ErrorCode] = [:]

    /// The highest stream of the peer that the library has begun.
    var lastBegun: Int32 = 0

    // State of the header block being decoded; HTTP/2 allows one at a time.
    var block = HTTP2Fields()
    var blockBytes = 0
    var blockIsTooLarge = false
    var hasTooManyInvalidFrames = false

    // Valid only while `receive` runs.
    private var input = ByteBuffer()
    private var inputBase: UnsafePointer<UInt8>?

    private var scanner: FrameScanner
    private var isInside = false
    private var sawSettings = false

    /// Makes a session and queues our SETTINGS.
    package init(role: HTTP2Role, limits: HTTP2Limits) throws(HTTP2Error) {
        self.role = role
        self.limits = limits
        scanner = FrameScanner(role: role)
        budget = GlitchBudget(limits: limits, role: role)
        raw = try makeRawSession(role: role, limits: limits)
        nghttp2_session_set_user_data(raw, Unmanaged.passUnretained(self).toOpaque())
        try submitSettings()
    }

    deinit {
        nghttp2_session_del(raw)
    }

    /// Streams that are open in either direction.
    package var openStreams: Int { outbound.count }
    /// The peer is in the middle of a header block.
    package var isInHeaderBlock: Bool { scanner.isInHeaderBlock }
    /// Nothing will ever be read or sent again: the connection can be closed.
    package var isFinished: Bool {
        failure != nil || (nghttp2_session_want_read(raw) == 0 && nghttp2_session_want_write(raw) == 0)
    }

    /// Returns the events since the last call.
    package func takeEvents() -> [HTTP2Event] {
        guard !events.isEmpty else { return [] }
        let taken = events
        events = []
        return taken
    }

    /// Feeds bytes from the peer; events are waiting afterwards. On an error a last GOAWAY may be in the output.
    package func receive(_ buffer: ByteBuffer, now: UInt64) throws(HTTP2Error) {
        enter()
        defer { isInside = false }
        guard failure == nil else { return }
        budget.refill(now: now)
        let isWithinBudget = buffer.withUnsafeReadableBytes { scanner.scan($0, budget: &budget, isOver: isOver) }
        guard isWithinBudget else {
            throw fail(HTTP2Error(.abuse, "too many frames that move no data", wireCode: .enhanceYourCalm))
        }
        // After the library has decided to end the session it must not be fed: older builds abort (CVE-2026-27135).
        guard nghttp2_session_want_read(raw) != 0, buffer.readableBytes > 0 else { return }
        input = buffer
        let code = buffer.withUnsafeReadableBytes { bytes in
            let base = bytes.assumingMemoryBound(to: UInt8.self).baseAddress
            inputBase = base
            return nghttp2_session_mem_recv(raw, base, bytes.count)
        }
        inputBase = nil
        input = ByteBuffer()
        if code < 0 { throw fail(receiveError(Int32(truncatingIfNeeded: code))) }
    }

    /// Produces bytes for the socket, about `limit` of them; true if there may be more.
    package func pump(upTo limit: Int) throws(HTTP2Error) -> Bool {
        enter()
        defer { isInside = false }
        guard failure == nil else { return false }
        outputLimit = limit
        while output.byteCount < limit {
            var pointer: UnsafePointer<UInt8>?
            let count = nghttp2_session_mem_send(raw, &pointer)
            if count < 0 {
                throw fail(HTTP2Error(.library, libraryText(count), wireCode: .internalError))
            }
            if count == 0 {
                if output.byteCount >= limit { return true }
                guard submitResetsAfterEnd() else { return false }
                continue
            }
            output.append(UnsafeRawBufferPointer(start: pointer, count: count))
        }
        return true
    }

    /// The bytes `pump` made, in pieces to be written in order.
    package func takeOutput() -> [ByteBuffer] { output.take() }

    /// Ends the session for our own reasons: GOAWAY is put in the output, nothing else follows.
    @discardableResult
    package func fail(_ error: HTTP2Error) -> HTTP2Error {
        if let failure { return failure }
        failure = error
        events.removeAll()
        if error.code != .badPreface && error.code != .connectionLost {
            output.append(goAwayFrame(code: error.wireCode))
        }
        return error
    }

    /// Streams whose queued bytes have not moved for `limit` nanoseconds.
    package func stalledStreams(now: UInt64, limit: UInt64) -> [Int32] {
        var stalled: [Int32] = []
        for (stream, queue) in outbound where queue.isStalled(now: now, limit: limit) { stalled.append(stream) }
        return stalled
    }

    // MARK: Used by the callbacks

    func noteSettings() {
        guard !sawSettings else { return }
        sawSettings = true
        events.append(.peerReady)
    }

    /// The body chunk as a slice of the input; copied only if the library should ever hand out its own memory.
    func noteData(stream: Int32, bytes: UnsafeBufferPointer<UInt8>) {
        guard let start = bytes.baseAddress, !bytes.isEmpty else { return }
        if let inputBase {
            let offset = start - inputBase
            if offset >= 0, offset + bytes.count <= input.readableBytes,
                let slice = input.getSlice(at: input.readerIndex + offset, length: bytes.count)
            {
                events.append(.data(stream: stream, bytes: slice))
                return
            }
        }
        events.append(.data(stream: stream, bytes: ByteBuffer(bytes: bytes)))
    }

    // MARK: Private

    private func enter() {
        precondition(!isInside, "BUG: http/2 session entered from inside itself")
        isInside = true
    }

    private func submitSettings() throws(HTTP2Error) {
        var entries = [
            setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.maxConcurrentStreams),
            setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits.streamWindowBytes),
            setting(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits.maxHeaderBlockBytes),
        ]
        if role == .client { entries.append(setting(NGHTTP2_SETTINGS_ENABLE_PUSH, 0)) }
        let flags = UInt8(NGHTTP2_FLAG_NONE.rawValue)
        var code = nghttp2_submit_settings(raw, flags, entries, entries.count)
        if code == 0 {
            let window = Int32(clamping: limits.connectionWindowBytes)
            code = nghttp2_session_set_local_window_size(raw, flags, 0, window)
        }
        if code != 0 { throw HTTP2Error(.library, libraryText(Int(code)), wireCode: .internalError) }
    }

    private func setting(_ id: nghttp2_settings_id, _ value: Int) -> nghttp2_settings_entry {
        nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: UInt32(clamping: value))
    }

    private func submitResetsAfterEnd() -> Bool {
        guard !resetsAfterEnd.isEmpty else { return false }
        var submitted = false
        for (stream, code) in resetsAfterEnd {
            guard let queue = outbound[stream] else {
                resetsAfterEnd[stream] = nil
                continue
            }
            guard queue.endSent else { continue }
            resetsAfterEnd[stream] = nil
            submitReset(stream, code)
            submitted = true
        }
        return submitted
    }

    /// The stream takes no more DATA: it has gone, or its answer was complete before its body. Streams that begin in the
    /// bytes being scanned are not known yet.
    private func isOver(_ stream: Int32) -> Bool {
        stream <= lastBegun && (outbound[stream] == nil || resetsAfterEnd[stream] != nil)
    }

    private func receiveError(_ code: Int32) -> HTTP2Error {
        if blockIsTooLarge {
            return HTTP2Error(.abuse, "header block over the limit", wireCode: .enhanceYourCalm)
        }
        if hasTooManyInvalidFrames {
            return HTTP2Error(.abuse, "too many requests that are refused", wireCode: .enhanceYourCalm)
        }
        switch code {
        case NGHTTP2_ERR_BAD_CLIENT_MAGIC.rawValue:
            return HTTP2Error(.badPreface, "peer does not speak http/2")
        case NGHTTP2_ERR_FLOODED.rawValue, NGHTTP2_ERR_TOO_MANY_SETTINGS.rawValue:
            return HTTP2Error(.abuse, libraryText(Int(code)), wireCode: .enhanceYourCalm)
        case NGHTTP2_ERR_NOMEM.rawValue:
            return HTTP2Error(.library, libraryText(Int(code)), wireCode: .internalError)
        default:
            return HTTP2Error(.protocolViolation, libraryText(Int(code)))
        }
    }

    /// Made by hand because the library must not be called again after a fatal error. Output always ends at a frame
    /// border, so this may follow anything.
    private func goAwayFrame(code: HTTP2ErrorCode) -> ByteBuffer {
        var frame = ByteBuffer()
        frame.writeBytes([0, 0, 8, 7, 0])
        frame.writeInteger(UInt32(0))
        let last = max(0, nghttp2_session_get_last_proc_stream_id(raw))
        frame.writeInteger(UInt32(last))
        frame.writeInteger(code.rawValue)
        return frame
    }
}

extension HTTP2Output {
    fileprivate mutating func append(_ frame: ByteBuffer) {
        frame.withUnsafeReadableBytes { append($0) }
    }
}

/// The library's words for one of its codes.
func libraryText(_ code: Int) -> String {
    guard let text = nghttp2_strerror(Int32(truncatingIfNeeded: code)) else { return "nghttp2 error" }
    return String(cString: text)
}

import CNghttp2
import NIOCore

extension HTTP2Session {
    /// Opens a stream with a request head; nil if no stream can be opened any more (GOAWAY, ids used up).
    package func submitRequest(_ fields: HTTP2Fields, hasBody: Bool) -> Int32? {
        guard failure == nil, nghttp2_session_check_request_allowed(raw) != 0 else { return nil }
        var provider = dataProvider()
        let stream = fields.withNameValues { list, count in
            hasBody
                ? nghttp2_submit_request(raw, nil, list, count, &provider, nil)
                : nghttp2_submit_request(raw, nil, list, count, nil, nil)
        }
        guard stream > 0 else { return nil }
        let queue = HTTP2Outbound()
        queue.isFinished = !hasBody
        outbound[stream] = queue
        return stream
    }

    /// Sends a response head, with body to follow or not. A stream that is gone is not an error.
    package func submitResponse(stream: Int32, fields: HTTP2Fields, endStream: Bool) {
        guard failure == nil, let queue = outbound[stream] else { return }
        queue.isFinished = endStream
        var provider = dataProvider()
        let code = fields.withNameValues { list, count in
            endStream
                ? nghttp2_submit_response(raw, stream, list, count, nil)
                : nghttp2_submit_response(raw, stream, list, count, &provider)
        }
        if code != 0 { reset(stream: stream, code: .internalError) }
    }

    /// Queues body bytes.
    package func send(stream: Int32, data: ByteBuffer) {
        guard let queue = outbound[stream], !queue.isFinished else { return }
        queue.append(data)
        resume(stream, queue)
    }

    /// Ends the body after what is queued.
    package func finish(stream: Int32) {
        guard let queue = outbound[stream], !queue.isFinished else { return }
        queue.isFinished = true
        resume(stream, queue)
    }

    /// Resets a stream; queued bytes are dropped.
    package func reset(stream: Int32, code: HTTP2ErrorCode) {
        guard failure == nil else { return }
        budget.streamCut()
        submitReset(stream, code)
    }

    func submitReset(_ stream: Int32, _ code: HTTP2ErrorCode) {
        _ = nghttp2_submit_rst_stream(raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream, code.rawValue)
    }

    /// Resets a stream once its complete answer is out, to stop a body nobody will read.
    package func resetAfterEnd(stream: Int32, code: HTTP2ErrorCode) {
        // From here on nobody takes the body.
        if resetsAfterEnd.updateValue(code, forKey: stream) == nil { budget.streamCut() }
    }

    /// Gives bytes back to the stream's receive window.
    package func creditStream(_ stream: Int32, bytes: Int) {
        guard failure == nil, bytes > 0 else { return }
        _ = nghttp2_session_consume_stream(raw, stream, bytes)
    }

    /// Gives bytes back to the connection's receive window.
    package func creditConnection(bytes: Int) {
        guard failure == nil, bytes > 0 else { return }
        _ = nghttp2_session_consume_connection(raw, bytes)
    }

    /// Tells the peer to open no new streams; running ones go on, and the session finishes with the last of them.
    package func goAway(code: HTTP2ErrorCode) {
        guard failure == nil else { return }
        budget.connectionCut()
        let last = nghttp2_session_get_last_proc_stream_id(raw)
        _ = nghttp2_submit_goaway(raw, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, code.rawValue, nil, 0)
    }

    /// Body bytes of a stream not yet sent; 0 for unknown streams.
    package func queuedBytes(stream: Int32) -> Int { outbound[stream]?.queuedBytes ?? 0 }

    /// Whether all that we send on a stream is out (or the stream is gone).
    package func isEndSent(stream: Int32) -> Bool { outbound[stream]?.endSent ?? true }

    private func resume(_ stream: Int32, _ queue: HTTP2Outbound) {
        guard failure == nil, queue.isDeferred else { return }
        queue.isDeferred = false
        _ = nghttp2_session_resume_data(raw, stream)
    }
}

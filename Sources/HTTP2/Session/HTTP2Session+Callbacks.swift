import CNghttp2
import NIOCore

// The callbacks are free functions without decisions of their own: recover the session, note what happened, return.
// `user_data` is the session, unretained: it deletes the nghttp2 session in its `deinit`, so it outlives all callbacks.

private func session(_ pointer: UnsafeMutableRawPointer?) -> HTTP2Session? {
    pointer.map { Unmanaged<HTTP2Session>.fromOpaque($0).takeUnretainedValue() }
}

private func bytes(_ pointer: UnsafePointer<UInt8>?, _ count: Int) -> UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: pointer, count: pointer == nil ? 0 : count)
}

private func onBeginHeaders(
    _: OpaquePointer?, frame: UnsafePointer<nghttp2_frame>?, user: UnsafeMutableRawPointer?
) -> Int32 {
    guard let session = session(user), let frame else { return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue }
    session.noteBeginHeaders(stream: frame.pointee.hd.stream_id)
    return 0
}

private func onHeader(
    _: OpaquePointer?, frame: UnsafePointer<nghttp2_frame>?, name: UnsafePointer<UInt8>?, nameLength: Int,
    value: UnsafePointer<UInt8>?, valueLength: Int, flags: UInt8, user: UnsafeMutableRawPointer?
) -> Int32 {
    guard let session = session(user) else { return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue }
    let fits = session.noteHeader(name: bytes(name, nameLength), value: bytes(value, valueLength))
    return fits ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
}

private func onInvalidHeader(
    _: OpaquePointer?, frame: UnsafePointer<nghttp2_frame>?, name: UnsafePointer<UInt8>?, nameLength: Int,
    value: UnsafePointer<UInt8>?, valueLength: Int, flags: UInt8, user: UnsafeMutableRawPointer?
) -> Int32 {
    guard let session = session(user) else { return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue }
    // Dropped by the library, but decoded all the same: it counts.
    let fits = session.countHeader(nameLength: nameLength, valueLength: valueLength)
    return fits ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
}

private func onFrame(
    _: OpaquePointer?, frame: UnsafePointer<nghttp2_frame>?, user: UnsafeMutableRawPointer?
) -> Int32 {
    guard let session = session(user), let frame else { return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue }
    session.noteFrame(frame)
    return 0
}

private func onInvalidFrame(
    _: OpaquePointer?, frame: UnsafePointer<nghttp2_frame>?, code: Int32, user: UnsafeMutableRawPointer?
) -> Int32 {
    guard let session = session(user) else { return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue }
    return session.countInvalidFrame() ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
}

private func onData(
    _: OpaquePointer?, flags: UInt8, stream: Int32, data: UnsafePointer<UInt8>?, length: Int,
    user: UnsafeMutableRawPointer?
) -> Int32 {
    guard let session = session(user) else { return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue }
    session.noteData(stream: stream, bytes: bytes(data, length))
    return 0
}

private func onClose(
    _: OpaquePointer?, stream: Int32, code: UInt32, user: UnsafeMutableRawPointer?
) -> Int32 {
    guard let session = session(user) else { return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue }
    session.noteClosed(stream: stream, code: HTTP2ErrorCode(rawValue: code))
    return 0
}

private func onFrameSent(
    _: OpaquePointer?, frame: UnsafePointer<nghttp2_frame>?, user: UnsafeMutableRawPointer?
) -> Int32 {
    guard let session = session(user), let frame else { return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue }
    session.noteFrameSent(frame)
    return 0
}

private func onFrameNotSent(
    _: OpaquePointer?, frame: UnsafePointer<nghttp2_frame>?, code: Int32, user: UnsafeMutableRawPointer?
) -> Int32 {
    guard let session = session(user), let frame else { return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue }
    session.noteFrameNotSent(frame)
    return 0
}

private func onReadData(
    _: OpaquePointer?, stream: Int32, buffer: UnsafeMutablePointer<UInt8>?, length: Int,
    flags: UnsafeMutablePointer<UInt32>?, source: UnsafeMutablePointer<nghttp2_data_source>?,
    user: UnsafeMutableRawPointer?
) -> Int {
    guard let session = session(user), let flags else { return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue) }
    return session.offerData(stream: stream, upTo: length, flags: &flags.pointee)
}

private func onSendData(
    _: OpaquePointer?, frame: UnsafeMutablePointer<nghttp2_frame>?, header: UnsafePointer<UInt8>?, length: Int,
    source: UnsafeMutablePointer<nghttp2_data_source>?, user: UnsafeMutableRawPointer?
) -> Int32 {
    guard let session = session(user), let frame, let header else { return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue }
    return session.emitData(stream: frame.pointee.hd.stream_id, header: bytes(header, 9), length: length)
}

extension HTTP2Session {
    func dataProvider() -> nghttp2_data_provider {
        nghttp2_data_provider(source: nghttp2_data_source(), read_callback: onReadData)
    }

    fileprivate func noteBeginHeaders(stream: Int32) {
        block = HTTP2Fields()
        blockBytes = 0
        lastBegun = max(lastBegun, stream)
        if role == .server, outbound[stream] == nil { outbound[stream] = HTTP2Outbound() }
    }

    fileprivate func countHeader(nameLength: Int, valueLength: Int) -> Bool {
        blockBytes += nameLength + valueLength + 32
        if blockBytes > limits.maxHeaderBlockBytes { blockIsTooLarge = true }
        return !blockIsTooLarge
    }

    /// A request that the library refuses, such as one beyond the limit of streams: it costs a reset, and nobody else hears of it.
    fileprivate func countInvalidFrame() -> Bool {
        if role == .server, !budget.admitInvalid() { hasTooManyInvalidFrames = true }
        return !hasTooManyInvalidFrames
    }

    fileprivate func noteHeader(name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) -> Bool {
        guard countHeader(nameLength: name.count, valueLength: value.count) else { return false }
        block.append(name: name, value: value)
        return true
    }

    fileprivate func noteFrame(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = frame.pointee.hd
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue:
            noteHead(stream: header.stream_id)
            if header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0 {
                events.append(.endStream(stream: header.stream_id))
            }
        case NGHTTP2_DATA.rawValue where header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0:
            events.append(.endStream(stream: header.stream_id))
        case NGHTTP2_SETTINGS.rawValue:
            noteSettings()
        case NGHTTP2_GOAWAY.rawValue:
            let goAway = frame.pointee.goaway
            let code = HTTP2ErrorCode(rawValue: goAway.error_code)
            events.append(.goAway(lastStream: goAway.last_stream_id, code: code))
        default:
            break
        }
    }

    /// Interim (1xx) responses and trailers are not heads.
    private func noteHead(stream: Int32) {
        defer { block = HTTP2Fields() }
        if role == .client {
            guard let status = block.decimal(":status"), status >= 200 else { return }
        } else {
            guard block[":method"] != nil else { return }
        }
        events.append(.head(stream: stream, fields: block))
    }

    fileprivate func noteClosed(stream: Int32, code: HTTP2ErrorCode) {
        outbound[stream] = nil
        events.append(.closed(stream: stream, code: code))
    }

    fileprivate func noteFrameSent(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = frame.pointee.hd
        guard UInt32(header.type) == NGHTTP2_HEADERS.rawValue else { return }
        if header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0 { outbound[header.stream_id]?.endSent = true }
        if role == .client { events.append(.requestSent(stream: header.stream_id)) }
    }

    fileprivate func noteFrameNotSent(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = frame.pointee.hd
        guard role == .client, UInt32(header.type) == NGHTTP2_HEADERS.rawValue else { return }
        // The stream never came to be, so the library reports no close for it.
        noteClosed(stream: header.stream_id, code: .refusedStream)
    }

    fileprivate func offerData(stream: Int32, upTo length: Int, flags: inout UInt32) -> Int {
        guard let queue = outbound[stream] else { return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue) }
        let count = min(length, queue.queuedBytes)
        if count == 0 && !queue.isFinished {
            queue.isDeferred = true
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        if queue.isFinished && count == queue.queuedBytes {
            flags |= NGHTTP2_DATA_FLAG_EOF.rawValue
            if count == 0 { queue.endSent = true }
        }
        // The payload goes out uncopied by `onSendData`; an empty frame is left to the library.
        if count > 0 { flags |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue }
        return count
    }

    fileprivate func emitData(stream: Int32, header: UnsafeBufferPointer<UInt8>, length: Int) -> Int32 {
        guard let queue = outbound[stream], queue.queuedBytes >= length else {
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
        }
        // Without this the library would fill all of the peer's window in one call.
        if output.byteCount >= outputLimit { return NGHTTP2_ERR_WOULDBLOCK.rawValue }
        output.append(UnsafeRawBufferPointer(header))
        queue.move(length, to: &output)
        // Known from the frame itself: more may have been queued since the frame was prepared.
        if header[4] & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0 { queue.endSent = true }
        budget.sentData(length)
        if case .sent(stream, let before)? = events.last {
            events[events.count - 1] = .sent(stream: stream, bytes: before + length)
        } else {
            events.append(.sent(stream: stream, bytes: length))
        }
        return 0
    }
}

/// Makes an nghttp2 session with our callbacks and options; both tables are copied by the library.
func makeRawSession(role: HTTP2Role, limits: HTTP2Limits) throws(HTTP2Error) -> OpaquePointer {
    var callbacks: OpaquePointer?
    var option: OpaquePointer?
    guard nghttp2_session_callbacks_new(&callbacks) == 0, nghttp2_option_new(&option) == 0 else {
        nghttp2_session_callbacks_del(callbacks)
        throw HTTP2Error(.library, "out of memory", wireCode: .internalError)
    }
    defer {
        nghttp2_session_callbacks_del(callbacks)
        nghttp2_option_del(option)
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, onBeginHeaders)
    nghttp2_session_callbacks_set_on_header_callback(callbacks, onHeader)
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, onInvalidHeader)
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, onFrame)
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, onInvalidFrame)
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, onData)
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, onClose)
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, onFrameSent)
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, onFrameNotSent)
    nghttp2_session_callbacks_set_send_data_callback(callbacks, onSendData)

    nghttp2_option_set_no_auto_window_update(option, 1)
    nghttp2_option_set_no_closed_streams(option, 1)
    nghttp2_option_set_max_reserved_remote_streams(option, 0)
    nghttp2_option_set_max_outbound_ack(option, limits.maxOutboundAcks)
    nghttp2_option_set_max_settings(option, limits.maxSettingsEntries)
    nghttp2_option_set_max_continuations(option, limits.maxContinuations)
    nghttp2_option_set_stream_reset_rate_limit(option, limits.streamResetBurst, limits.streamResetsPerSecond)

    var session: OpaquePointer?
    let code =
        role == .server
        ? nghttp2_session_server_new2(&session, callbacks, nil, option)
        : nghttp2_session_client_new2(&session, callbacks, nil, option)
    guard code == 0, let session else {
        throw HTTP2Error(.library, libraryText(Int(code)), wireCode: .internalError)
    }
    return session
}

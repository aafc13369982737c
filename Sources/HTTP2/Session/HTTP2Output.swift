import NIOCore

/// What one stream still has to send.
final class HTTP2Outbound {
    private(set) var queue = CircularBuffer<ByteBuffer>()
    private(set) var queuedBytes = 0
    private(set) var sentBytes = 0
    /// No more will be appended.
    var isFinished = false
    /// nghttp2 asks for no more data until the stream is resumed.
    var isDeferred = false
    /// END_STREAM is out.
    var endSent = false
    private var stallMark = 0
    private var stalledSince: UInt64?

    func append(_ buffer: ByteBuffer) {
        guard buffer.readableBytes > 0 else { return }
        queue.append(buffer)
        queuedBytes += buffer.readableBytes
    }

    /// Moves exactly `count` queued bytes to the output.
    func move(_ count: Int, to output: inout HTTP2Output) {
        var left = count
        while left > 0, var front = queue.popFirst() {
            let size = min(left, front.readableBytes)
            guard let slice = front.readSlice(length: size) else { break }
            output.append(payload: slice)
            if front.readableBytes > 0 { queue.prepend(front) }
            left -= size
        }
        queuedBytes -= count - left
        sentBytes += count - left
    }

    /// True if bytes have waited for `limit` nanoseconds without one of them moving.
    func isStalled(now: UInt64, limit: UInt64) -> Bool {
        guard queuedBytes > 0 else {
            stalledSince = nil
            return false
        }
        guard let since = stalledSince, stallMark == sentBytes else {
            stalledSince = now
            stallMark = sentBytes
            return false
        }
        return now >= since && now - since >= limit
    }
}

/// Bytes on their way to the socket: small ones gathered, large payloads passed on uncopied.
struct HTTP2Output {
    /// Below this a copy is cheaper than one more vector entry.
    private static let copyBelow = 2048

    private var pieces: [ByteBuffer] = []
    private var tail = ByteBuffer()
    private(set) var byteCount = 0

    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        tail.writeBytes(bytes)
        byteCount += bytes.count
    }

    mutating func append(payload: ByteBuffer) {
        byteCount += payload.readableBytes
        guard payload.readableBytes >= Self.copyBelow else {
            tail.writeImmutableBuffer(payload)
            return
        }
        // A fresh tail: going on in the old one would copy it, since the piece shares its storage.
        if tail.readableBytes > 0 { pieces.append(tail) }
        tail = ByteBuffer()
        pieces.append(payload)
    }

    mutating func take() -> [ByteBuffer] {
        var taken = pieces
        if tail.readableBytes > 0 { taken.append(tail) }
        pieces = []
        tail = ByteBuffer()
        byteCount = 0
        return taken
    }
}

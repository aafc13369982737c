import NIOCore

/// An answer whose body is taken chunk by chunk. Dropping it before the end cancels the call.
package final class ClientResponse: Sendable {
    /// The HTTP status; any value is an answer, not an error.
    package let status: Int
    /// The `content-type` header.
    package let contentType: String?
    /// The peer's clock when it began to answer, in milliseconds since 1970; nil if the answer has no time.
    package let time: Int?
    private let stream: ClientStream

    init(status: Int, contentType: String?, time: Int?, stream: ClientStream) {
        self.status = status
        self.time = time
        self.contentType = contentType
        self.stream = stream
    }

    deinit {
        stream.cancel()
    }

    /// The next chunk, nil at the clean end. The peer may send more only as chunks are taken. Throws `TransportError`
    /// if the stream is reset, the connection lost, or the deadline passed. One caller at a time.
    package func next() async throws -> ByteBuffer? {
        try await stream.next()
    }

    /// The rest of the body in one buffer; longer ones are an error and cancel the call.
    package func collect(upTo limit: Int) async throws -> ByteBuffer {
        var all = ByteBuffer()
        while let chunk = try await next() {
            guard all.readableBytes + chunk.readableBytes <= limit else {
                cancel()
                throw TransportError(.failed, "response larger than \(limit) bytes")
            }
            if all.readableBytes == 0 { all = chunk } else { all.writeImmutableBuffer(chunk) }
        }
        return all
    }

    /// Gives the call up: the server sees a reset.
    package func cancel() {
        stream.cancel()
    }
}

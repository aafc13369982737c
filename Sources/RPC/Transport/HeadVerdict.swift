import NIOCore

/// What becomes of a request, decided from its head before a byte of its body is taken.
package enum HeadVerdict: Sendable {
    /// The body may come, of so many bytes at most.
    case take(bodyMax: Int)
    /// This is the answer; the body is not read.
    case answer(EarlyAnswer)
}

/// A whole answer that needs no body of the request.
package struct EarlyAnswer: Sendable {
    let status: Int
    let contentType: String
    let body: ByteBuffer
    let reason: WireRefusal

    package init(status: Int, contentType: String, body: ByteBuffer, reason: WireRefusal) {
        self.status = status
        self.contentType = contentType
        self.body = body
        self.reason = reason
    }
}

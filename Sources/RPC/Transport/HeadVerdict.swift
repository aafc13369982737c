import NIOCore

/// The decision on a request, made from its head before any byte of its body is read.
package enum HeadVerdict: Sendable {
    /// The body may come; `bodyMax` is its max bytes.
    case take(bodyMax: Int)
    /// The answer is this; the body is not read.
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

/// HTTP/2 error codes (RFC 9113 section 7) that this transport sends or distinguishes.
package struct HTTP2ErrorCode: RawRepresentable, Sendable, Hashable {
    /// The number on the wire.
    package let rawValue: UInt32
    /// Any code, known or not: peers may send what they like.
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Nothing went wrong.
    package static let noError = HTTP2ErrorCode(rawValue: 0)
    /// The peer broke the protocol.
    package static let protocolError = HTTP2ErrorCode(rawValue: 1)
    /// Our side failed.
    package static let internalError = HTTP2ErrorCode(rawValue: 2)
    /// The stream was not processed at all; safe to repeat.
    package static let refusedStream = HTTP2ErrorCode(rawValue: 7)
    /// The answer is no longer wanted.
    package static let cancel = HTTP2ErrorCode(rawValue: 8)
    /// The peer costs more than it moves.
    package static let enhanceYourCalm = HTTP2ErrorCode(rawValue: 11)
}

/// Why a connection cannot go on.
package struct HTTP2Error: Error, Sendable, CustomStringConvertible {
    /// The kind of failure; a struct so that it can grow.
    package struct Code: Sendable, Hashable {
        private enum Value { case badPreface, protocolViolation, abuse, timeout, connectionLost, library }
        private let value: Value
        private init(_ value: Value) { self.value = value }

        /// The first bytes were not HTTP/2.
        package static let badPreface = Code(.badPreface)
        /// Frames that break RFC 9113.
        package static let protocolViolation = Code(.protocolViolation)
        /// Legal frames, but a flood of them.
        package static let abuse = Code(.abuse)
        /// The peer was too slow.
        package static let timeout = Code(.timeout)
        /// The socket or TLS failed.
        package static let connectionLost = Code(.connectionLost)
        /// nghttp2 failed for reasons of its own, such as memory.
        package static let library = Code(.library)
    }

    /// The kind of failure.
    package let code: Code
    /// For people; lower case, no peer bytes.
    package let message: String
    /// The code that GOAWAY carries.
    package let wireCode: HTTP2ErrorCode

    /// Builds an error.
    package init(_ code: Code, _ message: String, wireCode: HTTP2ErrorCode = .protocolError) {
        self.code = code
        self.message = message
        self.wireCode = wireCode
    }

    package var description: String { message }
}

import Glibc
import HTTP2
import NIOCore

/// Names and constants of the transport's use of HTTP/2.
enum TransportWire {
    static let contentType = "application/x-sluice"
    static let timeoutHeader: StaticString = "sluice-timeout-ms"
    static let timeHeader: StaticString = "sluice-time-ms"
    static let traceHeader: StaticString = "traceparent"
    /// Longest timeout taken from a peer; more is cut to this.
    static let timeoutMillisecondsMax = 24 * 3600 * 1000
}

/// The machine's clock, in milliseconds since 1970.
func wallMilliseconds() -> Int {
    var spec = timespec()
    clock_gettime(CLOCK_REALTIME, &spec)
    return Int(spec.tv_sec) * 1_000 + Int(spec.tv_nsec) / 1_000_000
}

/// The head of a request.
package struct CallHead: Sendable {
    /// `POST`, or `GET` for health.
    package let method: String
    /// Chooses the method of the service; as sent, with any query.
    package let path: String
    /// The `authorization` header.
    package let authorization: String?
    /// The `content-type` header.
    package let contentType: String?
    /// How long the caller will wait, from the header `sluice-timeout-ms`.
    package let timeout: Duration?
    /// The header `traceparent`, if it is valid.
    package let trace: String?

    /// A head made by hand, for tests of handlers.
    package init(method: String, path: String, authorization: String?, contentType: String?, timeout: Duration?, trace: String? = nil) {
        self.method = method
        self.path = path
        self.authorization = authorization
        self.contentType = contentType
        self.timeout = timeout
        self.trace = trace
    }

    /// Nil if the request lacks what every request must have.
    init?(_ fields: HTTP2Fields) {
        guard let method = fields[":method"], let path = fields[":path"], path.utf8.first == UInt8(ascii: "/") else {
            return nil
        }
        let milliseconds = fields.decimal(TransportWire.timeoutHeader)
        self.init(
            method: method,
            path: path,
            authorization: fields["authorization"],
            contentType: fields["content-type"],
            timeout: milliseconds.map { .milliseconds(min($0, TransportWire.timeoutMillisecondsMax)) },
            trace: TraceParent.read(fields[TransportWire.traceHeader])
        )
    }
}

extension NIODeadline {
    static func after(_ duration: Duration) -> NIODeadline {
        .now() + .nanoseconds(duration.boundedNanoseconds)
    }

    /// Whole milliseconds left, rounded up so that the receiver's clock never runs out first.
    var millisecondsLeft: Int64 {
        let left = (self - .now()).nanoseconds
        return left <= 0 ? 0 : (left + 999_999) / 1_000_000
    }
}

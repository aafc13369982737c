/// Why a request is not answered with success. `SDKEndpoint.answer(_:to:)` puts it in the words that the SDK understands.
package enum SDKFault: Error, Equatable, Sendable {
    case malformed(String)
    /// A readable body of a kind that is not supported.
    case unsupported(String)
    /// The content encoding of the body, such as `br`.
    case unsupportedEncoding(String)
    /// A page or a host name that may not call, and why.
    case forbidden(String)
    case missingKey
    case wrongKey
    /// A known key that may not send this request, such as one for other pages, and why. Answered as `wrongKey` is.
    case refusedKey(String)
    /// The limit of the body in bytes.
    case tooLarge(limit: Int)
    case tooManyEvents(limit: Int)
    /// Seconds to wait, and the name of the limit if it has one.
    case rateLimited(retryAfter: Int, limit: String = "")
    /// Nothing was stored, or not all: seconds to wait before the whole request is sent again.
    case overloaded(retryAfter: Int)
}

extension SDKFault: CustomStringConvertible {
    package var description: String { message }

    var message: String {
        switch self {
        case .malformed(let reason), .unsupported(let reason), .forbidden(let reason), .refusedKey(let reason): reason
        case .unsupportedEncoding(let name): "the content encoding \"\(name.prefix(60))\" is not supported; use gzip or none"
        case .missingKey: "the request has no API key"
        case .wrongKey: "the API key is not valid for writing events"
        case .tooLarge(let limit): "the body is larger than \(limit) bytes, the limit"
        case .tooManyEvents(let limit): "the request has more than \(limit) events, the limit"
        case .rateLimited(let seconds, let limit):
            (limit.isEmpty ? "too many requests" : "\(limit): the limit is reached, nothing was stored") + "; try again in \(seconds) s"
        case .overloaded(let seconds): "some events are not stored; send the request again in \(seconds) s"
        }
    }

    /// A name for programs.
    var code: String {
        switch self {
        case .malformed: "invalid_request"
        case .unsupported: "unsupported"
        case .unsupportedEncoding: "unsupported_encoding"
        case .forbidden: "forbidden"
        case .missingKey: "missing_api_key"
        case .wrongKey, .refusedKey: "invalid_api_key"
        case .tooLarge: "payload_too_large"
        case .tooManyEvents: "too_many_events"
        case .rateLimited: "rate_limited"
        case .overloaded: "overloaded"
        }
    }

    var retryAfter: Int? {
        switch self {
        case .rateLimited(let seconds, _), .overloaded(let seconds): max(seconds, 1)
        default: nil
        }
    }
}

import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import RPC

/// A complete HTTP answer: status, headers and body.
package struct WholeAnswer: Sendable {
    package var status: HTTPResponse.Status
    package var headers: HTTPFields
    package var bytes: [UInt8]
    /// The protocol error that it reports; nil for other answers.
    package private(set) var failure: ProtocolError?

    /// Adds `Content-Type`, `X-Content-Type-Options` and, unless `headers` has a `Cache-Control`, `no-store`.
    package init(_ bytes: [UInt8], type: String, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]) {
        self.bytes = bytes
        self.status = status
        self.headers = headers
        self.headers.append(HTTPField(name: .contentType, value: type))
        if headers[.cacheControl] == nil { self.headers.append(HTTPField(name: .cacheControl, value: "no-store")) }
        self.headers.append(HTTPField(name: .xContentTypeOptions, value: "nosniff"))
    }

    package init(_ value: JSONValue, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]) {
        self.init(value.encode() + [10], type: "application/json", status: status, headers: headers)
    }

    /// RFC 9457 problem details.
    package init(_ error: ProtocolError) {
        var fields: HTTPFields = [:]
        let status = HTTPResponse.Status(code: error.httpStatus)
        if error.retryAfterMilliseconds > 0 { fields[.retryAfter] = "\(max(1, error.retryAfterMilliseconds / 1_000))" }
        if let limit = error.limit { fields[.limit] = limit.rawValue }
        if status == .unauthorized { fields[.wwwAuthenticate] = "Bearer" }
        self.init(error.problem.encode(), type: "application/problem+json", status: status, headers: fields)
        failure = error
    }

    package var response: Response { Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: bytes))) }
}

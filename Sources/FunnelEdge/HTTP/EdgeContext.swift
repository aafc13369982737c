import FunnelModel
import FunnelProtocol
import FunnelRPC
import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// What travels with each HTTP request.
package struct EdgeContext: RequestContext {
    package var coreContext: CoreRequestContextStorage

    package init(source: ApplicationRequestContextSource) { coreContext = .init(source: source) }

    /// Larger bodies are read by `EdgeBody`, within its own limits.
    package var maxUploadSize: Int { Limits.definitionBytes }
}

package typealias EdgeRouter = Router<EdgeContext>

extension HTTPField.Name {
    package static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
    package static let requestID = HTTPField.Name("X-Request-Id")!
}

/// Answers in JSON.
package enum EdgeResponse {
    package static func json(
        _ value: JSONValue, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
    ) -> Response {
        body(value.encoded + [10], type: "application/json", status: status, headers: headers)
    }

    package static func text(_ text: String, type: String = "text/plain; charset=utf-8", status: HTTPResponse.Status = .ok) -> Response {
        body(Array(text.utf8), type: type, status: status)
    }

    package static func body(
        _ bytes: [UInt8], type: String, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
    ) -> Response {
        var fields = headers
        fields[.contentType] = type
        fields[.cacheControl] = fields[.cacheControl] ?? "no-store"
        fields[.xContentTypeOptions] = "nosniff"
        return Response(status: status, headers: fields, body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
    }

    /// RFC 9457 problem details.
    package static func problem(_ error: ProtocolError) -> Response {
        let status = HTTPResponse.Status(code: error.httpStatus)
        var members: [JSONValue.Member] = [
            .init("type", .text("urn:sluice:\(error.code.traits.name)")),
            .init("title", .text(error.code.traits.name.replacing("_", with: " "))),
            .init("status", .count(error.httpStatus)), .init("detail", .text(error.message)),
        ]
        if !error.faults.isEmpty {
            members.append(.init("errors", .array(error.faults.map { ["field": .text($0.field), "reason": .text($0.reason)] })))
        }
        if !error.shards.isEmpty { members.append(.init("shards", .array(error.shards.map { .text($0) }))) }
        var fields: HTTPFields = [:]
        if error.retryAfterMilliseconds > 0 { fields[.retryAfter] = "\(max(1, error.retryAfterMilliseconds / 1_000))" }
        if status == .unauthorized { fields[.wwwAuthenticate] = "Bearer" }
        return body(JSONValue.object(members).encoded, type: "application/problem+json", status: status, headers: fields)
    }
}

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
    /// The caller's connection.
    let channel: any Channel

    package init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }

    /// Larger bodies are read by `EdgeBody`, within its own limits.
    package var maxUploadSize: Int { Limits.definitionBytes }
}

package typealias EdgeRouter = Router<EdgeContext>

extension HTTPField.Name {
    package static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
    package static let requestID = HTTPField.Name("X-Request-Id")!
}

/// An answer that is known as a whole.
package struct EdgeAnswer: Sendable {
    package var status: HTTPResponse.Status
    package var headers: HTTPFields
    package var bytes: [UInt8]
    /// What it says, where it is an error of the protocol.
    package private(set) var failure: ProtocolError?

    /// - Parameter headers: no content type among them.
    package init(_ bytes: [UInt8], type: String, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]) {
        self.bytes = bytes
        self.status = status
        self.headers = headers
        self.headers.append(HTTPField(name: .contentType, value: type))
        if headers[.cacheControl] == nil { self.headers.append(HTTPField(name: .cacheControl, value: "no-store")) }
        self.headers.append(HTTPField(name: .xContentTypeOptions, value: "nosniff"))
    }

    package init(_ value: JSONValue, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]) {
        self.init(value.encoded + [10], type: "application/json", status: status, headers: headers)
    }

    /// RFC 9457 problem details.
    package init(_ error: ProtocolError) {
        var fields: HTTPFields = [:]
        let status = HTTPResponse.Status(code: error.httpStatus)
        if error.retryAfterMilliseconds > 0 { fields[.retryAfter] = "\(max(1, error.retryAfterMilliseconds / 1_000))" }
        if status == .unauthorized { fields[.wwwAuthenticate] = "Bearer" }
        self.init(error.problem.encoded, type: "application/problem+json", status: status, headers: fields)
        failure = error
    }

    package var response: Response { Response(status: status, headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: bytes))) }
}

/// Answers in JSON.
package enum EdgeResponse {
    package static func json(
        _ value: JSONValue, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
    ) -> Response {
        EdgeAnswer(value, status: status, headers: headers).response
    }

    package static func text(_ text: String, type: String = "text/plain; charset=utf-8", status: HTTPResponse.Status = .ok) -> Response {
        body(Array(text.utf8), type: type, status: status)
    }

    package static func body(
        _ bytes: [UInt8], type: String, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
    ) -> Response {
        EdgeAnswer(bytes, type: type, status: status, headers: headers).response
    }

    /// RFC 9457 problem details.
    package static func problem(_ error: ProtocolError) -> Response { EdgeAnswer(error).response }

    /// A problem of HTTP itself, which no error of the protocol stands for.
    static func problem(_ status: HTTPResponse.Status, _ detail: String, headers: HTTPFields = [:]) -> Response {
        let title = status.reasonPhrase.lowercased()
        let problem: JSONValue = [
            "type": .text("urn:sluice:\(title.replacing(" ", with: "_"))"), "title": .text(title), "status": .count(status.code),
            "detail": .text(detail),
        ]
        return body(problem.encoded, type: "application/problem+json", status: status, headers: headers)
    }
}

extension ProtocolError {
    /// What a caller is told of an error; of one that isn't meant for callers, only that there was one.
    package init(of error: any Error) {
        switch error {
        case let error as ProtocolError: self = error
        case let error as InvalidDocument:
            self.init(.invalidQuery, "the document has \(error.faults.count) fault(s)", faults: error.faults)
        case let error as JSONError: self.init(.invalidMessage, error.description)
        case is CancellationError: self.init(.cancelled, "cancelled")
        default: self.init(.unknownError, "internal error; the service's log has it")
        }
    }

    /// RFC 9457 problem details.
    package var problem: JSONValue {
        var members: [JSONValue.Member] = [
            .init("type", .text("urn:sluice:\(code.traits.name)")),
            .init("title", .text(code.traits.name.replacing("_", with: " "))),
            .init("status", .count(httpStatus)), .init("detail", .text(message)),
        ]
        if !faults.isEmpty {
            func text(_ text: String) -> JSONValue { .string(ProtocolError.cut(text)) }
            let told = faults.prefix(ProtocolError.faultsMax)
            members.append(.init("errors", .array(told.map { ["field": text($0.field), "reason": text($0.reason)] })))
            if faults.count > told.count { members.append(.init("errors_left_out", .count(faults.count - told.count))) }
        }
        if !shards.isEmpty { members.append(.init("shards", .array(shards.map { .text($0) }))) }
        return .object(members)
    }
}

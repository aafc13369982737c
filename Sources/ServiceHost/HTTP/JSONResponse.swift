import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import RPC

/// Complete responses: JSON, text, bytes and problem documents.
package enum JSONResponse {
    package static func json(
        _ value: JSONValue, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
    ) -> Response {
        WholeAnswer(value, status: status, headers: headers).response
    }

    package static func text(_ text: String, type: String = "text/plain; charset=utf-8", status: HTTPResponse.Status = .ok) -> Response {
        body(Array(text.utf8), type: type, status: status)
    }

    package static func body(
        _ bytes: [UInt8], type: String, status: HTTPResponse.Status = .ok, headers: HTTPFields = [:]
    ) -> Response {
        WholeAnswer(bytes, type: type, status: status, headers: headers).response
    }

    /// RFC 9457 problem details.
    package static func problem(_ error: ProtocolError) -> Response { WholeAnswer(error).response }

    /// Problem details of an HTTP error that has no code in the protocol.
    static func problem(_ status: HTTPResponse.Status, _ detail: String, headers: HTTPFields = [:]) -> Response {
        let title = status.reasonPhrase.lowercased()
        let problem: JSONValue = [
            "type": .text("urn:sluice:\(title.replacing(" ", with: "_"))"), "title": .text(title), "status": .count(status.code),
            "detail": .text(detail),
        ]
        return body(problem.encode(), type: "application/problem+json", status: status, headers: headers)
    }
}

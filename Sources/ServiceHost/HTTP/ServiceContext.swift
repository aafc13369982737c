import FunnelModel
import FunnelProtocol
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import RPC

/// The context of one HTTP request.
package struct ServiceContext: RequestContext {
    package var coreContext: CoreRequestContextStorage
    /// The caller's connection.
    let channel: any Channel

    package init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }

    /// Larger bodies are read by `ReceivedBody`, within its own limits.
    package var maxUploadSize: Int { Limits.definitionBytes }
}

package typealias ServiceRouter = Router<ServiceContext>

extension HTTPField.Name {
    package static let idempotencyKey = HTTPField.Name("Idempotency-Key")!
    static let traceParent = HTTPField.Name("traceparent")!
    package static let requestID = HTTPField.Name("X-Request-Id")!
    /// The name of the limit by which a request was refused, also where the body has the form of another product's SDK.
    package static let limit = HTTPField.Name("Sluice-Limit")!
}

extension ProtocolError {
    /// RFC 9457 problem details.
    package var problem: JSONValue {
        var members: [JSONValue.Member] = [
            .init("type", .text("urn:sluice:\(name)")),
            .init("title", .text(name.replacing("_", with: " "))),
            .init("status", .count(httpStatus)), .init("detail", .text(message)),
        ]
        if !faults.isEmpty {
            func text(_ text: String) -> JSONValue { .string(ProtocolError.cut(text)) }
            let told = faults.prefix(ProtocolError.faultsMax)
            members.append(.init("errors", .array(told.map { ["field": text($0.field), "reason": text($0.reason)] })))
            if faults.count > told.count { members.append(.init("errors_left_out", .count(faults.count - told.count))) }
        }
        if let limit { members.append(.init("limit", .text(limit.rawValue))) }
        if !shards.isEmpty { members.append(.init("shards", .array(shards.map { .text($0) }))) }
        return .object(members)
    }
}

import FunnelModel
import Yams

/// The OpenAPI document of all services, `openapi.yaml`, as JSON.
package enum APIDescription {
    /// Converted at the first use.
    package static let json: [UInt8] = {
        let text = String(decoding: EmbeddedFiles.all["openapi.yaml"] ?? [], as: UTF8.self)
        return ((try? Yams.compose(yaml: text)).flatMap { $0 }.map { value($0) } ?? .null).encode()
    }()

    private static func value(_ node: Yams.Node) -> JSONValue {
        switch node {
        case .mapping(let mapping): .object(mapping.map { .init(ByteString($0.key.scalar?.string ?? ""), value($0.value)) })
        case .sequence(let sequence): .array(sequence.map(value))
        case .scalar(let scalar): Self.scalar(node, scalar.string)
        case .alias: .null
        }
    }

    private static func scalar(_ node: Yams.Node, _ text: String) -> JSONValue {
        switch node.tag.rawValue {
        case Tag.Name.null.rawValue: .null
        case Tag.Name.bool.rawValue: .bool(text == "true")
        case Tag.Name.int.rawValue: Int64(text).map { .integer($0) } ?? .text(text)
        case Tag.Name.float.rawValue: Double(text).map { .double($0) } ?? .text(text)
        default: .text(text)
        }
    }
}

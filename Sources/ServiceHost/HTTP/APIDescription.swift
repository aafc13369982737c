import FunnelModel
import Yams

/// The OpenAPI document of all services, as JSON: `openapi.yaml` with the members of `openapi-sdks.yaml`.
package enum APIDescription {
    /// Converted at the first use.
    package static let json: [UInt8] = joined(document("openapi.yaml"), document("openapi-sdks.yaml")).encode()

    private static func document(_ name: String) -> JSONValue {
        let text = String(decoding: EmbeddedFiles.all[name] ?? [], as: UTF8.self)
        return (try? Yams.compose(yaml: text)).flatMap { $0 }.map { value($0) } ?? .null
    }

    /// Objects have the members of both, and so have objects under one name in both. Other members under one name are both there,
    /// which a test finds.
    private static func joined(_ first: JSONValue, _ second: JSONValue) -> JSONValue {
        guard var members = first.asObject, let more = second.asObject else { return first }
        for member in more {
            if let place = members.firstIndex(where: { $0.key == member.key }), member.value.asObject != nil {
                members[place].value = joined(members[place].value, member.value)
            } else {
                members.append(member)
            }
        }
        return .object(members)
    }

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

import FunnelModel
import Yams

/// YAML as JSON values, for documents that people write. JSON is YAML too.
///
/// Words are text, except `true`, `false`, `null`, `~` and numbers as JSON writes them. YAML's other words for these, such as `yes`
/// and `0x10`, are text, and so is all that is quoted. Anchors, aliases and tags are faults: they can make a short text a large
/// document.
package enum YAMLDocument {
    package static let textBytes = 1 << 20

    /// Throws the fault of the text, with its line; the text itself is not in it.
    package static func json(_ text: String) throws(InvalidDocument) -> JSONValue {
        // Anchors are known while the parser lives.
        try reading(text) { parser in
            try withExtendedLifetime(parser) { try parser.singleRoot().map { try value($0, depth: 0) } ?? .null }
        }
    }

    /// One of the documents of a text.
    package struct Part: Sendable {
        /// The line of its first value, from 1.
        package var line: Int
        /// The document, or the faults of its values; faults of the text are thrown instead, since what comes after them cannot be read.
        package var value: Result<JSONValue, InvalidDocument>
    }

    /// The documents of a text, which `---` separates. Those without a value are left out.
    package static func parts(_ text: String) throws(InvalidDocument) -> [Part] {
        try reading(text) { parser in
            var parts: [Part] = []
            while let root = try parser.nextRoot() {
                let line = root.mark?.line ?? 0
                do {
                    let value = try value(root, depth: 0)
                    if value != .null { parts.append(Part(line: line, value: .success(value))) }
                } catch let fault as InvalidDocument {
                    parts.append(Part(line: line, value: .failure(fault)))
                }
            }
            return parts
        }
    }

    private static func reading<T>(_ text: String, _ body: (Yams.Parser) throws -> T) throws(InvalidDocument) -> T {
        guard text.utf8.count <= textBytes else {
            throw InvalidDocument([FieldFault("body", "has \(text.utf8.count) bytes; the limit is \(textBytes)")])
        }
        do {
            return try body(try Yams.Parser(yaml: text))
        } catch let fault as InvalidDocument {
            throw fault
        } catch {
            throw InvalidDocument([FieldFault("body", "is not YAML: \((error as? YamlError)?.place ?? "it cannot be read")")])
        }
    }

    private static func value(_ node: Yams.Node, depth: Int) throws -> JSONValue {
        func fault(_ reason: String) -> InvalidDocument { InvalidDocument([FieldFault("line \(node.mark?.line ?? 0)", reason)]) }
        if node.anchor != nil { throw fault("has an anchor (&), which is not supported; write the value out") }
        guard depth < Limits.jsonDepth else { throw fault("is nested deeper than \(Limits.jsonDepth)") }
        switch node {
        case .mapping(let mapping):
            guard mapping.tag.description.isEmpty else { throw fault(tagReason) }
            return .object(
                try mapping.map { key, value in
                    guard let name = key.scalar?.string else { throw fault("has a key that is no text") }
                    return .init(ByteString(name), try Self.value(value, depth: depth + 1))
                })
        case .sequence(let sequence):
            guard sequence.tag.description.isEmpty else { throw fault(tagReason) }
            return .array(try sequence.map { try value($0, depth: depth + 1) })
        case .scalar(let scalar):
            // Not `node.tag`, which Yams resolves by rules of its own.
            let tag = scalar.tag.description
            if scalar.style != .plain, tag == Tag.Name.str.rawValue { return .text(scalar.string) }
            guard tag.isEmpty else { throw fault(tagReason) }
            return plain(scalar.string)
        case .alias: throw fault("is an alias (*), which is not supported; write the value out")
        }
    }

    private static let tagReason = "has a tag (!), which is not supported; quote what is to be text"

    private static func plain(_ text: String) -> JSONValue {
        switch text {
        case "", "~", "null": .null
        case "true": true
        case "false": false
        default: number(text) ?? .text(text)
        }
    }

    private static func number(_ text: String) -> JSONValue? {
        guard let first = text.utf8.first, first == UInt8(ascii: "-") || (48...57).contains(first) else { return nil }
        switch try? JSONParser.parse(Array(text.utf8)) {
        case .integer(let number)?: return .integer(number)
        case .double(let number)? where number.isFinite: return .double(number)
        default: return nil
        }
    }
}

extension YamlError {
    /// Where and why a text is no YAML. The error's own message quotes the text, which may contain secrets.
    var place: String {
        switch self {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            "line \(mark.line), column \(mark.column): \(context.map { $0.text + ", " } ?? "")\(problem)"
        case .duplicatedKeysInMapping(let keys, let context): "line \(context.mark.line): \(keys.joined(separator: ", ")) is given twice"
        case .reader(let problem, _, _, _): problem
        default: "it cannot be read"
        }
    }
}

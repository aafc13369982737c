import FunnelModel

/// Values and names as tables show them: kinds can be told apart, and so can what the table itself says, such as (none).
enum ValueText {
    /// A value of a property; null is no value.
    static func row(_ value: JSONValue?) -> String {
        switch value {
        case nil, .null?: "(none)"
        case .string(let text)?: name(text.string)
        case .some(let other): String(decoding: other.encode(), as: UTF8.self)
        }
    }

    /// A text, in quotes where it could be taken for something else.
    static func name(_ text: String) -> String {
        let shown = text.printable
        return isPlain(text) ? shown : "\"" + shown.escaping("\\", as: "\\\\").escaping("\"", as: "\\\"") + "\""
    }

    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.first, let last = text.last else { return false }
        return !first.isWhitespace && !last.isWhitespace && first != "(" && first != "\"" && !text.contains(" → ")
            && !["true", "false", "null"].contains(text) && Double(text) == nil
    }
}

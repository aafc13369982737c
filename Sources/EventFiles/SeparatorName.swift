/// Names of separators, for messages.
enum SeparatorName {
    static func text(_ separator: UInt8) -> String {
        switch separator {
        case UInt8(ascii: ","): "comma"
        case UInt8(ascii: ";"): "semicolon"
        case 9: "tab"
        default: "\"\(Unicode.Scalar(separator))\""
        }
    }
}

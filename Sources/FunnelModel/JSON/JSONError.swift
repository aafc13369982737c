/// A fault in a JSON text, with the byte it was found at.
package struct JSONError: Error, Equatable, Sendable {
    package var offset: Int
    package var reason: String
    /// The member at fault, names from the document's top joined by `.`, where the text is well-formed but its meaning is
    /// in doubt. Empty for malformed text.
    package var field = ""

    package init(offset: Int, reason: String, field: String = "") {
        self.offset = offset
        self.reason = reason
        self.field = field
    }

    /// Whether the text is one whole value, and more.
    package var isTextAfter: Bool { reason == JSONFault.textAfter.description }
}

/// Why a JSON text is refused. Small, since the lexer's functions throw it on every path.
enum JSONFault: Error, Equatable, CustomStringConvertible {
    case endsEarly, notAValue, expected(UInt8), expectedName, textAfter
    case openString, controlCharacter, notUTF8, unknownEscape, notHex, leadingZero
    case tooDeep, tooManyElements
    /// Well-formed, but two readers may take it for two different values.
    case givenTwice, halfSurrogate, outOfRange
    /// Not at fault, or of a kind that the caller does not tell apart: the fast path leaves it to the parser.
    case unusual

    /// Whether the text is well-formed and its meaning in doubt.
    var isDoubt: Bool { self == .givenTwice || self == .halfSurrogate || self == .outOfRange }

    var description: String {
        switch self {
        case .endsEarly: "unexpected end"
        case .notAValue: "not a JSON value"
        case .expected(let byte): "expected '\(Character(Unicode.Scalar(byte)))'"
        case .expectedName: "expected a member name"
        case .textAfter: "text after the value"
        case .openString: "string without an end"
        case .controlCharacter: "control character in a string"
        case .notUTF8: "string is not UTF-8"
        case .unknownEscape: "unknown escape"
        case .notHex: "expected four hex digits"
        case .leadingZero: "number with a leading zero"
        case .tooDeep: "nested deeper than \(Limits.jsonDepth)"
        case .tooManyElements: "too many elements"
        case .givenTwice: "is given twice"
        case .halfSurrogate: "has half of a surrogate pair (\\u escape), which is no character"
        case .outOfRange: "a number is out of range: no double is as large"
        case .unusual: "not as expected"
        }
    }
}

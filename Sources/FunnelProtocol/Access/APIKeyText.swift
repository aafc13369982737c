import Codec
import FunnelModel

/// The text of a created API key: `sk_<role>_<id>_<secret><checksum>` (`PROTOCOL.md` section 7, API keys).
package struct APIKeyText: Equatable, Sendable {
    package let role: KeyRole
    /// Not secret.
    package let id: String
    /// The whole text, with the secret.
    package let text: String

    package static let idLength = 10
    private static let prefix = Array("sk_".utf8)
    private static let secretLength = 43
    private static let checksumLength = 6
    private static let bytesMax = 80
    /// Crockford's base 32 in lower case: no letter looks like a digit.
    private static let idDigits = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)
    private static let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)

    /// Reads the text of a key; nil if it has another form, or if its checksum is wrong.
    package init?(_ text: String) {
        // Most keys of the environment end here, after three bytes.
        guard text.utf8.starts(with: Self.prefix), text.utf8.count <= Self.bytesMax else { return nil }
        let bytes = Array(text.utf8)
        let parts = bytes.split(separator: UInt8(ascii: "_"), omittingEmptySubsequences: false)
        guard parts.count == 4, let role = KeyRole(name: String(decoding: parts[1], as: UTF8.self)),
            parts[2].count == Self.idLength, parts[2].allSatisfy(Self.idDigits.contains),
            parts[3].count == Self.secretLength + Self.checksumLength, parts[3].allSatisfy(Self.digits.contains),
            Self.checksum(bytes.dropLast(Self.checksumLength)).elementsEqual(bytes.suffix(Self.checksumLength))
        else { return nil }
        self.role = role
        id = String(decoding: parts[2], as: UTF8.self)
        self.text = text
    }

    /// Draws a new key.
    /// - Parameter random: of cryptographic quality.
    package init(drawing role: KeyRole, from random: inout some RandomNumberGenerator) {
        self.role = role
        id = Self.draw(Self.idLength, of: Self.idDigits, &random)
        // Each of the 43 characters has log2(62) bits: 256 in all.
        let body = Array("sk_\(role.name)_\(id)_\(Self.draw(Self.secretLength, of: Self.digits, &random))".utf8)
        text = String(decoding: body + Self.checksum(body[...]), as: UTF8.self)
    }

    private static func draw(_ count: Int, of digits: [UInt8], _ random: inout some RandomNumberGenerator) -> String {
        String(decoding: (0..<count).map { _ in digits[Int.random(in: digits.indices, using: &random)] }, as: UTF8.self)
    }

    /// CRC-32C of the bytes in base 62, filled up with zeros.
    private static func checksum(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var rest = Int(CRC32C.checksum(Array(bytes)))
        var out = [UInt8](repeating: digits[0], count: checksumLength)
        for place in out.indices.reversed() {
            out[place] = digits[rest % digits.count]
            rest /= digits.count
        }
        return out
    }
}

extension KeyRole {
    package var name: String {
        switch self {
        case .write: "write"
        case .read: "read"
        case .admin: "admin"
        }
    }

    /// Nil if no role has this name.
    package init?(name: some StringProtocol) {
        guard let role = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = role
    }
}

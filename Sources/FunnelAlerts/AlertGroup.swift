import FunnelModel

/// The whole, or one value of a breakdown.
package struct AlertGroup: Hashable, Comparable, Sendable {
    /// The value's JSON text, which keeps `"1"` and `1` apart. Empty: the whole. A long one is shortened, with its hash.
    package let text: ByteString

    package static let whole = AlertGroup(text: "")

    package init(text: ByteString) { self.text = text }

    package init(_ value: PropertyValue) {
        let full = value.json.encode()
        guard full.count > AlertLimits.groupBytes else {
            text = ByteString(full)
            return
        }
        text = ByteString(AlertWords.cut(ByteString(full).string, to: AlertLimits.groupBytes - 16) + Self.hash(full))
    }

    package var isWhole: Bool { text.isEmpty }

    /// The part of a notification's key.
    var keyPart: String { isWhole ? "whole" : Self.hash(text.bytes) }

    private static func hash(_ bytes: [UInt8]) -> String {
        let digits = String(XXH64.hash(bytes), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    package static func < (a: AlertGroup, b: AlertGroup) -> Bool { a.text < b.text }
}

/// An e-mail address of the plain form `name@domain`, which is safe as an argument of a program and in a mail header.
package struct MailAddress: Hashable, Sendable, CustomStringConvertible {
    package let text: String

    package var description: String { text }

    var domain: String { String(text.drop { $0 != "@" }.dropFirst()) }

    package init(_ text: String) throws(ChannelFault) {
        guard text.utf8.count <= NoticeLimits.mailAddressBytes else {
            throw ChannelFault("has \(text.utf8.count) bytes; the limit is \(NoticeLimits.mailAddressBytes)")
        }
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, Self.isLocalPart(parts[0]), WebTarget.isHostName(parts[1].lowercased()), !parts[1].hasSuffix("."),
            !parts[1].hasPrefix("-")
        else { throw ChannelFault("must be an address such as team@example.com, in ASCII, without a name or quotes") }
        self.text = text
    }

    /// A dot-atom (RFC 5322) that is no option of a program.
    private static func isLocalPart(_ part: Substring) -> Bool {
        guard (1...64).contains(part.utf8.count), !part.hasPrefix("-") else { return false }
        return part.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { atom in
            !atom.isEmpty
                && atom.utf8.allSatisfy { byte in
                    switch byte {
                    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                        UInt8(ascii: "0")...UInt8(ascii: "9"):
                        true
                    default: Array("!#$%&'*+-/=?^_`{|}~".utf8).contains(byte)
                    }
                }
        }
    }
}

/// Text that is compared by bytes. Swift's `String` compares by canonical equivalence, by which two user ids could be equal.
package struct ByteString: Hashable, Sendable {
    package var bytes: [UInt8]

    package init(_ bytes: [UInt8]) { self.bytes = bytes }
    package init(_ slice: ArraySlice<UInt8>) { self.bytes = Array(slice) }
    package init(_ text: some StringProtocol) { self.bytes = Array(text.utf8) }

    package var count: Int { bytes.count }
    package var isEmpty: Bool { bytes.isEmpty }

    /// The text; bytes that are not UTF-8 become U+FFFD.
    package var string: String { String(decoding: bytes, as: UTF8.self) }
}

extension ByteString: Comparable {
    package static func == (a: ByteString, b: ByteString) -> Bool {
        let (left, right) = (a.bytes.span, b.bytes.span)
        return unsafe equalBytes(left.bytes, right.bytes)
    }

    /// `Hasher` has a random key for each process, so a client cannot choose texts that collide.
    package func hash(into hasher: inout Hasher) {
        unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        // A terminator, so that two texts in a row never hash like two others.
        hasher.combine(0xFF as UInt8)
    }

    package static func < (a: ByteString, b: ByteString) -> Bool { compareBytes(a.bytes, b.bytes) < 0 }
}

extension ByteString: ExpressibleByStringLiteral, CustomStringConvertible {
    package init(stringLiteral value: String) { self.init(value) }
    package var description: String { string }
}

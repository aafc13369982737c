/// Text compared byte by byte. Swift's `String` compares by canonical equivalence, which would make two user ids one.
package struct ByteString: Hashable, Sendable {
    package var bytes: [UInt8]

    package init(_ bytes: [UInt8]) { self.bytes = bytes }
    package init(_ slice: ArraySlice<UInt8>) { self.bytes = Array(slice) }
    package init(_ text: some StringProtocol) { self.bytes = Array(text.utf8) }

    package var count: Int { bytes.count }
    package var isEmpty: Bool { bytes.isEmpty }

    /// The text; bytes that are not UTF-8 show as U+FFFD.
    package var string: String { String(decoding: bytes, as: UTF8.self) }
}

extension ByteString: Comparable {
    package static func == (a: ByteString, b: ByteString) -> Bool {
        let (left, right) = (a.bytes.span, b.bytes.span)
        return unsafe equalBytes(left.bytes, right.bytes)
    }

    /// Keyed by the process's secret, so that nobody can choose texts that collide.
    package func hash(into hasher: inout Hasher) {
        unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        // Ends the text: two of them one after the other never look like two others.
        hasher.combine(0xFF as UInt8)
    }

    package static func < (a: ByteString, b: ByteString) -> Bool { compareBytes(a.bytes, b.bytes) < 0 }
}

extension ByteString: ExpressibleByStringLiteral, CustomStringConvertible {
    package init(stringLiteral value: String) { self.init(value) }
    package var description: String { string }
}

/// True if `bytes` is well-formed UTF-8 (no overlong forms, no surrogates, up to U+10FFFF; RFC 3629).
package func isValidUTF8(_ bytes: some RandomAccessCollection<UInt8>) -> Bool {
    var i = bytes.startIndex
    let end = bytes.endIndex
    while i < end {
        let lead = bytes[i]
        i = bytes.index(after: i)
        if lead < 0x80 { continue }
        let following: Int
        var low: UInt8 = 0x80
        var high: UInt8 = 0xBF
        switch lead {
        case 0xC2...0xDF: following = 1
        case 0xE0: following = 2; low = 0xA0
        case 0xED: following = 2; high = 0x9F
        case 0xE1...0xEF: following = 2
        case 0xF0: following = 3; low = 0x90
        case 0xF4: following = 3; high = 0x8F
        case 0xF1...0xF3: following = 3
        default: return false
        }
        for _ in 0..<following {
            guard i < end, bytes[i] >= low, bytes[i] <= high else { return false }
            i = bytes.index(after: i)
            low = 0x80
            high = 0xBF
        }
    }
    return true
}

/// Base64 (RFC 4648 sections 4 and 5): both alphabets, with or without padding.
package enum Base64 {
    /// The value of each byte; 64 if it is not of an alphabet.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 64, count: 256)
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        for (i, letter) in letters.enumerated() { values[Int(letter)] = UInt8(i) }
        values[Int(UInt8(ascii: "-"))] = 62
        values[Int(UInt8(ascii: "_"))] = 63
        // A form reads a bare `+` as a blank.
        values[Int(UInt8(ascii: " "))] = 62
        return values
    }()

    /// The bytes; nil if the text is not base64. Line ends at its end are skipped.
    package static func decode(_ text: [UInt8]) -> [UInt8]? {
        var end = text.count
        while end > 0, text[end - 1] == 10 || text[end - 1] == 13 { end -= 1 }
        var padding = 0
        while end > 0, padding < 2, text[end - 1] == UInt8(ascii: "=") {
            end -= 1
            padding += 1
        }
        guard end % 4 != 1, padding == 0 || (end + padding) % 4 == 0 else { return nil }
        var out: [UInt8] = []
        out.reserveCapacity(end / 4 * 3 + 2)
        var bits: UInt32 = 0
        var count: UInt32 = 0
        for i in 0..<end {
            let value = values[Int(text[i])]
            guard value < 64 else { return nil }
            bits = bits << 6 | UInt32(value)
            count += 6
            guard count >= 8 else { continue }
            count -= 8
            out.append(UInt8(truncatingIfNeeded: bits >> count))
        }
        return out
    }
}

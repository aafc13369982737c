import Codec
import FunnelModel

/// Packs lower-case hexadecimal text to half its length, and UUIDs (RFC 9562 section 4) to 16 bytes.
enum HexStrings {
    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 48...57: byte - 48
        case 97...102: byte - 87
        default: nil
        }
    }

    private static func text(_ digit: UInt8) -> UInt8 { digit < 10 ? digit + 48 : digit + 87 }

    /// nil if there is no text, or if some of it is not of this form.
    static func pack(_ heap: [UInt8], lengths: some Sequence<Int>) -> [UInt8]? {
        guard !heap.isEmpty, lengths.allSatisfy({ $0 % 2 == 0 }) else { return nil }
        var out: [UInt8] = []
        out.reserveCapacity(heap.count / 2)
        for i in stride(from: 0, to: heap.count, by: 2) {
            guard let high = digit(heap[i]), let low = digit(heap[i + 1]) else { return nil }
            out.append(high << 4 | low)
        }
        return out
    }

    static func unpack(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            out.append(text(byte >> 4))
            out.append(text(byte & 15))
        }
        return out
    }

    /// nil if there is no text, or if some of it is not a UUID in lower case.
    static func packUUIDs(_ places: [Int], _ table: StringTable) -> [UInt8]? {
        var out: [UInt8] = []
        out.reserveCapacity(places.count * UUIDText.bytes)
        for place in places {
            guard let (bytes, isUpper) = UUIDText.pack(table.heap[table.range(place)]), !isUpper else { return nil }
            out += bytes
        }
        return out.isEmpty ? nil : out
    }

    static func unpackUUIDs(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count / 16 * 36)
        for (i, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(i % 16) { out.append(45) }
            out.append(text(byte >> 4))
            out.append(text(byte & 15))
        }
        return out
    }
}

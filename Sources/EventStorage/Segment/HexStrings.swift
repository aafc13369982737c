import Codec
import FunnelModel

/// Text that is the lower-case hexadecimal form of bytes, at half its length; and UUIDs (RFC 9562, section 4) as 16 bytes.
enum HexStrings {
    private static let dashes: Set<Int> = [8, 13, 18, 23]

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 48...57: byte - 48
        case 97...102: byte - 87
        default: nil
        }
    }

    private static func text(_ digit: UInt8) -> UInt8 { digit < 10 ? digit + 48 : digit + 87 }

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

    static func packUUIDs(_ places: [Int], _ table: StringTable) -> [UInt8]? {
        var out: [UInt8] = []
        for place in places {
            let range = table.range(place)
            guard range.count == 36 else { return nil }
            var high: UInt8?
            for i in 0..<36 {
                let byte = table.heap[range.lowerBound + i]
                if dashes.contains(i) {
                    if byte != 45 { return nil }
                    continue
                }
                guard let value = digit(byte) else { return nil }
                if let first = high {
                    out.append(first << 4 | value)
                    high = nil
                } else {
                    high = value
                }
            }
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

/// The hash function XXH64 (Yann Collet, xxHash specification, "XXH64 algorithm description"); the default seed is 0.
package enum XXH64 {
    private static let p1: UInt64 = 0x9E37_79B1_85EB_CA87
    private static let p2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
    private static let p3: UInt64 = 0x1656_67B1_9E37_79F9
    private static let p4: UInt64 = 0x85EB_CA77_C2B2_AE63
    private static let p5: UInt64 = 0x27D4_EB2F_1656_67C5

    package static func hash(_ bytes: [UInt8], seed: UInt64 = 0) -> UInt64 {
        let span = bytes.span
        return unsafe hash(span.bytes, seed: seed)
    }

    package static func hash(_ bytes: ArraySlice<UInt8>, seed: UInt64 = 0) -> UInt64 {
        let span = bytes.span
        return unsafe hash(span.bytes, seed: seed)
    }

    package static func hash(_ bytes: RawSpan, seed: UInt64 = 0) -> UInt64 {
        let end = bytes.byteCount
        var at = 0
        var h = end >= 32 ? stripes(bytes, seed, &at) : seed &+ p5
        h = h &+ UInt64(truncatingIfNeeded: end)
        // `end - at` is below 32 here; each load is of that many bytes or fewer.
        while end &- at >= 8 {
            h = rotl(h ^ round(0, unsafe bytes.uncheckedInteger(at)), 27) &* p1 &+ p4
            at &+= 8
        }
        if end &- at >= 4 {
            h = rotl(h ^ (UInt64(unsafe bytes.uncheckedInteger(at, as: UInt32.self)) &* p1), 23) &* p2 &+ p3
            at &+= 4
        }
        while at < end {
            h = rotl(h ^ (UInt64(unsafe bytes.uncheckedInteger(at, as: UInt8.self)) &* p5), 11) &* p1
            at &+= 1
        }
        h = (h ^ (h &>> 33)) &* p2
        h = (h ^ (h &>> 29)) &* p3
        return h ^ (h &>> 32)
    }

    /// The hash of all whole stripes of 32 bytes; `at` moves past them.
    private static func stripes(_ bytes: RawSpan, _ seed: UInt64, _ at: inout Int) -> UInt64 {
        var v1 = seed &+ p1 &+ p2
        var v2 = seed &+ p2
        var v3 = seed
        var v4 = seed &- p1
        let end = bytes.byteCount
        while end &- at >= 32 {
            v1 = round(v1, unsafe bytes.uncheckedInteger(at))
            v2 = round(v2, unsafe bytes.uncheckedInteger(at &+ 8))
            v3 = round(v3, unsafe bytes.uncheckedInteger(at &+ 16))
            v4 = round(v4, unsafe bytes.uncheckedInteger(at &+ 24))
            at &+= 32
        }
        let h = rotl(v1, 1) &+ rotl(v2, 7) &+ rotl(v3, 12) &+ rotl(v4, 18)
        return merged(merged(merged(merged(h, v1), v2), v3), v4)
    }

    private static func merged(_ h: UInt64, _ v: UInt64) -> UInt64 { (h ^ round(0, v)) &* p1 &+ p4 }

    private static func round(_ acc: UInt64, _ lane: UInt64) -> UInt64 { rotl(acc &+ (lane &* p2), 31) &* p1 }

    private static func rotl(_ x: UInt64, _ by: UInt64) -> UInt64 { (x &<< by) | (x &>> (64 &- by)) }
}

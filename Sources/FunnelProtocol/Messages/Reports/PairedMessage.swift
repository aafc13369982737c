import FunnelModel

extension PairedCounts {
    func write(to out: inout ByteWriter) {
        for field in Self.fields { out.varint(self[keyPath: field]) }
    }

    /// Reads the users of two funnels.
    /// - Parameter counts: those of the first funnel, to which the pairs must add up.
    static func read(_ reader: inout ByteReader, _ counts: [UInt64]) throws(ByteError) -> PairedCounts {
        var pairs = PairedCounts()
        for field in fields {
            pairs[keyPath: field] = try reader.varint("users of two funnels")
            guard pairs[keyPath: field] < 1 << 48 else {
                throw ByteError(offset: reader.offset, reason: "users of two funnels are out of range")
            }
        }
        let alone = [pairs.aloneInFirst, pairs.aloneInSecond]
        guard alone.allSatisfy({ $0.converted <= $0.entered }), pairs.first.entered == counts.first, pairs.first.converted == counts.last
        else {
            throw ByteError(offset: reader.offset, reason: "the users of two funnels don't add up to those of the first")
        }
        return pairs
    }
}

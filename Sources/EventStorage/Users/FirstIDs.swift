import FunnelModel

/// Finds the first ids in byte order among users that are given by place. Most ids are compared without a copy.
package struct FirstIDs {
    private let view: StoreView
    private let after: ByteString
    private let limit: Int
    /// In any order, fewer than `2 * limit`.
    private var kept: [ByteString] = []
    /// The largest id that is still wanted; nil while fewer than `limit` are known.
    private var last: ByteString?

    /// Finds ids among the users of a view.
    /// - Parameters:
    ///   - after: only ids above this; empty is all.
    ///   - limit: max number of ids.
    package init(_ view: StoreView, after: ByteString, limit: Int) {
        self.view = view
        self.after = after
        self.limit = limit
    }

    /// Adds users.
    /// - Parameter places: users that were not added before; fastest in ascending order.
    package mutating func add(_ places: [Int]) {
        var ordinals = OrdinalCursor(view.places)
        view.users.eachID(places.lazy.map { ordinals.ordinal($0) }) { id in
            if compareBytes(id, after.bytes.span.bytes) <= 0 { return }
            if let last, compareBytes(id, last.bytes.span.bytes) >= 0 { return }
            kept.append(ByteString(unsafe id.withUnsafeBytes { unsafe [UInt8]($0) }))
            if kept.count >= 2 * limit { prune() }
        }
    }

    /// The first ids, ascending.
    package consuming func finish() -> [ByteString] {
        prune()
        return kept
    }

    private mutating func prune() {
        kept.sort()
        if kept.count < limit { return }
        kept.removeLast(kept.count - limit)
        last = kept.last
    }
}

import FunnelModel

/// The first ids, by their bytes, of users told by their places. Most ids are compared where they stand, and not copied.
package struct FirstIDs {
    private let view: StoreView
    private let after: ByteString
    private let limit: Int
    /// In any order, fewer than `2 * limit`.
    private var kept: [ByteString] = []
    /// So many as wanted are no greater; nil while there aren't.
    private var last: ByteString?

    /// - Parameters:
    ///   - after: only ids greater than this; empty is all.
    ///   - limit: ids that are wanted.
    package init(_ view: StoreView, after: ByteString, limit: Int) {
        self.view = view
        self.after = after
        self.limit = limit
    }

    /// - Parameter places: of users that were not told before; quickest where they ascend.
    package mutating func add(_ places: [Int]) {
        var ordinals = OrdinalCursor(view.places)
        view.users.eachID(places.lazy.map { ordinals.ordinal($0) }) { id in
            if compareBytes(id, after.bytes.span.bytes) <= 0 { return }
            if let last, compareBytes(id, last.bytes.span.bytes) >= 0 { return }
            kept.append(ByteString(unsafe id.withUnsafeBytes { unsafe [UInt8]($0) }))
            if kept.count >= 2 * limit { prune() }
        }
    }

    /// Ascending.
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

import FunnelModel

extension StoreView {
    /// The names of all properties of events, in ascending byte order.
    package func propertyNames() -> [ByteString] {
        var names: Set<ByteString> = []
        for column in segments.lazy.flatMap(\.footer.columns) {
            if case .property(let name) = column.key { names.insert(name) }
        }
        for stored in memtable.batches {
            for i in 0..<stored.batch.keys.count { names.insert(stored.batch.keys[i]) }
        }
        names.remove(Claim.parentKey)
        return names.sorted()
    }
}

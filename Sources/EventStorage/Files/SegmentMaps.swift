import Synchronization

/// Mappings of segment files, made when a file is read and kept while they are among those used last. So a store may have
/// more segment files than a process may have mappings. A mapping that a reader holds stays.
final class SegmentMaps: Sendable {
    fileprivate struct State {
        var mapped: [UInt64: (bytes: FileBytes, use: UInt64)] = [:]
        var uses: UInt64 = 0
    }

    private let state = Mutex(State())
    private let most: Int

    init(most: Int) { self.most = most }

    var count: Int { state.withLock { $0.mapped.count } }

    /// The bytes of the segment file of a number; `map` is called if it is not mapped.
    func bytes(_ number: UInt64, _ map: () throws(StoreError) -> FileBytes) throws(StoreError) -> FileBytes {
        let known = state.withLock { state -> FileBytes? in
            state.uses += 1
            state.mapped[number]?.use = state.uses
            return state.mapped[number]?.bytes
        }
        if let known { return known }
        let bytes = try map()
        // Released outside the lock, each with its last reader.
        var dropped: [FileBytes] = []
        state.withLock { state in
            if state.mapped.count >= most { dropped = state.dropOldest(most / 4 + 1) }
            state.mapped[number] = (bytes, state.uses)
        }
        withExtendedLifetime(dropped) {}
        return bytes
    }

    func forget(_ number: UInt64) { _ = state.withLock { $0.mapped.removeValue(forKey: number) } }
}

extension SegmentMaps.State {
    fileprivate mutating func dropOldest(_ count: Int) -> [FileBytes] {
        let oldest = mapped.sorted { $0.value.use < $1.value.use }.prefix(count)
        for entry in oldest { mapped[entry.key] = nil }
        return oldest.map(\.value.bytes)
    }
}

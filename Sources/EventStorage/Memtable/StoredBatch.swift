import FunnelModel

/// A batch of the memtable, in the order of arrival. Its rows never move: `RowRun` sorts references to them.
final class StoredBatch: Sendable {
    let batch: EventBatch
    /// Ordinals by the batch's user codes.
    let ordinals: [UInt32]
    /// The project's name codes, by the batch's name codes.
    let names: [UInt32]

    init(_ batch: EventBatch, ordinals: [UInt32], names: [UInt32]) {
        self.batch = batch
        self.ordinals = ordinals
        self.names = names
    }

    var bytes: Int {
        let heaps = batch.users.heap.count + batch.keys.heap.count + batch.strings.heap.count + batch.ids.heap.count
        let tables = 8 * batch.users.count + 4 * (batch.keys.count + batch.strings.count)
        return heaps + tables + batch.count * 25 + batch.propertyKey.count * 13
    }

    func id(_ row: Int) -> ArraySlice<UInt8> { batch.ids.slice(row) }

    func isServerTimed(_ row: Int) -> Bool { batch.flags[row] & EventBatch.serverTimedFlag != 0 }
}

extension StoredBatch {
    /// Joins small batches, rows in the same order: a batch takes a kilobyte before its first row.
    static func joining(_ batches: ArraySlice<StoredBatch>) -> StoredBatch {
        let joined = EventBatchBuilder(batches.lazy.flatMap(\.batch.events)).finish()
        var ordinals = [UInt32](repeating: 0, count: joined.users.count)
        var names = [UInt32](repeating: 0, count: joined.names.count)
        var row = 0
        for stored in batches {
            for i in 0..<stored.batch.count {
                ordinals[Int(joined.user[row])] = stored.ordinals[Int(stored.batch.user[i])]
                names[Int(joined.name[row])] = stored.names[Int(stored.batch.name[i])]
                row += 1
            }
        }
        return StoredBatch(joined, ordinals: ordinals, names: names)
    }
}

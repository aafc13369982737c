import FunnelModel

/// The rows of one project that are not in segment files yet. A value: a copy in a view does not change.
struct Memtable: Sendable {
    /// Oldest first; each much larger than the next.
    private(set) var runs: [RowRun] = []
    /// By batch number minus `firstBatch`.
    private(set) var batches: [StoredBatch] = []
    /// Number of the first batch. Numbers wrap, so they are compared by their distance from this one. They begin near the
    /// max, so that wrapping is not a rare case.
    private(set) var firstBatch: UInt32 = .max - 200
    private(set) var rows = 0
    private(set) var bytes = 0
    private(set) var generation = 0
    /// Batches that were there at the last freeze.
    private var frozenBatches = 0
    /// How many of the newest batches in a row are small.
    private var smallBatches = 0

    /// Maximum number of small runs. Beyond it the newest two are merged, regardless of their sizes.
    private static let smallRunsMax = 8
    /// Maximum rows of a run. Appends of all projects wait while two runs are merged, so this bounds the wait.
    private static let runRows = 1 << 20
    /// Small batches in a row at which they become one.
    private static let smallBatchesMax = 256
    private static let smallRows = 64

    /// The batch of a number.
    func batch(_ number: UInt32) -> StoredBatch { batches[Int(number &- firstBatch)] }

    /// Adds a batch, and merges small runs and batches.
    mutating func add(_ stored: StoredBatch) {
        let number = firstBatch &+ UInt32(truncatingIfNeeded: batches.count)
        runs.append(RowRun.sorting(stored, number: number, generation: generation))
        batches.append(stored)
        rows += stored.batch.count
        bytes += stored.bytes + 20 * stored.batch.count
        mergeNewest()
        smallBatches = stored.batch.count <= Self.smallRows ? smallBatches + 1 : 0
        if smallBatches >= Self.smallBatchesMax { joinSmallBatches() }
    }

    private mutating func joinSmallBatches() {
        let first = max(frozenBatches, batches.count - smallBatches)
        let joined = StoredBatch.joining(batches[first...])
        var offsets: [UInt32] = []
        var row: UInt32 = 0
        for stored in batches[first...] {
            offsets.append(row)
            row += UInt32(truncatingIfNeeded: stored.batch.count)
        }
        let number = firstBatch &+ UInt32(truncatingIfNeeded: first)
        let range = number &- firstBatch
        runs = runs.map { run in
            run.batch.contains { $0 &- firstBatch >= range } ? run.moving(batchesFrom: number, first: firstBatch, to: offsets) : run
        }
        batches.replaceSubrange(first..., with: [joined])
        smallBatches = 0
    }

    /// Merges the newest runs while the one before has less than twice their rows, so that a row is merged O(log n) times.
    private mutating func mergeNewest() {
        while runs.count > 1 {
            let (older, newer) = (runs[runs.count - 2], runs[runs.count - 1])
            guard older.generation == newer.generation, older.count + newer.count <= Self.runRows else { return }
            guard older.count < 2 * newer.count || hasManySmallRuns else { return }
            runs.removeLast(2)
            runs.append(RowRun.merging(older, newer))
        }
    }

    private var hasManySmallRuns: Bool {
        let small = runs.suffix(Self.smallRunsMax + 1)
        return small.count > Self.smallRunsMax && small.allSatisfy { $0.count <= Self.runRows / 2 }
    }

    /// One memtable for the rows of each month, months ascending, in one pass. All have all batches.
    func byMonth() -> [(month: Int, rows: Memtable)] {
        var split: [Int: [RowRun]] = [:]
        for run in runs { for (month, part) in run.byMonth() { split[month, default: []].append(part) } }
        return split.sorted { $0.key < $1.key }.map { month, runs in
            var part = self
            part.runs = runs
            part.rows = runs.reduce(0) { $0 + $1.count }
            return (month, part)
        }
    }

    /// Ends the current generation, and returns what a seal has to write.
    mutating func freeze() -> Memtable {
        generation += 1
        frozenBatches = batches.count
        smallBatches = 0
        return self
    }

    /// Removes the rows of `frozen`, which are in segment files now.
    mutating func drop(_ frozen: Memtable) {
        runs.removeAll { $0.generation <= frozen.generation - 1 }
        batches.removeFirst(frozen.batches.count)
        frozenBatches = 0
        firstBatch &+= UInt32(truncatingIfNeeded: frozen.batches.count)
        rows -= frozen.rows
        bytes -= frozen.bytes
    }
}

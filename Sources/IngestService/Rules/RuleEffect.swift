import Codec
import EventRules
import FunnelModel
import FunnelProtocol

/// What normalisation rules have made of the events of a request.
package struct RuleEffect: Sendable {
    /// Indexes of events that a rule has dropped, in the order of the request.
    package var dropped: [Int] = []
    package var changed = 0
    /// Indexes of events that a rule rejects, or that have grown over a limit.
    package var rejected: [Int] = []
    /// The first rows of the slices into which the batch is cut; nil: by its size.
    package var sliceStarts: [Int]?

    /// Outcomes as metrics name them.
    static let outcomes = ["changed", "dropped", "rejected"]
    var counts: [Int] { [changed, dropped.count, rejected.count] }
}

extension ReadBatch {
    /// Applies the rules of the project. Claims stay, also those that came with events that are dropped or rejected: one
    /// entry is for equal claims of several events.
    /// - Parameter isNumbered: whether the client has numbered the request. Then it is cut as it would be without rules: a shard
    ///   recognises the slices of a retry, which may meet other rules.
    /// - Throws: `.tooLarge` if a slice has grown over a frame.
    package mutating func apply(_ tables: RuleTables, isNumbered: Bool = false) throws(ProtocolError) {
        var effect = RuleEffect()
        defer { ruled = effect }
        if tables.isEmpty { return }
        let starts = isNumbered ? batch.sliceStarts(sliceBytes: ShardRouter.sliceBytes) : nil
        let result = tables.apply(to: batch)
        effect.changed = result.changed.count
        let (index, ahead) = (index, ahead)
        // A time that is too far ahead is a fault of the event itself, which goes before the rules.
        for (row, _) in result.dropped {
            if ahead.contains(row) { rejected.append((index[row], .tooFarAhead)) } else { effect.dropped.append(index[row]) }
        }
        for (row, fault) in result.rejected {
            rejected.append((index[row], ahead.contains(row) ? .tooFarAhead : fault))
            if !ahead.contains(row) { effect.rejected.append(index[row]) }
        }
        batch = result.batch
        self.index = result.rows.map { index[$0] }
        if !ahead.isEmpty { self.ahead = Set(result.rows.indices.filter { ahead.contains(result.rows[$0]) }) }
        guard let starts else { return }
        let cut = starts.map { start in result.rows.indices.partitioningIndex { result.rows[$0] >= start } }
        effect.sliceStarts = cut
        try checkSlices(cut)
    }

    /// Bytes of a frame beside its events: the numbers of the rows, and of those that are refused.
    private static let frameReserve = 2 << 20

    private func checkSlices(_ starts: [Int]) throws(ProtocolError) {
        let most = Limits.frameBytes - Self.frameReserve
        if EventBatchCodec.estimate(batch) <= most { return }
        for (i, start) in starts.enumerated() {
            let end = i + 1 < starts.count ? starts[i + 1] : batch.count
            guard EventBatchCodec.estimate(batch.gather(Array(start..<end))) > most else { continue }
            throw ProtocolError(
                .tooLarge,
                """
                the events take more than \(most) bytes after the normalisation rules of the project; send fewer in a request; nothing was \
                stored
                """)
        }
    }
}

extension RuleEffect {
    /// Number of dropped events that the sender need not send again. The claim of another one could not be stored.
    func settled(_ outcome: AppendOutcome) -> Int {
        if dropped.isEmpty || outcome.retry.isEmpty { return dropped.count }
        return dropped.count - Set(dropped).intersection(outcome.retry).count
    }
}

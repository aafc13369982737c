import EventStorage
import FunnelMatch
import FunnelModel

extension ShardQuery {
    /// The first `limit` users of a list, by the bytes of their ids, behind `after`. The whole list is as long as the counts
    /// say.
    /// - Parameter group: only users of this row of a breakdown.
    /// - Throws: `MatchError.notUsers` where other units are counted; `.optionalStep` for those who dropped at one.
    package func listing(
        _ outcome: ListOutcome, step: Int, group: UserGroup? = nil, after: ByteString, limit: Int
    ) throws(MatchError) -> ListingScan {
        // The value of a group may stem from any step.
        let query = group == nil ? with(plan.cut(for: outcome, step: step)) : self
        return ListingScan(query, try UserList(outcome, step: step, query.plan), group, after: after, limit: limit)
    }
}

/// A page of a list of users under way; `run` may be called on several threads at once, and what they found merged.
package struct ListingScan: Sendable {
    private let query: ShardQuery
    private let list: UserList
    private let group: (rows: BreakdownScan, value: PropertyValue?)?
    private let strategy: MatchStrategy
    private let queue: SliceQueue
    private let after: ByteString
    private let limit: Int

    init(_ query: ShardQuery, _ list: UserList, _ group: UserGroup?, after: ByteString, limit: Int) {
        self.query = query
        self.list = list
        self.group = group.map { (query.breakdown($0.breakdown, times: false), $0.value) }
        self.after = after
        self.limit = limit
        strategy = MatchStrategy.choose(for: query, countsOnly: false)
        queue = SliceQueue(query, size: strategy.slicePlaces)
    }

    /// Slices; more threads than these have nothing to do. The values of a group are numbered by one thread, so that how many
    /// are too many does not depend on which thread saw them.
    package var slices: Int { group == nil ? queue.count : 1 }

    /// Takes slices until there are none left.
    /// - Parameter isCancelled: asked once a slice, and within long histories.
    /// - Returns: the first `limit` ids of these slices, ascending.
    /// - Throws: `TooManyValues`, `MatchError`, `StoreError`.
    package func run(isCancelled: () -> Bool) throws -> [ByteString] {
        var page = FirstIDs(query.view, after: after, limit: limit)
        var found: [Int] = []
        let take = { (place: Int, user: Reach) in
            if list.includes(user) { found.append(place) }
        }
        if let group {
            try group.rows.eachUser(of: group.value, isCancelled, take)
            page.add(found)
            return page.finish()
        }
        let reader = OutcomeReader(query, strategy, for: list)
        try queue.each(isCancelled) { slice in
            try reader.each(in: slice, isCancelled, take)
            page.add(found)
            found.removeAll(keepingCapacity: true)
        }
        return page.finish()
    }

    /// - Parameter pages: what each thread found.
    package func merge(_ pages: [[ByteString]]) -> [ByteString] { Array(pages.joined().sorted().prefix(limit)) }
}

import EventStorage
import FunnelMatch
import FunnelModel

extension ShardQuery {
    /// One page of a user list: the first `limit` users with ids greater than `after`, in byte order of the ids. The whole list
    /// is as long as the counts say.
    /// - Parameters:
    ///   - step: 1-based.
    ///   - group: only users of this row of a breakdown; nil is all users.
    /// - Throws: `MatchError.notUsers` if the plan counts other units; `.optionalStep` for users who dropped at an optional
    ///   step.
    package func listing(
        _ outcome: ListOutcome, step: Int, group: UserGroup? = nil, after: ByteString, limit: Int
    ) throws(MatchError) -> ListingScan {
        // The value of a group may come from any step, so none is cut off.
        let query = group == nil ? with(plan.cut(for: outcome, step: step)) : self
        return ListingScan(query, try UserList(outcome, step: step, query.plan), group, after: after, limit: limit)
    }
}

/// A running search for a page. Threads call `run` concurrently; `merge` joins their results.
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

    /// Number of slices; more threads than that have no work. For a group it is 1: whether there are too many values must not
    /// depend on which thread saw them.
    package var slices: Int { group == nil ? queue.count : 1 }

    /// Processes slices until none is left.
    /// - Parameter isCancelled: called once a slice, and within long histories.
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

    /// Joins the pages that the threads found.
    package func merge(_ pages: [[ByteString]]) -> [ByteString] { Array(pages.joined().sorted().prefix(limit)) }
}

/// Claims of a request as columns, each with the index of its record in the request.
package struct ClaimList: Sendable, Equatable {
    private var kinds: [Claim.Kind] = []
    private var children = StringTable()
    private var parents = StringTable()
    package private(set) var times: [Int64] = []
    package private(set) var indexes: [Int] = []

    package init() {}

    package var count: Int { kinds.count }
    package var isEmpty: Bool { kinds.isEmpty }

    package subscript(_ i: Int) -> Claim {
        Claim(kind: kinds[i], child: children[i], parent: parents[i], time: times[i])
    }

    /// Appends a claim. If the one before is equal, as those of one person's events in a request are, only the earlier of the two stays.
    package mutating func append(_ claim: Claim, index: Int) {
        let last = count - 1
        if last >= 0, kinds[last] == claim.kind, children.equals(last, claim.child.bytes.span),
            parents.equals(last, claim.parent.bytes.span)
        {
            return keepEarlier(claim.time, index)
        }
        children.append(claim.child)
        parents.append(claim.parent)
        append(claim.kind, claim.time, index)
    }

    /// Appends the claim of an event with both ids.
    mutating func append(_ row: borrowing ScannedRow, _ text: Span<UInt8>, index: Int) {
        let last = count &- 1
        if last >= 0, kinds[last] == .identify, children.equals(last, row.anonymous, row.scratch, text),
            parents.equals(last, row.user, row.scratch, text)
        {
            return keepEarlier(row.time, index)
        }
        children.append(row.anonymous, row.scratch, text)
        parents.append(row.user, row.scratch, text)
        append(.identify, row.time, index)
    }

    private mutating func keepEarlier(_ time: Int64, _ index: Int) {
        let last = count - 1
        guard time < times[last] else { return }
        times[last] = time
        indexes[last] = index
    }

    private mutating func append(_ kind: Claim.Kind, _ time: Int64, _ index: Int) {
        kinds.append(kind)
        times.append(time)
        indexes.append(index)
    }

    /// The claims at some places, in their order.
    package func gather(_ places: [Int]) -> ClaimList {
        var list = ClaimList()
        for i in places {
            list.children.append(children.slice(i))
            list.parents.append(parents.slice(i))
            list.append(kinds[i], times[i], indexes[i])
        }
        return list
    }

    /// Of equal claims the earliest, in the order of the list. Claims with one hash are taken for equal.
    /// - Parameter hashes: by claim.
    package func earliest(_ hashes: [UInt64], among places: some Sequence<Int>) -> ClaimList {
        var earliest: [UInt64: Int] = [:]
        for i in places {
            if let known = earliest[hashes[i]], times[known] <= times[i] { continue }
            earliest[hashes[i]] = i
        }
        return gather(earliest.values.sorted())
    }

    /// The claims as rows, in their order.
    package var rows: EventBatch { EventBatchBuilder((0..<count).lazy.map { self[$0].row }).finish() }

    /// A hash of what a claim says, without its time.
    package func hash(_ i: Int, seed: UInt64) -> UInt64 {
        let child = XXH64.hash(children.slice(i), seed: seed &+ (kinds[i] == .identify ? 0 : 1))
        return XXH64.hash(parents.slice(i), seed: child)
    }
}

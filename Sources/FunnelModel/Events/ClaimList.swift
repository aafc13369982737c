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
    package func earliest(_ hashes: [UInt64], among places: some Collection<Int>) -> ClaimList {
        // As in a request of one event.
        if count == 1, !places.isEmpty { return self }
        var earliest = [UInt64: Int](minimumCapacity: places.count)
        for i in places {
            if let known = earliest[hashes[i]], times[known] <= times[i] { continue }
            earliest[hashes[i]] = i
        }
        return earliest.count == count ? self : gather(earliest.values.sorted())
    }

    /// The claims as rows, in their order.
    package var rows: EventBatch { EventBatchBuilder((0..<count).lazy.map { self[$0].row }).finish() }

    /// By claim, a hash of what it says, without its time.
    package func hashes(seed: UInt64) -> [UInt64] {
        let (childText, parentText) = (children.heap.span, parents.heap.span)
        var hashes: [UInt64] = []
        hashes.reserveCapacity(count)
        for i in 0..<count {
            let own = seed &+ (kinds[i] == .identify ? 0 : 1)
            let child = unsafe XXH64.hash(childText.extracting(children.range(i)).bytes, seed: own)
            hashes.append(unsafe XXH64.hash(parentText.extracting(parents.range(i)).bytes, seed: child))
        }
        return hashes
    }
}

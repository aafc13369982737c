/// Chooses the neighbours to merge next, so that few files remain and a row is written few times (`SEGMENT.md`, Merge
/// selection). Only neighbours are merged, since their order says which row became durable first.
enum MergePlan {
    private static let fanIn = 4
    /// Max rows of a segment file, whose numbers have 32 bits.
    static let rowsMax = (1 << 32) - (1 << 24)
    /// Max bytes of user files that are merged: as text, which takes twice as much or a little more, their ids fit into a `StringTable`.
    static let userFileBytesMax = 3 << 29

    /// A segment file of a month, or a user file of a project.
    struct Candidate {
        /// Rows, or users.
        var weight: Int
        /// Rows, or bytes: what the limit is on.
        var size: Int
    }

    /// The merge that is due next.
    /// - Parameters:
    ///   - candidates: in order.
    ///   - base: max weight of class 0.
    ///   - most: max number of files; if there are more, the lightest neighbours are merged.
    ///   - limit: max sum of the sizes in one merge.
    /// - Returns: neighbours to merge; nil if nothing is due.
    static func next(_ candidates: [Candidate], base: Int, most: Int, limit: Int) -> Range<Int>? {
        let classes = candidates.map { candidate in
            var limit = max(1, base)
            var number = 0
            while candidate.weight > limit, number < 30 {
                limit *= fanIn
                number += 1
            }
            return number
        }
        for number in Set(classes).sorted() {
            var end = classes.count
            while end > 0 {
                var start = end
                var size = 0
                while start > 0, classes[start - 1] <= number, size + candidates[start - 1].size <= limit {
                    start -= 1
                    size += candidates[start].size
                }
                if classes[start..<end].count(where: { $0 == number }) >= fanIn { return start..<end }
                end = min(start, end - 1)
            }
        }
        guard candidates.count > most, most > 0 else { return nil }
        let count = candidates.count - most + 1
        let stretches = (0...(candidates.count - count)).map { $0..<($0 + count) }
        return stretches.filter { size(candidates[$0]) <= limit }.min { a, b in weight(candidates[a]) < weight(candidates[b]) }
    }

    /// The merge of an idle store: all files, if those beside the largest weigh a third of it or more. So idle merges write a
    /// row at most four times more, however often the store is idle.
    static func whenIdle(_ candidates: [Candidate], limit: Int) -> Range<Int>? {
        guard candidates.count > 1, let most = candidates.map(\.weight).max(), size(candidates[...]) <= limit else { return nil }
        return (weight(candidates[...]) - most) * 3 >= most ? candidates.indices : nil
    }

    /// The first neighbours that fit into one file; nil if there are none.
    static func everything(_ candidates: [Candidate], limit: Int) -> Range<Int>? {
        var start = 0
        while start + 1 < candidates.count {
            var end = start
            var size = 0
            while end < candidates.count, size + candidates[end].size <= limit {
                size += candidates[end].size
                end += 1
            }
            if end - start > 1 { return start..<end }
            start += 1
        }
        return nil
    }

    private static func size(_ candidates: ArraySlice<Candidate>) -> Int { candidates.reduce(0) { $0 + $1.size } }
    private static func weight(_ candidates: ArraySlice<Candidate>) -> Int { candidates.reduce(0) { $0 + $1.weight } }
}

/// Which neighbours to merge next, so that few remain and a row is written few times: a stretch with four or more of a
/// size class, and none of a greater, becomes one of a greater. Only neighbours, since their order tells what was durable first.
enum MergePlan {
    private static let fanIn = 4
    /// Rows of a segment, whose numbers have 32 bits.
    static let rowsMax = (1 << 32) - (1 << 24)
    /// Bytes of a user file: as text, which takes twice as much or a little more, its ids have room in a table of strings.
    static let userFileBytesMax = 3 << 29

    /// One of a month's segments, or of a project's user files.
    struct Candidate {
        /// Rows, or users.
        var weight: Int
        /// What has a limit: rows, or bytes.
        var size: Int
    }

    /// - Parameters:
    ///   - candidates: in order.
    ///   - base: what a first class holds at most.
    ///   - most: above this many some are merged in any case.
    ///   - limit: sizes together, which no merge exceeds.
    /// - Returns: neighbours to merge; nil where nothing is due.
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

    /// What is worth merging while nothing else is to do: all, where what was added weighs a third of the rest at least.
    /// So a row is written four times more at most, however often work and rest take turns.
    static func whenIdle(_ candidates: [Candidate], limit: Int) -> Range<Int>? {
        guard candidates.count > 1, let most = candidates.map(\.weight).max(), size(candidates[...]) <= limit else { return nil }
        return (weight(candidates[...]) - most) * 3 >= most ? candidates.indices : nil
    }

    /// The first neighbours that have room in one; nil where none have.
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

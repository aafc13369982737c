/// Which neighbours to merge next, so that few remain and a row is written few times: a stretch with four or more of a
/// size class, and none of a greater, becomes one of a greater. Only neighbours, since their order tells what was durable first.
enum MergePlan {
    private static let fanIn = 4

    /// - Parameters:
    ///   - weights: rows of the candidates, in order.
    ///   - base: what a first class holds at most.
    ///   - most: above this many some are merged in any case.
    /// - Returns: neighbours to merge; nil where nothing is due.
    static func next(_ weights: [Int], base: Int, most: Int) -> Range<Int>? {
        let classes = weights.map { weight in
            var limit = max(1, base)
            var number = 0
            while weight > limit, number < 30 {
                limit *= fanIn
                number += 1
            }
            return number
        }
        for number in Set(classes).sorted() {
            var end = classes.count
            while end > 0 {
                var start = end
                while start > 0, classes[start - 1] <= number { start -= 1 }
                if classes[start..<end].count(where: { $0 == number }) >= fanIn { return start..<end }
                end = start - 1
            }
        }
        guard weights.count > most, most > 0 else { return nil }
        let count = weights.count - most + 1
        return (0...(weights.count - count)).map { $0..<($0 + count) }.min { a, b in
            weights[a].reduce(0, +) < weights[b].reduce(0, +)
        }
    }

    /// What is worth merging while nothing else is to do: all, where what was added weighs a third of the rest at least.
    /// So a row is written four times more at most, however often work and rest take turns.
    static func whenIdle(_ weights: [Int]) -> Range<Int>? {
        guard weights.count > 1, let most = weights.max() else { return nil }
        return (weights.reduce(0, +) - most) * 3 >= most ? weights.indices : nil
    }
}

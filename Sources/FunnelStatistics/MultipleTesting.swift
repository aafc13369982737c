/// p-values adjusted for the number of comparisons. Nil and values outside 0...1 become nil and do not count as comparisons.
package enum MultipleTesting {
    /// Controls the family-wise error rate: the probability of any false alarm is at most the level (S. Holm, Scandinavian J.
    /// of Statistics 6, 1979, p. 65).
    package static func holm(_ pValues: [Double?]) -> [Double?] {
        var adjusted = cleared(pValues)
        let ranked = order(adjusted)
        var running = 0.0
        for (rank, (index, p)) in ranked.enumerated() {
            running = max(running, min(1, Double(ranked.count - rank) * p))
            adjusted[index] = running
        }
        return adjusted
    }

    /// Controls the false discovery rate: the expected share of false findings is at most the level (Y. Benjamini and Y.
    /// Hochberg, J. Royal Statistical Society B 57, 1995, p. 289).
    package static func benjaminiHochberg(_ pValues: [Double?]) -> [Double?] {
        var adjusted = cleared(pValues)
        let ranked = order(adjusted)
        var running = 1.0
        for (rank, (index, p)) in ranked.enumerated().reversed() {
            running = min(running, p * Double(ranked.count) / Double(rank + 1))
            adjusted[index] = running
        }
        return adjusted
    }

    private static func cleared(_ pValues: [Double?]) -> [Double?] { pValues.map { p in p.flatMap { $0 >= 0 && $0 <= 1 ? $0 : nil } } }

    private static func order(_ pValues: [Double?]) -> [(index: Int, p: Double)] {
        pValues.enumerated().compactMap { index, p in p.map { (index, $0) } }.sorted { $0.p < $1.p }
    }
}

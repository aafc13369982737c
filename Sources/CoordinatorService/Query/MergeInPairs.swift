extension Array {
    /// Merges neighbours, then the results, and so on: each element is copied log2(`count`) times, not up to `count` times. Nil
    /// without elements.
    func mergedInPairs(_ merge: (inout Element, Element) -> Void) -> Element? {
        var parts = self
        while parts.count > 1 {
            parts = stride(from: 0, to: parts.count, by: 2).map { i in
                var part = parts[i]
                if i + 1 < parts.count { merge(&part, parts[i + 1]) }
                return part
            }
        }
        return parts.first
    }
}

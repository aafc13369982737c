/// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators"): one seed, one sequence.
struct RandomNumbers {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    private mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

    /// An index, each as likely as its weight says.
    mutating func index(weights: [Int]) -> Int {
        var rest = below(weights.reduce(0, +))
        return weights.firstIndex { weight in
            rest -= weight
            return rest < 0
        } ?? 0
    }

    /// Most results are near the lower end, as most delays are short. Whole numbers, so that every machine gives the same.
    mutating func skewed(_ range: ClosedRange<Int>) -> Int {
        let part = below(1_000)
        return range.lowerBound + (range.upperBound - range.lowerBound) * (part * part * part) / 1_000_000_000
    }
}

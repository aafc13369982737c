/// A least-significant-digit radix sort with digits of eleven bits. Passes over bits in which all values agree are skipped:
/// milliseconds of a day need three of the six.
enum RadixSort {
    /// With fewer values, the counters of a pass cost more than a sort by comparison.
    private static let smallest = 2_048
    private static let digit: UInt64 = 11

    static func sort(_ values: inout [UInt64]) {
        guard values.count >= smallest else { return values.sort() }
        var all: UInt64 = 0
        var common = UInt64.max
        for value in values {
            all |= value
            common &= value
        }
        let differing = all ^ common
        var target = Array(repeating: UInt64(0), count: values.count)
        var next = Array(repeating: 0, count: 1 << Int(digit))
        for shift in stride(from: UInt64(0), to: 64, by: Int(digit)) where (differing >> shift) & (1 << digit - 1) != 0 {
            scatter(values, into: &target, digitAt: shift, &next)
            swap(&values, &target)
        }
    }

    private static func scatter(_ values: [UInt64], into target: inout [UInt64], digitAt shift: UInt64, _ next: inout [Int]) {
        let source = values.span
        var places = next.mutableSpan
        var out = target.mutableSpan
        for i in places.indices { places[i] = 0 }
        func digit(_ i: Int) -> Int { Int(truncatingIfNeeded: unsafe (source[unchecked: i] &>> shift) & (1 << Self.digit - 1)) }
        var i = 0
        while i < source.count {
            unsafe places[unchecked: digit(i)] &+= 1
            i &+= 1
        }
        var total = 0
        for i in places.indices {
            let n = places[i]
            places[i] = total
            total &+= n
        }
        i = 0
        while i < source.count {
            let place = digit(i)
            // The counters are prefix sums over all values, so all places are below the number of values.
            unsafe out[unchecked: places[unchecked: place]] = source[unchecked: i]
            unsafe places[unchecked: place] &+= 1
            i &+= 1
        }
    }
}

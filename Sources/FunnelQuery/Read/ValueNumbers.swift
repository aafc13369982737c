import FunnelModel

/// Numbers for values: equal values, equal numbers.
struct ValueNumbers {
    /// With more values than these a reader forgets them between slices: what it asks of them is of one user.
    static let kept = 1 << 16

    private var numbers: [PropertyValue: Int32] = [:]
    private(set) var values: [PropertyValue] = []

    mutating func number(of value: PropertyValue) -> Int32 {
        let value = value.canonical
        if let known = numbers[value] { return known }
        let new = Int32(truncatingIfNeeded: values.count)
        numbers[value] = new
        values.append(value)
        return new
    }
}

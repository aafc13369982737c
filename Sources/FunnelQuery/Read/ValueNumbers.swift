import FunnelModel

/// Numbers values 0, 1, 2 …; equal values have equal numbers.
struct ValueNumbers {
    /// With more values than this, a reader forgets them between slices; no number is used beyond its slice.
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

/// Walks rows of ascending clock values outward from A: the nearest first, of a tie the one not before A first, equal clock
/// values in row order.
struct NearestRows: ~Copyable {
    private let center: Int64
    /// The next row at or after A, and the end of these rows.
    private var right: Int
    private let end: Int
    /// Rows before A are in groups of equal clock values: the next row, and the bounds of its group.
    private var left: Int
    private var leftGroup: Range<Int>
    private let begin: Int

    init(_ times: [Int64], _ list: Range<Int>, to center: Int64, after low: Int64, through high: Int64) {
        self.center = center
        begin = times.firstIndex(after: low, in: list)
        end = times.firstIndex(after: high, in: begin..<list.upperBound)
        right = low >= center - 1 ? begin : times.firstIndex(after: center - 1, in: begin..<end)
        leftGroup = right..<right
        left = right
        openGroup(times, endingAt: right)
    }

    private mutating func openGroup(_ times: [Int64], endingAt end: Int) {
        let first = end > begin ? times.firstIndex(after: times[end - 1] - 1, in: begin..<end) : begin
        leftGroup = first..<max(first, end)
        left = first
    }

    mutating func next(_ times: [Int64]) -> Int? {
        let hasLeft = !leftGroup.isEmpty
        if right < end, !hasLeft || times[right] - center <= center - times[left] {
            right += 1
            return right - 1
        }
        guard hasLeft else { return nil }
        let row = left
        left += 1
        if left == leftGroup.upperBound { openGroup(times, endingAt: leftGroup.lowerBound) }
        return row
    }
}

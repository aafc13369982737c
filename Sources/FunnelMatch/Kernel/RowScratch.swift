import FunnelModel

/// One row for each user and group: the chosen attempt with its score, and the max score of the open attempts.
struct RowScratch: ~Copyable {
    var userGroup = Scratch<UInt64>()
    var best = Scratch<UInt64>()
    var open = Scratch<UInt64>()
    /// Root of the chosen attempt, by which its events are found.
    var attempt = Scratch<UInt32>()
    /// Index of its step 1 in the start list.
    var start = Scratch<UInt32>()
    var count = 0

    mutating func reserve(_ count: Int) {
        userGroup.reserve(count)
        best.reserve(count)
        open.reserve(count)
        attempt.reserve(count)
        start.reserve(count)
    }
}

import FunnelModel

/// A source of the rows of one event name.
enum RunSource: Sendable {
    /// A segment file, its number among the view's sources, and its run of the name.
    case segment(Int, Segment, RunEntry)
    /// A run of the memtable, its number among the view's sources, and its rows of the name.
    case memory(Int, RowRun, Range<Int>)

    var rows: Int {
        switch self {
        case .segment(_, _, let run): run.rows
        case .memory(_, _, let rows): rows.count
        }
    }

    func contains(_ ref: RowRef) -> Bool {
        switch self {
        case .segment(let number, _, let run): ref.source == number && run.range.contains(ref.row)
        case .memory(let number, _, let rows): ref.source == number && rows.contains(ref.row)
        }
    }
}

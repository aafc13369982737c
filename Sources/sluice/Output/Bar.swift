import FunnelModel

/// The bar of a table's line.
enum Bar {
    private static let eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]

    /// A bar of `width` columns, filled from the left in eighths of a column.
    /// - Parameter share: the filled part, 0...1.
    static func text(_ share: Double, width: Int) -> String {
        let filled = Int((min(1, max(0, share)) * Double(width * 8)).rounded())
        return (String(repeating: "█", count: filled / 8) + eighths[filled % 8]).padded(to: width)
    }
}

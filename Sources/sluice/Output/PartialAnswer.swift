import FunnelModel

/// A line for an answer that lacks shards or users: it must not pass as a whole one.
enum PartialAnswer {
    /// Nil for a whole answer.
    static func line(_ report: JSONValue) -> String? {
        let completeness = report["completeness"]
        if completeness?["exact"] == true { return nil }
        let shards = completeness?["missing"]?.asArray?.compactMap(\.asInteger).map(String.init) ?? []
        let heavy = completeness?["heavy_users"]?.asInteger ?? 0
        let missing = shards.isEmpty ? [] : ["no answer from shards \(shards.joined(separator: ", "))"]
        let left = heavy == 0 ? [] : ["\(Terminal.number(Int(heavy))) heavy users left out"]
        return "PARTIAL: " + (missing + left).joined(separator: "; ")
    }

    /// The same behind an empty line; none for a whole answer.
    static func lines(_ report: JSONValue) -> [String] { line(report).map { ["", $0] } ?? [] }
}

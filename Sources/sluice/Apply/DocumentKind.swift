/// A kind of documents in the files of `sluice apply`. The order is that of saving: references exist before what names them.
enum DocumentKind: String, CaseIterable {
    case channel, funnel, rules, alert, report, cohort

    /// Where the coordinator keeps a document.
    func path(_ id: String) -> String {
        switch self {
        case .channel: "/v1/channels/\(id)"
        case .funnel: "/v1/funnels/\(id)"
        case .rules: "/v1/rules"
        case .alert: "/v1/alerts/\(id)"
        case .report: "/v1/reports/\(id)"
        case .cohort: "/v1/cohorts/\(id)"
        }
    }
}

/// Names a document.
struct DocumentName: Hashable, Comparable, CustomStringConvertible {
    /// As text: a set can have kinds that only another release knows.
    var kind: String
    var id: String

    var description: String { "\(kind) \(id)" }

    static func < (a: Self, b: Self) -> Bool { (a.kind, a.id) < (b.kind, b.id) }
}

import FunnelModel
import FunnelProtocol

/// What a query costs, roughly and before it is asked.
extension QueryEngine {
    /// Rows times steps that a shard takes a tenth of a second for, or longer.
    private static let heavyUnits = 100_000_000
    /// A shard's answer of no more bytes is decoded at once.
    static let shortBytes = 256 << 10

    /// Whether a query takes long on each shard. As long as it is not known how many rows a project has, none does.
    func isHeavy(_ query: ResolvedQuery, _ report: PartialQuery.Report?, _ project: UInt32) -> Bool {
        guard let rows = sharedTotals.roughRows(project: project) else { return false }
        let definitions = query.segments.map(\.definition) + (query.request.previous == nil ? [] : [query.definition])
        let weight = definitions.reduce(query.definition.weight(report)) { $0 + $1.weight(nil) }
        return rows / max(1, fleet.links.count) * weight > Self.heavyUnits
    }
}

extension PartialResult {
    /// Whether to add it up, or to free it, takes milliseconds.
    var isLarge: Bool {
        let size =
            switch report {
            case .breakdown(let groups)?, .variants(let groups, _)?: groups.counts.count
            case .paths(let paths)?: paths.users.count
            case .predictors(let found)?: found.events.count + found.properties.values.reduce(0) { $0 + $1.count }
            case .trend(let buckets)?: buckets.count * counts.count
            case .entrySpan?, .between?, .explain?, .paired?, nil: 0
            }
        return size > 4_096
    }
}

extension FunnelDefinition {
    /// What a row costs: twenty times as much where one user's history after the other is matched.
    fileprivate func weight(_ report: PartialQuery.Report?) -> Int {
        let isGeneral: Bool
        switch report {
        case .paths?, .predictors?, .paired?, .variants?: isGeneral = true
        case nil, .breakdown?, .trend?, .entrySpan?, .between?, .explain?: isGeneral = !isQuick
        }
        return steps.count * (isGeneral ? 20 : 1)
    }

    /// Whether packed keys can be matched by it.
    private var isQuick: Bool {
        let isOrdered: Bool
        switch order {
        case .sequential: isOrdered = true
        case .flexible(let limit): isOrdered = limit <= clock.tick
        case .strict, .any: isOrdered = false
        }
        return isOrdered && anchor == .firstStep && steps.allSatisfy { !$0.isOptional && $0.window == nil }
    }
}

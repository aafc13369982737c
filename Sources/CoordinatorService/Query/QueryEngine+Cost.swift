import FunnelModel
import FunnelProtocol

/// Estimates of the cost of a query, before it runs.
extension QueryEngine {
    /// Rows times steps above which a query is heavy: a shard takes 100 ms or longer.
    private static let heavyUnits = 100_000_000
    /// Max bytes of a shard's answer that is decoded on the calling thread.
    static let shortBytes = 256 << 10

    /// Whether a query takes long on each shard. False while the number of the project's rows is not known.
    func isHeavy(_ query: ResolvedQuery, _ report: PartialQuery.Report?, _ project: UInt32) -> Bool {
        guard let rows = sharedTotals.roughRows(project: project) else { return false }
        let definitions = query.segments.map(\.definition) + (query.request.previous == nil ? [] : [query.definition])
        let weight = definitions.reduce(query.definition.weight(report)) { $0 + $1.weight(nil) }
        return rows / max(1, fleet.links.count) * weight > Self.heavyUnits
    }
}

extension PartialResult {
    /// Whether merging or freeing it takes milliseconds.
    var isLarge: Bool {
        let size =
            switch report {
            case .breakdown(let groups)?, .variants(let groups, _)?: groups.count
            case .paths(let paths)?: paths.users.count
            case .predictors(let found)?: found.events.count + found.properties.values.reduce(0) { $0 + $1.count }
            case .trend(let buckets)?: buckets.count * counts.count
            case .entrySpan?, .between?, .explain?, .paired?, nil: 0
            }
        return size > 4_096
    }
}

extension FunnelDefinition {
    /// The cost of a row: the number of steps, times 20 if each user's history is matched by the general matcher.
    fileprivate func weight(_ report: PartialQuery.Report?) -> Int {
        let isGeneral: Bool
        switch report {
        case .paths?, .predictors?, .paired?, .variants?: isGeneral = true
        case nil, .breakdown?, .trend?, .entrySpan?, .between?, .explain?: isGeneral = !isQuick
        }
        return steps.count * (isGeneral ? 20 : 1)
    }

    /// Whether the kernels over packed keys can match it.
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

import FunnelModel
import FunnelProtocol
import ServiceRuntime

extension QueryEngine {
    /// The second round of a breakdown (`Protocol/PROTOCOL.md` section 11). If shards left out groups that could be among the rows,
    /// this asks all shards that answered once more, and replaces their first answers.
    /// - Throws: also if a shard does not answer the second time, since the result would not be exact.
    func settle(
        _ asked: BreakdownRequest, _ query: ResolvedQuery, _ results: inout Gathered<[PartialResult]>, _ project: UInt32,
        _ start: ContinuousClock.Instant
    ) async throws {
        let groups = results.answers.compactMap { answer -> ValueGroups? in
            if case .breakdown(let groups)? = answer[0].report { groups } else { nil }
        }
        if groups.allSatisfy({ $0.untold.values == 0 }) { return }
        let (found, values) = try await aside.run(project) {
            let whole = groups.mergedInPairs { $0.merge($1) } ?? ValueGroups(steps: query.definition.steps.count)
            return (whole.question(for: asked.rows, shards: groups.count), whole.count + whole.untold.values)
        }
        guard let share = found else { return }
        if share == .all, values > Limits.wholeGroups {
            let reason = """
                "\(asked.breakdown.property.string)" has more than \(Limits.wholeGroups) values on all shards together, too many of \
                equal size to find the largest; break down by a coarser property
                """
            throw ProtocolError(.invalidQuery, "breakdown.property: \(reason)", faults: [FieldFault("breakdown.property", reason)])
        }
        let second = try await askAll(query, project, start, without: Set(results.missing.map(\.shard.id))) {
            [query.partial(.breakdown(asked.breakdown, share), buckets: $0)]
        }
        _ = try judge(second.missing, newest: nil, false)
        for (i, answer) in second.answers.enumerated() { results.answers[i][0] = answer[0] }
    }
}

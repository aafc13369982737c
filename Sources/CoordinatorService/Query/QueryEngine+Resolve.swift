import FunnelModel
import FunnelProtocol

extension QueryEngine {
    /// Looks up every saved funnel that a query names. Throws if one is not saved, or lacks the step of a cohort.
    func resolve(_ request: QueryRequest, _ project: UInt32) async throws -> ResolvedQuery {
        let definition = try await self.definition(request.subject, request, project, field: "funnel_id")
        var query = ResolvedQuery(request: request, definition: definition)
        if let cohort = request.cohort { query.cohorts = [try await self.cohort(cohort, project)] }
        for (i, segment) in request.segments.enumerated() {
            var cohorts = query.cohorts
            if let cohort = segment.cohort { cohorts.append(try await self.cohort(cohort, project)) }
            let narrowed = try segment.narrowing(definition, field: "segments[\(i)].where")
            query.segments.append(.init(name: segment.name, definition: narrowed, cohorts: cohorts))
        }
        if case .funnels(let funnels)? = request.variants {
            query.second = try await self.definition(funnels[1].subject, request, project, field: funnels[1].path + "funnel_id")
        }
        return query
    }

    /// The funnel of a subject, with the query's own `count_by` and `session_gap`.
    private func definition(
        _ subject: QueryRequest.Subject, _ request: QueryRequest, _ project: UInt32, field: String
    ) async throws -> FunnelDefinition {
        let definition: FunnelDefinition
        switch subject {
        case .definition(let inline): definition = inline
        case .defaultFunnel: definition = try await savedFunnels.defaultFunnel(project: project)
        case .saved(let id): definition = try await saved(id, project, field: field)
        }
        return try definition.overriding(countBy: request.countBy, sessionGap: request.sessionGap)
    }

    private func cohort(_ request: CohortRequest, _ project: UInt32) async throws -> Cohort {
        try request.cohort(of: try await saved(request.funnelID, project, field: request.path + "funnel_id"))
    }

    private func saved(_ id: ByteString, _ project: UInt32, field: String) async throws -> FunnelDefinition {
        if let saved = try await savedFunnels.get(id, project: project) { return saved.definition }
        let reason = "no funnel is saved as \"\(id.string.prefix(Limits.funnelIDBytes))\""
        throw ProtocolError(.unknownFunnel, reason, faults: [FieldFault(field, reason)])
    }
}

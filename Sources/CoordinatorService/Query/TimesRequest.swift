import FunnelModel

/// The body of `POST /v1/query/times`: a query, and two steps.
struct TimesRequest: Sendable {
    var query: QueryRequest
    /// Nil = the first step.
    var from: StepName?
    /// Nil = the last step.
    var to: StepName?
    /// Max bars of the histogram.
    var bins: Int

    static func parse(_ document: JSONValue, now: Int64) throws(InvalidDocument) -> TimesRequest {
        var reader = FieldReader(document)
        var request = TimesRequest(query: QueryRequest.readAlone(&reader, now: now), bins: 20)
        request.query.times = false
        request.from = StepName.read(&reader, "from")
        request.to = StepName.read(&reader, "to")
        request.bins = Int(reader.integer("bins", in: 5...100) ?? 20)
        reader.rejectUnknown()
        guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return request
    }

    /// The numbers of the steps, from 1. Throws if a step is not in the funnel or `to` is not after `from`.
    func steps(of definition: FunnelDefinition) throws(InvalidDocument) -> (from: Int, to: Int) {
        let from = try from?.position(in: definition, field: "from") ?? 1
        let to = try to?.position(in: definition, field: "to") ?? definition.steps.count
        guard from < to else { throw InvalidDocument([FieldFault("to", "must be a step after step \(from)")]) }
        return (from, to)
    }
}

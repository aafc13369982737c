import FunnelModel
import FunnelProtocol

/// The body of `POST /v1/query/predictors`: a query, and the step to predict.
package struct PredictorsRequest: Sendable {
    let query: QueryRequest
    /// Nil = the last step.
    private let step: StepName?
    /// Nil = the nearest required step before `step`.
    private let of: StepName?
    private let properties: Bool
    /// Max predictors shown.
    let rows: Int
    /// Min users with an event or value for it to be tested.
    let usersMin: Int

    /// Reads and checks the body; throws all faults at once. `now`, in microseconds, is the default of `as_of`.
    package static func parse(_ document: JSONValue, now: Int64) throws(InvalidDocument) -> PredictorsRequest {
        var reader = FieldReader(document)
        let query = QueryRequest.readAlone(&reader, now: now)
        let step = readStep(&reader, "step")
        let of = readStep(&reader, "of")
        let properties = reader.bool("properties") ?? true
        let rows = reader.integer("k", in: 1...Int64(Limits.predictorRows)) ?? 20
        let usersMin = reader.integer("min_users", in: 1...1_000_000) ?? 10
        reader.rejectUnknown()
        guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return PredictorsRequest(query: query, step: step, of: of, properties: properties, rows: Int(rows), usersMin: Int(usersMin))
    }

    private static func readStep(_ reader: inout FieldReader, _ key: ByteString) -> StepName? {
        guard let value = reader.value(key) else { return nil }
        if let step = StepName(value) { return step }
        reader.faultAt(key, "must be a step's number from 1, or its name")
        return nil
    }

    /// The question to shards about a funnel. Throws if the funnel does not count users or lacks the steps.
    package func question(for definition: FunnelDefinition) throws(InvalidDocument) -> PredictorQuestion {
        try definition.checkCountsUsers()
        let step = try self.step?.position(in: definition, field: "step") ?? definition.steps.count
        guard step > 1 else { throw InvalidDocument([FieldFault("step", "must be after step 1, which all users have done")]) }
        let of = try self.of?.position(in: definition, field: "of") ?? definition.requiredStep(before: step)
        guard of < step else { throw InvalidDocument([FieldFault("of", "must be a step before step \(step)")]) }
        return PredictorQuestion(step: step, of: of, properties: properties)
    }
}

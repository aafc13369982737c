import FunnelModel

/// The body of `POST /v1/query/explain`: a query, and one user.
struct ExplainRequest: Sendable {
    var query: QueryRequest
    var user: ByteString

    static func parse(_ document: JSONValue, now: Int64) throws(InvalidDocument) -> ExplainRequest {
        var reader = FieldReader(document)
        var query = QueryRequest.readAlone(&reader, now: now)
        query.times = false
        let user = reader.string("user_id")
        if user == nil, reader.value("user_id") == nil { reader.faultAt("user_id", "is required") }
        if let user, !(1...Limits.userIDBytes).contains(user.count) {
            reader.faultAt("user_id", "must have 1 to \(Limits.userIDBytes) bytes")
        }
        reader.rejectUnknown()
        guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return ExplainRequest(query: query, user: user ?? "")
    }

    func check(against definition: FunnelDefinition) throws(InvalidDocument) {
        guard definition.countBy == .users else {
            throw InvalidDocument([FieldFault("count_by", "must be users to explain a user")])
        }
    }
}

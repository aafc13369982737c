import FunnelModel

/// The body of `POST /v1/query/times`: a query, and two steps.
struct TimesRequest: Sendable {
    var query: QueryRequest
    /// Nil is the first step.
    var from: StepName?
    /// Nil is the last.
    var to: StepName?
    /// Bars of the histogram, at most.
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

    /// Numbers from 1.
    func steps(of definition: FunnelDefinition) throws(InvalidDocument) -> (from: Int, to: Int) {
        let from = try from?.position(in: definition, field: "from") ?? 1
        let to = try to?.position(in: definition, field: "to") ?? definition.steps.count
        guard from < to else { throw InvalidDocument([FieldFault("to", "must be a step after step \(from)")]) }
        return (from, to)
    }
}

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
            throw InvalidDocument([FieldFault("count_by", "one user is explained; ask with count_by users")])
        }
    }
}

extension UserGroup {
    /// `"group": {"property", "touch", "value"}` of a request.
    static func read(_ reader: inout FieldReader) -> UserGroup? {
        guard let asked = reader.value("group") else { return nil }
        var inner = FieldReader(asked, path: reader.path + "group.")
        defer { reader.merge(inner.faults) }
        let breakdown = BreakdownRequest.readBreakdown(&inner)
        var value: PropertyValue?
        switch inner.value("value") {
        case nil:
            // Null is the row of users without a value, and is asked for in so many letters.
            let isGiven = asked.asObject?.contains { $0.key == "value" } ?? true
            if !isGiven { inner.faultAt("value", "is required: a value of the breakdown, or null") }
        case .string(let text)?: value = .string(text)
        case .integer(let number)?: value = .integer(number)
        case .double(let number)?: value = .double(number)
        case .bool(let flag)?: value = .bool(flag)
        case .some(let other): inner.faultAt("value", "must be a string, number, boolean or null, not \(other.typeName)")
        }
        if case .string(let text)? = value, text.count > Limits.propertyValueBytes {
            inner.faultAt("value", "is longer than the \(Limits.propertyValueBytes) bytes that a value can have")
        }
        inner.rejectUnknown()
        guard let breakdown, inner.faults.isEmpty else { return nil }
        return UserGroup(breakdown, value: value)
    }
}

import FunnelModel
import FunnelProtocol

/// The body of `POST /v1/query/users`: a query, and which of its users.
struct UsersRequest: Sendable {
    enum StepName: Sendable {
        case index(Int)
        case name(ByteString)
    }

    var query: QueryRequest
    var step: StepName
    var outcome: ListOutcome
    var limit: Int
    var after: ByteString

    static func parse(_ document: JSONValue, now: Int64) throws(InvalidDocument) -> UsersRequest {
        var reader = FieldReader(document)
        let query = QueryRequest.read(&reader, now: now)
        var step = StepName.index(1)
        switch reader.value("step") {
        case .integer(let index)? where (1...Int64(Limits.stepsPerFunnel)).contains(index): step = .index(Int(index))
        case .string(let name)?: step = .name(name)
        case nil: reader.faultAt("step", "is required: a step's number from 1, or its name")
        default: reader.faultAt("step", "must be a step's number from 1, or its name")
        }
        let outcome: ListOutcome? = reader.choice("outcome")
        let limit = reader.integer("limit", in: 1...Int64(Limits.userListPage)) ?? 1_000
        let after = reader.string("after") ?? ""
        if after.count > Limits.userIDBytes { reader.faultAt("after", "is longer than a user id can be") }
        reader.rejectUnknown()
        guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return UsersRequest(query: query, step: step, outcome: outcome ?? .reached, limit: Int(limit), after: after)
    }

    /// The step's number in `definition`; a name stands for its first place.
    func position(in definition: FunnelDefinition) throws(InvalidDocument) -> Int {
        var found: Int?
        switch step {
        case .index(let index): found = index <= definition.steps.count ? index : nil
        case .name(let name): found = definition.steps.firstIndex { $0.name == name }.map { $0 + 1 }
        }
        guard let found else { throw InvalidDocument([FieldFault("step", "is not a step of this funnel, which has \(definition.steps.count)")]) }
        if outcome == .dropped, found == 1 { throw InvalidDocument([FieldFault("outcome", "nobody can drop before step 1")]) }
        return found
    }
}

struct UsersPage: Sendable {
    var users: [ByteString]
    /// To be given as `after` for the next page; nil at the end.
    var next: ByteString?
    var asOf: Int64
    var completeness: Completeness

    /// - Parameter withUsers: false where the ids travel apart.
    func json(withUsers: Bool) -> JSONValue {
        let list: [JSONValue.Member] = withUsers ? [.init("users", .array(users.map { .string($0) }))] : []
        return .object(
            list + [
                .init("next", next.map { .string($0) } ?? .null), .init("as_of", .text(Timestamp.format(asOf))),
                .init("completeness", completeness.listJSON),
            ])
    }
}

import FunnelModel
import FunnelProtocol

/// The body of `POST /v1/query/users`: a query, and which of its users to list.
struct UsersRequest: Sendable {
    var query: QueryRequest
    var step: StepName
    var outcome: ListOutcome
    /// Only users of this row of a breakdown.
    var group: UserGroup?
    var limit: Int
    var after: ByteString

    static func parse(_ document: JSONValue, now: Int64) throws(InvalidDocument) -> UsersRequest {
        var reader = FieldReader(document)
        let query = QueryRequest.read(&reader, now: now)
        let step = StepName.readRequired(&reader) ?? .index(1)
        let outcome: ListOutcome? = reader.choice("outcome")
        let group = UserGroup.read(&reader)
        let limit = reader.integer("limit", in: 1...Int64(Limits.userListPage)) ?? 1_000
        let after = reader.string("after") ?? ""
        if after.count > Limits.userIDBytes { reader.faultAt("after", "is longer than a user id can be") }
        reader.rejectUnknown()
        guard reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return UsersRequest(
            query: query, step: step, outcome: outcome ?? .reached, group: group, limit: Int(limit), after: after)
    }

    /// The step's number in `definition`, from 1. Throws if it has no such step, or users can't drop there.
    func position(in definition: FunnelDefinition) throws(InvalidDocument) -> Int {
        let position = try step.position(in: definition, field: "step")
        try group?.breakdown.check(against: definition, "group.touch")
        if outcome == .dropped || outcome == .open, let reason = definition.noDropReason(step: position) {
            throw InvalidDocument([FieldFault("outcome", reason)])
        }
        return position
    }
}

struct UsersPage: Sendable {
    var users: [ByteString]
    /// The value of `after` for the next page; nil at the end.
    var next: ByteString?
    var asOf: Int64
    var completeness: Completeness

    /// `withUsers` is false if the ids are sent in frames of their own.
    func json(withUsers: Bool) -> JSONValue {
        let list: [JSONValue.Member] = withUsers ? [.init("users", .array(users.map { .string($0) }))] : []
        return .object(
            list + [
                .init("next", next.map { .string($0) } ?? .null), .init("as_of", .text(Timestamp.format(asOf))),
                .init("completeness", completeness.listJSON),
            ])
    }
}

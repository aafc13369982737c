import FunnelModel

/// A parameter of a URL that sets a member of a report's request.
struct URLParameter: Sendable {
    enum Kind: Sendable {
        case text
        case flag
        case number
        /// A step's number from 1, or else its name.
        case step
        /// Two of them, separated by a comma.
        case twoSteps
    }

    let name: ByteString
    let kind: Kind
    /// The object of the request that has the member; nil is the request itself.
    let object: ByteString?
    /// The name of the member.
    let member: ByteString

    init(_ name: ByteString, _ kind: Kind = .text, in object: ByteString? = nil, as member: ByteString? = nil) {
        self.name = name
        self.kind = kind
        self.object = object
        self.member = member ?? name
    }

    /// The member's field in faults.
    private var field: String { (object.map { $0.string + "." } ?? "") + member.string }

    /// Those of every report.
    static let ofQuery = [
        URLParameter("start"), URLParameter("end"), URLParameter("time_zone"), URLParameter("as_of"), URLParameter("allow_partial", .flag),
        URLParameter("heavy_users"), URLParameter("deadline"), URLParameter("count_by"), URLParameter("session_gap"),
    ]

    /// The request for a saved funnel that parameters stand for. Adds faults of their values; those of the request come later.
    static func document(_ parameters: [URLParameter], funnel id: ByteString, _ reader: inout FieldReader) -> JSONValue {
        var members: [JSONValue.Member] = [.init("funnel_id", .string(id))]
        for parameter in parameters {
            guard let value = parameter.read(&reader) else { continue }
            let member = JSONValue.Member(parameter.member, value)
            guard let object = parameter.object else {
                members.append(member)
                continue
            }
            if let place = members.firstIndex(where: { $0.key == object }) {
                members[place].value = .object((members[place].value.asObject ?? []) + [member])
            } else {
                members.append(.init(object, .object([member])))
            }
        }
        return .object(members)
    }

    /// Nil if the parameter is absent or at fault.
    private func read(_ reader: inout FieldReader) -> JSONValue? {
        if kind == .flag { return reader.flag(name).map { .bool($0) } }
        guard let text = reader.string(name) else { return nil }
        switch kind {
        case .text, .flag: return .string(text)
        case .number:
            if let number = Int64(text.string) { return .integer(number) }
            reader.faultAt(name, "must be an integer; \"\(text.string.prefix(40))\" is not")
            return nil
        case .step: return Self.step(text.string)
        case .twoSteps:
            let steps = text.string.split(separator: ",", omittingEmptySubsequences: false)
            if steps.count == 2 { return .array(steps.map { Self.step(String($0)) }) }
            reader.faultAt(name, "must be two steps separated by a comma, such as 1,3; \"\(text.string.prefix(40))\" is not")
            return nil
        }
    }

    private static func step(_ text: String) -> JSONValue { Int64(text).map { .integer($0) } ?? .text(text) }

    /// Faults of a request as those of the parameters that it was made of.
    static func renamed(_ error: InvalidDocument, _ parameters: [URLParameter]) -> InvalidDocument {
        InvalidDocument(
            error.faults.map { fault in
                guard let parameter = parameters.first(where: { $0.field == fault.field }) else { return fault }
                return FieldFault(parameter.name.string, fault.reason)
            })
    }
}

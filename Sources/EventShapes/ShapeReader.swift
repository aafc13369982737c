import FunnelModel
import TimeZones

/// Converts documents of a shape to native events, `{"user_id", "anonymous_id", "event_type", "timestamp", "event_id", "properties"}`,
/// which `EventReader` then checks.
package struct ShapeReader: Sendable {
    package let shape: EventShape
    /// Whether documents are native events without conversion.
    package let isNative: Bool
    private var times: TimeReader

    /// A native event, and whether its user id is the anonymous one.
    package struct Reading: Sendable {
        package var event: JSONValue
        package var isAnonymous: Bool
    }

    /// A reader of a shape; `clock` is the zone of times without one, nil is UTC.
    package init(_ shape: EventShape, clock: LocalClock?) {
        self.shape = shape
        isNative = shape.isNative && clock == nil
        times = TimeReader(format: shape.timeFormat, clock: clock)
    }

    /// Converts a document.
    /// - Parameter text: the text that `document` was parsed from in `range`, for numbers that a double cannot represent.
    package mutating func read(_ document: JSONValue, text: [UInt8] = [], _ range: Range<Int> = 0..<0) throws(EventFault) -> Reading {
        guard let given = document.asObject else { throw EventFault("", "the line must be a JSON object, not \(document.typeName)") }
        var members = given
        var texts: [ByteString: [UInt8]] = [:]
        for name in shape.jsonText { texts[name] = try parseText(of: name, in: &members) }
        let whole = shape.jsonText.isEmpty ? document : JSONValue.object(members)

        let user = try id(of: shape.user, in: whole, text, range)
        // A record with a user does not need the other id, so one that cannot be an id is ignored.
        let anonymous =
            user == nil ? try id(of: shape.anonymous, in: whole, text, range) : try? id(of: shape.anonymous, in: whole, text, range)
        if user == nil, anonymous == nil {
            throw EventFault("user_id", "is missing or empty; the record has \(Self.names(members))", "missing")
        }
        var native: [JSONValue.Member] = [.init("properties", .object(try properties(members)))]
        if let user = user ?? anonymous { native.append(.init("user_id", user)) }
        if user != nil, let anonymous { native.append(.init("anonymous_id", anonymous)) }
        if let name = first(of: shape.event, in: whole)?.value { native.append(.init("event_type", name)) }
        if let found = first(of: shape.time, in: whole) {
            let exact =
                if let inner = found.steps.first.flatMap({ texts[$0] }) {
                    JSONElements.exactly(found.value, at: Array(found.steps.dropFirst()), in: inner, 0..<inner.count) ?? found.value
                } else {
                    JSONElements.exactly(found.value, at: found.steps, in: text, range) ?? found.value
                }
            native.append(.init("timestamp", try times.native(exact)))
        }
        if let id = try id(of: shape.id, in: whole, text, range) { native.append(.init("event_id", id)) }
        return Reading(event: .object(native), isAnonymous: user == nil && anonymous != nil)
    }

    /// The document with the members whose text is JSON as values.
    package func parsed(_ document: JSONValue) throws(EventFault) -> JSONValue {
        guard !shape.jsonText.isEmpty, var members = document.asObject else { return document }
        for name in shape.jsonText { _ = try parseText(of: name, in: &members) }
        return .object(members)
    }

    // MARK: - Fields

    /// The first value that is neither absent, null nor the empty text.
    private func first(of paths: [MemberPath], in document: JSONValue) -> (value: JSONValue, steps: [ByteString])? {
        for path in paths {
            if let found = path.value(in: document), found.value != .null, found.value != .string("") { return found }
        }
        return nil
    }

    /// An id as text; integers of any length become their digits.
    private func id(
        of paths: [MemberPath], in document: JSONValue, _ text: [UInt8], _ range: Range<Int>
    ) throws(EventFault) -> JSONValue? {
        guard let (value, steps) = first(of: paths, in: document) else { return nil }
        let exact = JSONElements.exactly(value, at: steps, in: text, range) ?? value
        if exact != value, exact.asString?.bytes.contains(UInt8(ascii: ".")) == false { return exact }
        switch value {
        case .string: return value
        case .integer(let number): return .text(String(number))
        default:
            let name = steps.map(\.string).joined(separator: ".")
            throw EventFault(name, "must be text or an integer, not \(value.typeName == "a number" ? "a fraction" : value.typeName)")
        }
    }

    private static func names(_ members: [JSONValue.Member]) -> String {
        let shown = members.prefix(20).map { "\"\($0.key.string.prefix(60))\"" }.joined(separator: ", ")
        return members.isEmpty ? "no members" : members.count > 20 ? shown + ", …" : shown
    }

    // MARK: - Properties

    /// Replaces a member's text by the JSON value parsed from it.
    /// - Returns: the text; nil if the member has none.
    private func parseText(of name: ByteString, in members: inout [JSONValue.Member]) throws(EventFault) -> [UInt8]? {
        var found: [UInt8]?
        for i in members.indices where members[i].key == name {
            guard let text = members[i].value.asString else { continue }
            if text.bytes.allSatisfy({ $0 <= 32 }) {
                members[i].value = .null
                continue
            }
            do {
                members[i].value = try JSONParser.parse(text.bytes)
                found = text.bytes
            } catch {
                throw EventFault(name.string, error.description)
            }
        }
        return found
    }

    /// The properties: all members that are no fields. Later ones win, so those that win are last.
    private func properties(_ members: [JSONValue.Member]) throws(EventFault) -> [JSONValue.Member] {
        var rest = members
        for paths in [shape.user, shape.anonymous, shape.time, shape.id] {
            for path in paths { path.remove(from: &rest) }
        }
        if !shape.keepsOtherEventNames {
            for path in shape.event { path.remove(from: &rest) }
        } else if let name = first(of: shape.event, in: .object(members)) {
            MemberPath(steps: name.steps).remove(from: &rest)
        }
        if !shape.leftOut.isEmpty { rest.removeAll { shape.leftOut.contains($0.key) } }
        var winners: [JSONValue.Member] = []
        for name in shape.spread {
            for member in rest where member.key == name {
                switch member.value {
                case .object(let inner): winners += inner
                case .null: break
                default: throw EventFault(name.string, "must be an object, not \(member.value.typeName)")
                }
            }
            rest.removeAll { $0.key == name }
        }
        var weak: [JSONValue.Member] = []
        for list in shape.parameterLists {
            for member in rest where member.key == list.name {
                let read = try parameters(member.value, list)
                if list.wins { winners += read } else { weak += read }
            }
            rest.removeAll { $0.key == list.name }
        }
        return weak + rest + winners
    }

    private func parameters(_ value: JSONValue, _ list: EventShape.ParameterList) throws(EventFault) -> [JSONValue.Member] {
        if value == .null { return [] }
        guard let entries = value.asArray else { throw EventFault(list.name.string, "must be a list, not \(value.typeName)") }
        var members: [JSONValue.Member] = []
        for entry in entries {
            guard let key = entry["key"]?.asString else { throw EventFault(list.name.string, "an entry has no \"key\"") }
            members.append(.init(ByteString(list.prefix.bytes + key.bytes), Self.parameter(entry["value"])))
        }
        return members
    }

    /// The value of an entry. BigQuery writes 64-bit integers as text.
    private static func parameter(_ value: JSONValue?) -> JSONValue {
        for name in ["string_value", "int_value", "float_value", "double_value"] as [ByteString] {
            guard let found = value?[name], found != .null else { continue }
            if name != "string_value", let text = found.asString {
                return (try? JSONParser.parse(text.bytes)).flatMap { $0.asDouble == nil ? nil : $0 } ?? found
            }
            return found
        }
        return .null
    }
}

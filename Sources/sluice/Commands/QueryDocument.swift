import ArgumentParser
import FunnelModel
import FunnelProtocol
import ServiceRuntime

/// The JSON document of a query, and the option that each of its fields comes from: an error of the coordinator then names the option.
struct QueryDocument {
    private var members: [JSONValue.Member] = []
    private var options: [(field: String, option: String)] = []

    func encode() -> [UInt8] { JSONValue.object(members).encode() }

    /// Replaces the member if there is one of this name.
    mutating func set(_ key: ByteString, _ value: JSONValue, by option: String? = nil) {
        members.removeAll { $0.key == key }
        members.append(.init(key, value))
        if let option { name(key.string, by: option) }
    }

    /// The definition, if the command gives one; nil for a saved funnel.
    var funnel: JSONValue? { members.first { $0.key == "funnel" }?.value }

    /// Records the option that gave a field, such as `funnel.clock`.
    mutating func name(_ field: String, by option: String) { options.append((field, option)) }

    /// An error of the coordinator, its faults by option.
    /// - Parameter hint: what to do about it, if that is known.
    func failure(_ error: ProtocolError, _ hint: String?) -> Failure {
        var named = error
        let faults = error.faults.filter { $0 != FieldFault("funnel_id", error.message) }
        named.faults = faults.map { FieldFault(place(of: $0.field), $0.reason) }
        if error.code == .invalidQuery, !named.faults.isEmpty { named.message = "the coordinator rejects the query:" }
        if error.code == .unknownFunnel { named.message += "; sluice funnels list shows the saved ones" }
        if let hint { named.message = error.code == .unknownKind ? hint : "\(named.message); \(hint)" }
        return Failure(named)
    }

    /// The option that gave a field, with the field itself if it is only a part of what the option gave.
    private func place(of field: String) -> String {
        if let (_, option) = options.last(where: { $0.field == field }) { return option }
        let whole = options.last { field.hasPrefix($0.field + ".") || field.hasPrefix($0.field + "[") }
        return whole.map { "\($0.option) (\(field))" } ?? field
    }

    /// A step by its number from 1, or else its name.
    static func step(_ text: String) -> JSONValue { Int(text).map { .count($0) } ?? .text(text) }

    /// The members of the JSON object in a file.
    static func members(ofFile file: String, option: String) throws -> [JSONValue.Member] {
        guard let bytes = DurableFile.read(file) else { throw Failure("\(option): cannot read \(file)") }
        do throws(JSONError) {
            if let object = try JSONParser.parse(bytes).asObject { return object }
        } catch {
            throw Failure("\(option) \(file): \(error)")
        }
        throw Failure("\(option) \(file) must hold one JSON object")
    }
}

extension ParsableArguments {
    /// Throws an error that names the option, unless its number is in the range.
    func checkNumber(_ option: String, _ number: Int?, in range: ClosedRange<Int>) throws {
        guard let number, !range.contains(number) else { return }
        throw ValidationError(
            "\(option) must be \(Terminal.number(range.lowerBound)) to \(Terminal.number(range.upperBound)), not \(number)")
    }
}

import FunnelModel
import FunnelProtocol

/// A project: its number, and what people call it.
package struct Project: Equatable, Sendable {
    package var number: UInt32
    package var name: String
    /// Seconds since 1970.
    package var created: Int64
    package var settings: ProjectSettings

    package init(number: UInt32, name: String, created: Int64, settings: ProjectSettings = ProjectSettings()) {
        self.number = number
        self.name = name
        self.created = created
        self.settings = settings
    }

    /// The name of a project that nobody has named.
    static func usualName(_ number: UInt32) -> String { "project \(number)" }

    var value: [UInt8] {
        JSONValue.object([
            .init("name", .text(name)), .init("created", .integer(created)), .init("settings", settings.json),
        ]).encode()
    }

    /// A project as stored. What is damaged is replaced by what a project without a name has, since its number must stay taken.
    init(number: UInt32, value: [UInt8]) {
        let document = (try? JSONParser.parse(value)) ?? .null
        self.init(
            number: number, name: document["name"]?.asString?.string ?? Self.usualName(number),
            created: document["created"]?.asInteger ?? 0, settings: ProjectSettings(stored: document["settings"] ?? [:]))
    }
}

/// The settings of a project. This release knows none.
package struct ProjectSettings: Equatable, Sendable {
    /// Members that a later release has stored.
    private var others: [JSONValue.Member] = []

    package init() {}

    /// Settings as a client sent them. An unknown one is a fault of the field `settings`.
    package init(_ value: JSONValue, faults: inout [FieldFault]) {
        var reader = FieldReader(value, path: "settings.")
        reader.rejectUnknown("setting")
        faults += reader.faults
    }

    init(stored value: JSONValue) { others = value.asObject ?? [] }

    package var json: JSONValue { .object(others) }
}

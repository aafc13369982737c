import FunnelModel
import FunnelProtocol
import Metadata

/// The body of `POST /v1/projects` and of `PUT /v1/projects/{id}`.
package struct ProjectRequest: Equatable, Sendable {
    package var name: String
    package var settings: ProjectSettings

    package static let bytesMax = 16 << 10

    /// Reads a body. Throws all faults at once.
    package static func parse(_ document: JSONValue) throws(InvalidDocument) -> ProjectRequest {
        var reader = FieldReader(document)
        let before = reader.faults.count
        let name = AccessName.read("name", limit: Limits.projectNameBytes, &reader)
        if name == nil, reader.faults.count == before { reader.fault("name", "is required") }
        var faults: [FieldFault] = []
        let settings = reader.value("settings").map { ProjectSettings($0, faults: &faults) } ?? ProjectSettings()
        reader.merge(faults)
        reader.rejectUnknown()
        guard let name, reader.faults.isEmpty else { throw InvalidDocument(reader.faults) }
        return ProjectRequest(name: name, settings: settings)
    }
}

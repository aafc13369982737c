import FunnelModel
import FunnelProtocol

/// Why a change of API keys, projects or saved documents is not made. Only over HTTP: these errors have no code of the binary protocol.
package enum AccessRefusal: Error, Equatable, CustomStringConvertible {
    case unknownKey
    case unknownProject(String)
    case nameTaken(String)
    case keysOfProject(UInt32)
    case keysOfCluster
    case keyListBytes
    case keyListBytesOfProject(UInt32)
    case projects
    case ruleListBytes
    /// No document of the kind is saved under the id.
    case unknownDocument(String)
    /// The project has as many documents of the kind as it may.
    case documents(String, Int)
    /// The environment has no API keys.
    case keysNeeded

    package var description: String {
        switch self {
        // Without the id, in whose place someone may have sent a key.
        case .unknownKey: "no API key of this project has this id"
        case .unknownProject(let number): "there is no project \(ProtocolError.cut(number, to: 64).string)"
        // Without the number: the caller may not know of the other project.
        case .nameTaken(let name): "another project has the name \"\(name)\""
        case .keysOfProject(let project):
            "project \(project) has \(Limits.keysPerProject) API keys, the limit: revoke those that are not used"
        case .keysOfCluster: "the cluster has \(Limits.keys) API keys, the limit: revoke those that are not used"
        case .keyListBytes:
            """
            all API keys together would take more than \(Limits.keyListBytes) bytes, the limit: revoke those that are not used, \
            or give shorter lists of origins
            """
        case .keyListBytesOfProject(let project):
            """
            the API keys of project \(project) would take more than \(Limits.keyListBytesPerProject) bytes, the limit: revoke those that \
            are not used, or give shorter lists of origins
            """
        case .projects: "the cluster has \(Limits.projects) projects, the limit"
        case .ruleListBytes:
            "the normalisation rules of all projects together would take more than \(Limits.ruleListBytes) bytes, the limit"
        case .unknownDocument(let noun): "no \(noun) is saved under this id"
        case .documents(let noun, let limit): "the project has \(limit) \(noun)s, the limit: delete those that are not used"
        case .keysNeeded:
            """
            this cluster has no API keys, so everybody on its machine may do everything: start it with SLUICE_ADMIN_KEYS before \
            you create API keys
            """
        }
    }

    /// The end of `type` in a problem document.
    package var name: String {
        switch self {
        case .unknownKey: "unknown_key"
        case .unknownDocument(let noun): "unknown_" + String(noun.map { $0 == " " ? "_" : $0 })
        case .unknownProject: "unknown_project"
        case .nameTaken: "name_taken"
        case .keysOfProject, .keysOfCluster, .keyListBytes, .keyListBytesOfProject, .projects, .ruleListBytes, .documents:
            "limit_reached"
        case .keysNeeded: "keys_needed"
        }
    }

    package var httpStatus: Int {
        switch self {
        case .unknownKey, .unknownProject, .unknownDocument: 404
        case .nameTaken, .keysOfProject, .keysOfCluster, .keyListBytes, .keyListBytesOfProject, .projects, .ruleListBytes, .documents,
            .keysNeeded:
            409
        }
    }
}

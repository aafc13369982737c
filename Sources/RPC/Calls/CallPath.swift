import FunnelProtocol

/// The calls of the wire protocol: path, the kind of frame they take, and the kind they answer with.
package enum CallPath: String, CaseIterable, Sendable {
    case hello = "/sluice/v1/hello"
    case append = "/sluice/v1/append"
    case query = "/sluice/v1/query"
    case users = "/sluice/v1/users"
    case times = "/sluice/v1/times"
    case explain = "/sluice/v1/explain"
    case paths = "/sluice/v1/paths"
    case predictors = "/sluice/v1/predictors"
    case partialQuery = "/sluice/v1/partial-query"
    case partialUsers = "/sluice/v1/partial-users"
    case partialDiscovery = "/sluice/v1/partial-discovery"
    case health = "/sluice/v1/health"
    case snapshot = "/sluice/v1/snapshot"
    case identity = "/sluice/v1/identity"
    case shardAppend = "/sluice/v1/shard-append"
    case keys = "/sluice/v1/keys"
    case announce = "/sluice/v1/announce"
    case incoming = "/sluice/v1/incoming"
    case rules = "/sluice/v1/rules"
    case partialExport = "/sluice/v1/partial-export"

    package var request: FrameKind {
        switch self {
        case .hello: return .hello
        case .append: return .append
        case .query, .times, .explain, .paths, .predictors, .announce, .incoming: return .query
        case .users: return .usersQuery
        case .partialQuery: return .partialQuery
        case .partialUsers: return .partialUsersQuery
        case .partialDiscovery: return .discoveryQuery
        case .health: return .health
        case .snapshot: return .snapshotRequest
        case .identity: return .identityRequest
        case .shardAppend: return .shardAppend
        case .keys: return .keyListRequest
        case .rules: return .ruleListRequest
        case .partialExport: return .exportQuery
        }
    }

    /// Kinds of the answer's frames before its trailer.
    package var answers: Set<FrameKind> {
        switch self {
        case .hello: return [.helloResult]
        case .append, .shardAppend: return [.appendResult]
        case .query, .times, .explain, .paths, .predictors, .announce, .incoming: return [.mergedResult]
        case .users: return [.mergedResult, .userList]
        case .partialUsers: return [.userList]
        case .partialDiscovery: return [.discoveryResult]
        case .partialQuery: return [.partialResult]
        case .health: return [.healthResult]
        case .snapshot: return [.snapshot]
        case .identity: return [.identity]
        case .keys: return [.keyList]
        case .rules: return [.ruleList]
        case .partialExport: return [.exportPage]
        }
    }
}

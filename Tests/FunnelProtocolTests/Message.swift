import FunnelModel
import FunnelProtocol

/// One message of any kind, so that a vector can be read, compared and written without knowing which it is.
enum Message: Equatable, Sendable {
    case empty
    case hello(Hello)
    case helloResult(HelloResult)
    case append(Append)
    case shardAppend(ShardAppend)
    case appendResult(AppendOutcome)
    /// Queries and merged results: their bodies are JSON documents, opaque to the protocol.
    case document(JSONValue)
    case partialQuery(PartialQuery)
    case partialResult(PartialResult)
    case partialUsersQuery(PartialUsersQuery)
    case userList(UserList)
    case healthResult(HealthResult)
    case snapshotRequest(SnapshotRequest)
    case snapshot(ClusterSnapshot)
    case error(ProtocolError)
    case trailer(Trailer)
    case discoveryQuery(DiscoveryQuery)
    case discoveryResult(Discovery)
    case identity(PeerIdentity)
    case keyListRequest(KeyListRequest)
    case keyList(KeyListMessage)
    case ruleListRequest(RuleListRequest)
    case ruleList(RuleListMessage)
    case exportQuery(ExportQuery)
    case exportPage(ExportPageMessage)

    static func decode(_ kind: FrameKind, _ body: [UInt8]) throws(ProtocolError) -> Message {
        if kind == .error { return .error(try ProtocolError.decode(body)) }
        return try decoding("\(kind)") { () throws(ByteError) in
            switch kind {
            case .health, .identityRequest:
                guard body.isEmpty else { throw ByteError(offset: 0, reason: "\(body.count) bytes left over") }
                return .empty
            case .hello: return .hello(try Hello(body: body))
            case .helloResult: return .helloResult(try HelloResult(body: body))
            case .append: return .append(try Append(body: body))
            case .shardAppend: return .shardAppend(try ShardAppend(body: body))
            case .appendResult: return .appendResult(try AppendOutcome(body: body))
            case .partialQuery: return .partialQuery(try PartialQuery(body: body))
            case .partialResult: return .partialResult(try PartialResult(body: body))
            case .partialUsersQuery: return .partialUsersQuery(try PartialUsersQuery(body: body))
            case .userList: return .userList(try UserList(body: body))
            case .healthResult: return .healthResult(try HealthResult(body: body))
            case .snapshotRequest: return .snapshotRequest(try SnapshotRequest(body: body))
            case .snapshot: return .snapshot(try ClusterSnapshot(body: body))
            case .trailer: return .trailer(try Trailer(body: body))
            case .discoveryQuery: return .discoveryQuery(try DiscoveryQuery(body: body))
            case .discoveryResult: return .discoveryResult(try Discovery(body: body))
            case .identity: return .identity(try PeerIdentity(body: body))
            case .keyListRequest: return .keyListRequest(try KeyListRequest(body: body))
            case .keyList: return .keyList(try KeyListMessage(body: body))
            case .ruleListRequest: return .ruleListRequest(try RuleListRequest(body: body))
            case .ruleList: return .ruleList(try RuleListMessage(body: body))
            case .exportQuery: return .exportQuery(try ExportQuery(body: body))
            case .exportPage: return .exportPage(try ExportPageMessage(body: body))
            case .query, .mergedResult, .usersQuery, .error:
                do {
                    return .document(try JSONParser.parse(body))
                } catch {
                    throw ByteError(offset: 0, reason: "JSON: \(error)")
                }
            }
        }
    }

    var body: [UInt8] {
        switch self {
        case .empty: return []
        case .hello(let message): return message.body
        case .helloResult(let message): return message.body
        case .append(let message): return message.body
        case .shardAppend(let message): return message.body
        case .appendResult(let message): return message.body
        case .document(let value): return value.encode()
        case .partialQuery(let message): return message.body
        case .partialResult(let message): return message.body
        case .partialUsersQuery(let message): return message.body
        case .userList(let message): return message.body
        case .healthResult(let message): return message.body
        case .snapshotRequest(let message): return message.body
        case .snapshot(let message): return message.body
        case .error(let message): return message.body
        case .trailer(let message): return message.body
        case .discoveryQuery(let message): return message.body
        case .discoveryResult(let message): return message.body
        case .identity(let message): return message.body
        case .keyListRequest(let message): return message.body
        case .keyList(let message): return message.body
        case .ruleListRequest(let message): return message.body
        case .ruleList(let message): return message.body
        case .exportQuery(let message): return message.body
        case .exportPage(let message): return message.body
        }
    }
}

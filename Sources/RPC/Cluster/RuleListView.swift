import FunnelProtocol
import Logging

/// A service's copy of the normalisation rules of all projects.
package final class RuleListView: Sendable {
    private let list: ListView<RuleListFollower>

    /// Reads the file, if there is one.
    /// - Parameters:
    ///   - cluster: id of the cluster; 0 before it is known.
    ///   - use: puts rules in force. It returns those that are in force then: of a project whose rules it cannot read, the last ones.
    package init(
        file: SnapshotFile, cluster: @escaping @Sendable () -> UInt64, logger: Logger,
        use: @escaping @Sendable ([ProjectRules]) -> [ProjectRules]
    ) {
        list = ListView(RuleListFollower(use: use), file: file, cluster: cluster, logger: logger)
    }

    /// Whether the rules of the cluster are known, and in force.
    package var isKnown: Bool { list.isKnown }

    /// Whether there was no file at the start.
    package var lacksFile: Bool { list.lacksFile }

    /// Follows the coordinator until cancelled.
    package func follow(_ coordinator: FrameClient) async { await list.follow(coordinator) }
}

extension RuleListMessage: ListMessage {
    package static var kind: FrameKind { .ruleList }
    package static var path: CallPath { .rules }
    package static var noun: String { "list of normalisation rules" }

    package var count: Int? { projects?.count }
}

private struct RuleListFollower: ListFollower {
    let use: @Sendable ([ProjectRules]) -> [ProjectRules]

    /// The version of a list on disk that is not the coordinator's. The coordinator does not draw it.
    private static let ownVersion: UInt64 = 1

    func request(known: UInt64, wait: Duration) -> ListRequest {
        let request = RuleListRequest(known: known, waitMilliseconds: UInt32(wait / .milliseconds(1)))
        return ListRequest(body: request.body, wait: wait)
    }

    func take(_ list: RuleListMessage) -> RuleListMessage {
        let sent = list.projects ?? []
        let used = use(sent)
        // Rules that this release cannot read are asked for again after a restart, which may be that of an upgrade.
        return RuleListMessage(version: used == sent ? list.version : Self.ownVersion, projects: used)
    }

    func takeNone() {}
}

import FunnelEdge
import FunnelModel
import FunnelProtocol
import FunnelRPC

/// Numbers that shards have at hand: asked past the line of queries.
extension QueryEngine {
    struct ShardTotals: Sendable {
        var id: Int
        var address: String
        /// nil where the shard did not answer, and why.
        var totals: ProjectTotals?
        var problem: String?
    }

    private static let totalsDeadline = Duration.seconds(1)

    func totals(project: UInt32) async -> [ShardTotals] { await Self.askTotals(fleet, project) }

    static func askTotals(_ fleet: ShardFleet, _ project: UInt32) async -> [ShardTotals] {
        await withTaskGroup(of: ShardTotals.self) { group in
            for (link, shard) in zip(fleet.links, fleet.map.shards) {
                group.addTask {
                    var found = ShardTotals(id: link.id, address: "\(shard.host):\(shard.port)")
                    do {
                        let body = try await link.call(
                            .partialDiscovery, DiscoveryQuery.totals.body, project: project, timeout: totalsDeadline)
                        let answer = try decoding("discovery result") { () throws(ByteError) in try Discovery(body: body) }
                        if case .totals(let totals) = answer { found.totals = totals }
                    } catch {
                        found.problem = ProtocolError(of: error).message
                    }
                    return found
                }
            }
            var all: [ShardTotals] = []
            for await found in group { all.append(found) }
            return all.sorted { $0.id < $1.id }
        }
    }
}

import FunnelModel
import FunnelProtocol
import RPC
import ServiceHost

/// Numbers that shards have in memory, so these calls skip the queue of queries.
extension QueryEngine {
    struct ShardTotals: Sendable {
        var id: Int
        var address: String
        /// Nil if the shard did not answer; `problem` has the reason.
        var totals: ProjectTotals?
        var problem: String?
    }

    private static let totalsDeadline = Duration.seconds(1)

    /// The event names and property keys of a project on each shard. Nil for a shard that did not answer, or whose release does not
    /// know the question.
    static func askNames(_ fleet: ShardFleet, _ project: UInt32) async -> [ProjectNames?] {
        await withTaskGroup(of: (Int, ProjectNames?).self) { group in
            for (place, link) in fleet.links.enumerated() {
                group.addTask {
                    let body = try? await link.call(
                        .partialDiscovery, DiscoveryQuery.names.body, project: project, timeout: totalsDeadline)
                    guard let body, case .names(let names)? = try? Discovery(body: body) else { return (place, nil) }
                    return (place, names)
                }
            }
            var all = [ProjectNames?](repeating: nil, count: fleet.links.count)
            for await (place, names) in group { all[place] = names }
            return all
        }
    }

    func totals(project: UInt32) async -> [ShardTotals] { await Self.askTotals(fleet, project) }

    static func askTotals(_ fleet: ShardFleet, _ project: UInt32) async -> [ShardTotals] {
        await withTaskGroup(of: ShardTotals.self) { group in
            for (link, shard) in zip(fleet.links, fleet.map.shards) {
                group.addTask {
                    var found = ShardTotals(id: link.id, address: shard.address)
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

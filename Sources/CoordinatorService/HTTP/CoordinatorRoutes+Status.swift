import FunnelModel
import FunnelProtocol
import Hummingbird
import RPC
import ServiceHost
import ServiceRuntime

/// The state of the cluster, and of the caller's project in it, shard by shard.
extension CoordinatorRoutes {
    static let status = [
        Row(.get, "/v1/status", role: .read) { routes, call in
            let project = try call.project
            async let limits = routes.engine.sharedLimits.limits(project: project)
            return JSONResponse.json(routes.json(await routes.engine.sharedTotals.totals(project: project), await limits))
        }
    ]

    private func json(_ shards: [QueryEngine.ShardTotals], _ limits: ProjectLimits?) -> JSONValue {
        let map = engine.fleet.map
        let load = engine.gate.load
        return [
            "version": .text(Program.version), "uptime_seconds": .count(Int((ContinuousClock.now - started).components.seconds)),
            "cluster_id": .text(idText(map.clusterID)), "map_epoch": .count(Int(map.epoch)),
            "queries": ["running": .count(load.running), "waiting": .count(load.queued)],
            "event_names": limits?.events.json ?? .null, "property_keys": limits?.properties.json ?? .null,
            "warnings": .array((limits?.warnings ?? []).map { .text($0) }), "shards": .array(shards.map { Self.shard($0, limits) }),
        ]
    }

    private static func shard(_ shard: QueryEngine.ShardTotals, _ limits: ProjectLimits?) -> JSONValue {
        let totals = shard.totals
        let torn = (limits?.tornBytes ?? []).enumerated().first { $0.offset == shard.id }?.element
        func number(_ read: (ProjectTotals) -> UInt64) -> JSONValue { totals.map { .count(Int(read($0))) } ?? .null }
        return [
            "id": .count(shard.id), "address": .text(shard.address), "state": totals == nil ? "unreachable" : "ready",
            "problem": shard.problem.map { .text($0) } ?? .null, "events": number(\.rows), "users": number(\.users),
            "segments": number(\.segments), "unsealed_events": number(\.unsealedRows),
            "torn_bytes": totals == nil ? .null : torn.map { .count(Int($0)) } ?? .null,
            "lag_seconds": totals?.newestTime.map { .count(Int(max(0, WallClock.now() - $0) / 1_000_000)) } ?? .null,
            "newest_event": totals?.newestTime.map { .text(Timestamp.format($0)) } ?? .null,
        ]
    }
}

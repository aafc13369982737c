import FunnelModel
import FunnelProtocol
import Hummingbird
import RPC
import ServiceHost
import ServiceRuntime

/// `GET /v1/status`: what the cluster has of the caller's project, shard by shard.
struct StatusRoutes {
    let callers: Callers
    let engine: QueryEngine
    private let started = ContinuousClock.now

    init(callers: Callers, engine: QueryEngine) {
        self.callers = callers
        self.engine = engine
    }

    func add(to router: ServiceRouter) {
        router.get("/v1/status") { request, _ in
            let project = try callers.admit(request, for: .read).project
            async let limits = engine.sharedLimits.limits(project: project)
            return JSONResponse.json(json(await engine.sharedTotals.totals(project: project), await limits))
        }
    }

    private func json(_ shards: [QueryEngine.ShardTotals], _ limits: ProjectLimits?) -> JSONValue {
        let map = engine.fleet.map
        let load = engine.gate.load
        return [
            "version": .text(Program.version), "uptime_seconds": .count(Int((ContinuousClock.now - started).components.seconds)),
            "cluster_id": .text(String(map.clusterID, radix: 16)), "map_epoch": .count(Int(map.epoch)),
            "queries": ["running": .count(load.running), "waiting": .count(load.queued)],
            "event_names": limits?.events.json ?? .null, "property_keys": limits?.properties.json ?? .null,
            "warnings": .array((limits?.warnings ?? []).map { .text($0) }), "shards": .array(shards.map(Self.shard)),
        ]
    }

    private static func shard(_ shard: QueryEngine.ShardTotals) -> JSONValue {
        let totals = shard.totals
        func number(_ read: (ProjectTotals) -> UInt64) -> JSONValue { totals.map { .count(Int(read($0))) } ?? .null }
        return [
            "id": .count(shard.id), "address": .text(shard.address), "state": totals == nil ? "unreachable" : "ready",
            "problem": shard.problem.map { .text($0) } ?? .null, "events": number(\.rows), "users": number(\.users),
            "segments": number(\.segments), "unsealed_events": number(\.unsealedRows),
            "lag_seconds": totals?.newestTime.map { .count(Int(max(0, WallClock.now() - $0) / 1_000_000)) } ?? .null,
            "newest_event": totals?.newestTime.map { .text(Timestamp.format($0)) } ?? .null,
        ]
    }
}

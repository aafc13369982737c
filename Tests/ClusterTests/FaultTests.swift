import Foundation
import FunnelModel
import Synchronization
import TestSupport
import Testing

extension ClusterSuite {
    /// Processes killed while they work. `SLUICE_KILLS` kills of each kind.
    struct FaultTests {
        /// What was acknowledged, by user: each user's events must be there exactly once.
        private struct Ledger {
            var acknowledged: [String] = []
            var unknown: [String] = []
        }

        @Test(arguments: ["shard-0", "ingest"])
        func nothingAcknowledgedIsLostOrDoubledByKills(victim: String) async throws {
            // So few rows to a seal that seals and merges go on all the time, and kills meet them.
            try await Cluster.with(shards: 2, arguments: ["--seal-rows", "1000"]) { cluster in
                // A flag, not a cancelled task: cancelling a URLSession call that is just ending can deadlock Foundation.
                let stop = StopFlag()
                let load = Task { try await send(cluster, until: stop) }
                var (seals, merges) = (0, 0)
                var kills = 0
                // A slow machine may need more of them before a seal and a merge were met.
                while kills < TestCounts.kills || ((seals == 0 || merges == 0) && kills < 10 * TestCounts.kills) {
                    kills += 1
                    try await Task.sleep(for: .milliseconds(Int.random(in: 200...600)))
                    try? cluster.reread()
                    // Of the lives of shards that end here; those of the last are left out.
                    seals += (try? await cluster.metric("sluice_store_seals_total")) ?? 0
                    merges += (try? await cluster.metric("sluice_store_merges_total")) ?? 0
                    let pid = cluster.pid(ByteString(victim))
                    if pid > 0 { kill(pid, SIGKILL) }
                    try await cluster.untilReady()
                }
                stop.set()
                let ledger = try await load.value
                try await cluster.untilReady()
                #expect(ledger.acknowledged.count > 100, "the load must have got somewhere")
                #expect(seals > 0 && merges > 0, "\(seals) seals, \(merges) merges")
                let there = Set(try await cluster.users(["steps": ["a", "b"]], step: 2, outcome: "reached"))
                let lost = ledger.acknowledged.filter { !there.contains($0) }
                #expect(lost.isEmpty, "\(lost.count) of \(ledger.acknowledged.count) acknowledged users are lost, e.g. \(lost.prefix(3))")
                let whole = Set(ledger.acknowledged).union(ledger.unknown)
                #expect(there.isSubset(of: whole))
                // Each user sent one "a": a second copy would make a second step.
                let flexible: JSONValue = ["steps": ["a", "a"], "conversion_order": ["flexible": ["limit": "1s"]]]
                #expect(Report(try await cluster.query(["funnel": flexible])).counts[1] == 0)
            }
        }

        /// Batches of ten users, one after the other, each again until it is acknowledged or the flag is set. The ids
        /// make a repeat harmless.
        private func send(_ cluster: Cluster, until stop: StopFlag) async throws -> Ledger {
            var ledger = Ledger()
            var number = 0
            while !stop.isSet {
                let users = (0..<10).map { "user-\(number)-\($0)" }
                number += 1
                let events = users.flatMap { [event($0, "a", 0, id: "\($0)/a"), event($0, "b", 5, id: "\($0)/b")] }
                var stored = false
                while !stored, !stop.isSet {
                    let answer = try? await cluster.send(events)
                    stored = answer?.status == 200
                    if !stored { try? await Task.sleep(for: .milliseconds(20)) }
                }
                if stored { ledger.acknowledged += users } else { ledger.unknown += users }
            }
            return ledger
        }

        @Test func aMissingShardIsNamedAndConcernsNobodyElse() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let users = (0..<40).map { "u\($0)" }
                #expect(try await cluster.send(users.map { event($0, "a", 0) }).status == 200)
                // Stopped, not killed: it would be started again. It neither answers nor refuses.
                kill(cluster.pid("shard-1"), SIGSTOP)
                defer { kill(cluster.pid("shard-1"), SIGCONT) }
                let whole = try await HTTP.call(
                    "POST", cluster.coordinatorHTTP, "/v1/query", body: Array(#"{"funnel":{"steps":["a"]},"deadline":"1s"}"#.utf8))
                #expect(whole.status == 504)
                #expect(whole.json["shards"] == ["shard-1"])
                let partial = try await cluster.query(["funnel": ["steps": ["a"]], "deadline": "1s", "allow_partial": true])
                #expect(partial["completeness"]?["missing"] == [1])
                #expect(partial["completeness"]?["exact"] == false)
                let there = Int(partial["entered"]?.asInteger ?? 0)
                #expect(there > 0 && there < 40)
                // Users of the shard that answers go on.
                let mine = users.filter { ClusterMap.bucket(ofUser: ByteString($0)) < 512 }
                #expect(mine.count == there)
                #expect(try await cluster.send(mine.map { event($0, "b", 1) }).status == 200)
            }
        }

        @Test func coordinatorMayBeAwayWhileEventsComeIn() async throws {
            try await Cluster.with(shards: 2) { cluster in
                #expect(try await cluster.send([event("u", "a", 0)]).status == 200)
                kill(cluster.pid("coordinator"), SIGSTOP)
                #expect(try await cluster.send([event("v", "a", 0)]).status == 200)
                // A shard that starts now has only its own snapshot of the map.
                kill(cluster.pid("shard-0"), SIGKILL)
                for _ in 0..<400 {
                    if (try? await HTTP.call("GET", cluster.shardHTTP(0), "/readyz"))?.status == 200 { break }
                    try await Task.sleep(for: .milliseconds(25))
                }
                #expect(try await HTTP.call("GET", cluster.shardHTTP(0), "/readyz").status == 200)
                try cluster.reread()
                kill(cluster.pid("coordinator"), SIGCONT)
                #expect(try await cluster.counts(["a"]) == [2])
            }
        }
    }
}

private final class StopFlag: Sendable {
    private let flag = Atomic<Bool>(false)
    var isSet: Bool { flag.load(ordering: .relaxed) }
    func set() { flag.store(true, ordering: .relaxed) }
}

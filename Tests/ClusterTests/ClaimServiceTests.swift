import EventStorage
import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// Claims that native events leave, on real processes and in the files that they write.
    struct ClaimServiceTests {
        private static let child = "device-1"
        private static let time = 1_700_000_000_000_000 as Int64

        /// A page view by the id of a device, the same with both ids, and an alias, as often as an SDK repeats them.
        private static let records: [JSONValue] = [
            record("page_view", 0, ["anonymous_id": "device-1"]), record("page_view", 1, ["anonymous_id": "device-1", "user_id": nil]),
            record("sign_up", 9, ["anonymous_id": "device-1", "user_id": "user-1"]),
            record("order", 5, ["anonymous_id": "device-1", "user_id": "user-1"]),
            record("order", 7, ["anonymous_id": "user-1", "user_id": "user-1"]),
            ["type": "alias", "previous_id": "device-1", "user_id": "user-2", "timestamp": .text(Timestamp.format(time + 3_000_000))],
        ]

        private static func record(_ name: String, _ seconds: Int64, _ ids: JSONValue) -> JSONValue {
            .object(
                (ids.asObject ?? []) + [
                    .init("event", .text(name)), .init("event_id", .text("\(name)-\(seconds)")),
                    .init("timestamp", .text(Timestamp.format(time + seconds * 1_000_000))),
                ])
        }

        private static let kept: Set<Claim> = [
            Claim(kind: .identify, child: "device-1", parent: "user-1", time: time + 5_000_000),
            Claim(kind: .alias, child: "device-1", parent: "user-2", time: time + 3_000_000),
        ]

        private func sendAll(_ cluster: Cluster) async throws {
            let answer = try await cluster.send(Self.records)
            #expect(answer.status == 200 && answer.json == ["accepted": 6, "rejected": []], "\(answer.text)")
        }

        /// What a reader of the project sees: the events, and nothing else.
        private func expectNoClaims(_ cluster: Cluster) async throws {
            #expect(
                try await cluster.users(["steps": [["name": "any", "events": ["*"]]]], step: 1, outcome: "reached").sorted() == [
                    "device-1", "user-1",
                ])
            let names = try await HTTP.call("GET", cluster.coordinatorHTTP, "/v1/events").json["events"]?.asArray ?? []
            #expect(names.compactMap { $0["event"]?.asString }.sorted() == ["order", "page_view", "sign_up"], "\(names)")
            #expect(try await HTTP.call("GET", cluster.coordinatorHTTP, "/v1/properties").json["properties"] == [])
            #expect(try await cluster.counts(["page_view"]) == [1])
            #expect(try await cluster.counts(["order", "sign_up"]) == [1, 1])
        }

        /// The claims in the directory of a shard that does not run.
        private func claims(_ directory: URL, merged: Bool) throws -> [Claim] {
            let store = try ShardStore.open(
                directory: directory.path, files: POSIXFileSystem(), identity: try identity(directory), options: StoreOptions())
            defer { store.close() }
            if merged {
                try store.seal()
                try store.compact(everything: true)
            }
            let view = try store.view(project: 1)
            var found: [Claim] = []
            for kind in Claim.Kind.allCases {
                try view.scan(events: [EventName.claim(kind)]) { rows in
                    for i in 0..<rows.count { if let claim = Claim(row: try rows.row(i)) { found.append(claim) } }
                    return true
                }
            }
            return found
        }

        private func identity(_ directory: URL) throws -> StoreIdentity {
            var lines: [String] = []
            _ = StoreVerifier.verdict(directory: directory.path, files: POSIXFileSystem()) { lines.append($0) }
            let words = try #require(lines.first).split { " ,:".contains($0) }
            func word(after name: String) -> String {
                words.firstIndex { $0 == name }.map { words.index(after: $0) }.map { String(words[$0]) } ?? ""
            }
            return StoreIdentity(
                clusterID: UInt64(word(after: "cluster"), radix: 16) ?? 0, shard: Int(word(after: "shard")) ?? 0,
                shardCount: Int(word(after: "of")) ?? 0, epoch: UInt32(word(after: "epoch")) ?? 0)
        }

        @Test func aClaimStaysOnceThroughKillsRestartsAndMerges() async throws {
            let cluster = try Cluster(shards: 2)
            defer { try? FileManager.default.removeItem(at: cluster.directory) }
            try await cluster.start()
            let shard = ClusterMap.bucket(ofUser: ByteString(Self.child)) < 512 ? 0 : 1
            do {
                for _ in 0..<3 { try await sendAll(cluster) }
                try await expectNoClaims(cluster)
                // Ingest forgets what it has sent, and sends it again.
                kill(cluster.pid(ByteString("shard-\(shard)")), SIGKILL)
                kill(cluster.pid("ingest"), SIGKILL)
                try await Task.sleep(for: .milliseconds(200))
                try await cluster.untilReady()
                try await sendAll(cluster)
                try await expectNoClaims(cluster)
                try await cluster.stop()
                try await cluster.start()
                try await sendAll(cluster)
                try await expectNoClaims(cluster)
                try await cluster.stop()
            } catch {
                try? await cluster.stop()
                throw error
            }
            for index in 0..<2 {
                let directory = cluster.directory.appendingPathComponent("data/shard-\(index)")
                for merged in [false, true] {
                    let found = try claims(directory, merged: merged)
                    #expect(Set(found) == (index == shard ? Self.kept : []) && (found.count == (index == shard ? 2 : 0)), "\(found)")
                }
            }
        }

        @Test func filesWithBothIDsLeaveClaims() async throws {
            let cluster = try Cluster(shards: 2)
            defer { try? FileManager.default.removeItem(at: cluster.directory) }
            try await cluster.start()
            func load(_ name: String, _ text: String, _ options: [String] = []) async throws {
                let file = cluster.directory.appendingPathComponent(name)
                try Data(text.utf8).write(to: file)
                let done = try await Command.run("sluice", ["load", file.path, "--to", cluster.ingestWire] + options)
                #expect(done.status == 0 && (done.out + done.err).contains("3 accepted"), "\(done.out)\(done.err)")
            }
            do {
                let table = """
                    user_id,device,event,timestamp
                    ,device-1,page_view,2023-11-14T22:13:20Z
                    user-1,device-1,order,2023-11-14T22:13:29Z
                    user-1,device-1,order,2023-11-14T22:13:25Z

                    """
                for _ in 0..<2 { try await load("table.csv", table, ["--anonymous-id", "device"]) }
                let ids: [JSONValue] = [
                    ["anonymousId": "device-2", "messageId": "1"], ["anonymousId": "device-2", "userId": "user-2", "messageId": "2"],
                    ["anonymousId": "user-2", "userId": "user-2", "messageId": "3"],
                ]
                let calls = ids.enumerated().map { second, ids -> String in
                    let time = Timestamp.format(Self.time + Int64(second) * 1_000_000)
                    let call = JSONValue.object(
                        (ids.asObject ?? []) + [.init("type", "track"), .init("event", "seen"), .init("timestamp", .text(time))])
                    return String(decoding: call.encode(), as: UTF8.self) + "\n"
                }
                let alias = #"{"type":"alias","previousId":"visitor-2","userId":"user-2","timestamp":"2023-11-14T22:13:23Z"}"# + "\n"
                try await load("calls.ndjson", calls.joined() + alias, ["--preset", "segment-log"])
                #expect(try await cluster.users(["steps": [["name": "any", "events": ["*"]]]], step: 1, outcome: "reached").count == 4)
                let properties = try await HTTP.call("GET", cluster.coordinatorHTTP, "/v1/properties").json["properties"]?.asArray
                #expect(properties?.isEmpty == true)
                try await cluster.stop()
            } catch {
                try? await cluster.stop()
                throw error
            }
            let found = try (0..<2).flatMap { try claims(cluster.directory.appendingPathComponent("data/shard-\($0)"), merged: $0 == 0) }
            let wanted = [
                Claim(kind: .identify, child: "device-1", parent: "user-1", time: Self.time + 5_000_000),
                Claim(kind: .identify, child: "device-2", parent: "user-2", time: Self.time + 1_000_000),
                Claim(kind: .alias, child: "visitor-2", parent: "user-2", time: Self.time + 3_000_000),
            ]
            #expect(found.count == 3 && Set(found) == Set(wanted), "\(found)")
        }

        @Test func trackEventTakesBothIDs() async throws {
            try await Cluster.with(shards: 1) { cluster in
                for record in Self.records {
                    let answer = try await HTTP.call("POST", cluster.ingestHTTP, "/track-event", body: record.encode())
                    #expect(answer.status == 200, "\(answer.text)")
                }
                try await expectNoClaims(cluster)
                let nobody: JSONValue = ["event": "order", "anonymous_id": 5, "timestamp": 1_700_000_000]
                let answer = try await HTTP.call("POST", cluster.ingestHTTP, "/track-event", body: nobody.encode())
                #expect(answer.status == 422 && answer.text.contains("anonymous_id"), "\(answer.text)")
            }
        }

        @Test func faultsOfClaimsAreNamed() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let answer = try await cluster.send([
                    Self.record("a", 0, ["user_id": "u", "anonymous_id": 5]), Self.record("a", 0, ["user_id": "u", "anonymous_id": ""]),
                    Self.record("a", 0, ["anonymous_id": ""]), ["type": "alias", "user_id": "u", "timestamp": 1_700_000_000],
                    ["type": "alias", "previous_id": "a", "user_id": "u", "timestamp": "soon"],
                    ["type": "alias", "previous_id": "a", "user_id": "u"],
                ])
                let reasons = answer.json["rejected"]?.asArray?.map { fault in
                    "\(fault["index"]?.asInteger ?? -1) \(fault["reason"]?.asString?.string ?? "")"
                }
                #expect(answer.json["accepted"] == 2)
                #expect(
                    reasons?.map { $0.prefix { $0 != ":" } } == ["2 anonymous_id", "3 previous_id", "4 timestamp", "5 timestamp"],
                    "\(answer.text)")
            }
        }
    }
}

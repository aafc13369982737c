import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// The limits of a project over HTTP, and the command that frees names.
    struct NameLimitServiceTests {
        private static func event(_ user: Int, _ name: String, _ properties: JSONValue = [:]) -> JSONValue {
            [
                "user_id": .text("u\(user)"), "event": .text(name), "timestamp": 1_700_000_000, "event_id": .text("\(user)-\(name)"),
                "properties": properties,
            ]
        }

        @Test func limitsAreToldAndNamesFreed() async throws {
            let environment = ["SLUICE_EVENT_NAMES_MAX": "10", "SLUICE_PROPERTY_KEYS_MAX": "2"]
            try await Cluster.with(shards: 2, environment: environment) { cluster in
                func send(_ events: [JSONValue]) async throws -> JSONValue {
                    try await HTTP.call("POST", cluster.ingestHTTP, "/v1/events", body: JSONValue.array(events).encode()).json
                }
                func status() async throws -> JSONValue { try await HTTP.call("GET", cluster.coordinatorHTTP, "/v1/status").json }
                // Every user has both names, so both shards have them.
                let good = (0..<20).flatMap { [Self.event($0, "a", ["p": 1]), Self.event($0, "b", ["p": 1])] }
                #expect(try await send(good)["accepted"] == 40)
                let first = try await status()
                #expect(first["event_names"] == ["count": 2, "most_on_a_shard": 2, "limit": 10] && first["warnings"] == [])
                #expect(first["property_keys"] == ["count": 1, "most_on_a_shard": 1, "limit": 2])

                // One user is on one shard: eight more names have room there.
                let flood = (0..<12).map { Self.event(1, "n\($0)", ["p": 1, ByteString("k\($0)"): 2]) }
                let answer = try await send(flood)
                #expect(answer["accepted"] == 8)
                let rejected = answer["rejected"]?.asArray ?? []
                #expect(rejected.compactMap { $0["index"]?.asInteger } == [8, 9, 10, 11])
                #expect(rejected.allSatisfy { $0["reason"] == "event_names_max: the project has 10 event names on this shard" })
                #expect(try await send(flood)["rejected"] == answer["rejected"])
                #expect(try await cluster.metric(#"sluice_store_rows_rejected_total{reason="event_names_max"}"#) == 8)
                // Of the eight rows one key more had room; a repeat is a delivery of its own.
                #expect(try await cluster.metric("sluice_store_properties_left_out_total") == 14)
                #expect(try await cluster.metric("sluice_store_event_names_max_used_ratio") == 1)
                var last = try await status()
                for _ in 0..<60 where last["event_names"]?["count"] != 10 {
                    try await Task.sleep(for: .milliseconds(250))
                    last = try await status()
                }
                #expect(last["event_names"]?["count"] == 10)
                let warnings = (last["warnings"]?.asArray ?? []).compactMap { $0.asString?.string }
                #expect(
                    warnings.count == 2 && warnings[0].contains("has 10 event names of the project, at most 10 (event-names-max)"),
                    "\(warnings)")
                #expect(cluster.log.contains("near its limit of event names"))

                let before = try await cluster.counts(["a", "b"], more: [.init("conversion_order", "any")])
                #expect(before == [20, 20])
                let file = cluster.directory.appendingPathComponent("names.txt")
                try Data((0..<12).map { "n\($0)\r\n" }.joined().utf8).write(to: file)
                let paths = (0..<2).map { cluster.directory.appendingPathComponent("data/shard-\($0)").path }
                let locked = try await Command.run("sluice", ["compact", paths[0], "--drop-event-names", file.path])
                #expect(locked.status != 0 && locked.err.contains("in use by another process"))
                try await cluster.stop()
                var rows = 0
                for path in paths {
                    let asked = try await Command.run(
                        "sluice", ["compact", path, "--drop-event-names", file.path, "--project", "1", "--dry-run"])
                    let other = try await Command.run("sluice", ["compact", path, "--drop-event-names", file.path, "--project", "2"])
                    let done = try await Command.run("sluice", ["compact", path, "--drop-event-names", file.path])
                    #expect(asked.status == 0 && other.status == 0 && done.status == 0)
                    #expect(other.out.contains("no events of 12 names on this shard: "))
                    for text in [asked.out, done.out] where text.contains("rows of 8 event names") { rows += 1 }
                }
                #expect(rows == 2)
                try await cluster.start()
                #expect(try await cluster.counts(["a", "b"], more: [.init("conversion_order", "any")]) == before)
                #expect(try await status()["event_names"]?["count"] == 2)
                #expect(try await send([Self.event(1, "new")])["accepted"] == 1)
            }
        }
    }
}

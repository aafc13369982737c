import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// What is the cluster's fault costs nobody an event: addresses that lead elsewhere, directories that were copied, lost or put
    /// back, and two processes on one directory.
    struct IdentityTests {
        /// Users of both shards of two.
        private static let users = (0..<40).map { "u\($0)" }

        private struct Trio {
            var coordinator: Services.Service
            var shards: [Services.Service]
            var ingest: Services.Service
        }

        private func startTrio(_ services: Services, keys: [String: String] = [:]) async throws -> (Trio, ports: [Int], wire: Int) {
            let ports = [services.port(), services.port()]
            let wire = services.port()
            let list = ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")
            let coordinator = try services.start("sluice-coordinator", data: "c", wire: wire, ["--shards", list], environment: keys)
            let shards = try ports.enumerated().map { number, port in
                try services.start(
                    "sluice-shard", data: "s\(number)", wire: port, ["--shard", "\(number)", "--coordinator", coordinator.wire])
            }
            let ingest = try services.start("sluice-ingest", data: "i", ["--coordinator", coordinator.wire])
            for service in [coordinator] + shards + [ingest] { try await services.until(service, answers: 200) }
            return (Trio(coordinator: coordinator, shards: shards, ingest: ingest), ports, wire)
        }

        private func send(_ users: [String], _ name: String, to ingest: Services.Service, key: String? = nil) async throws -> HTTP.Answer {
            let events = JSONValue.array(users.map { event($0, name, 0, id: "\(name)/\($0)") })
            return try await HTTP.call("POST", ingest.http, "/v1/events", body: events.encode(), key: key)
        }

        private func entered(_ name: String, _ coordinator: Services.Service) async throws -> JSONValue? {
            try await HTTP.call(
                "POST", coordinator.http, "/v1/query", body: JSONValue.object([.init("funnel", ["steps": [.text(name)]])]).encode()
            ).json["entered"]
        }

        /// O B1.
        @Test func swappedAddressesLoseNothing() async throws {
            try await Services.with { services in
                let (trio, ports, wire) = try await startTrio(services)
                #expect(try await send(Self.users, "a", to: trio.ingest).status == 200)
                await services.stop(trio.coordinator)
                let swapped = ports.reversed().map { "127.0.0.1:\($0)" }.joined(separator: ",")
                let confused = try services.start("sluice-coordinator", data: "c", wire: wire, ["--shards", swapped])
                try await services.until(confused, answers: 503)
                try await services.until(trio.ingest, answers: 503)
                let answer = try await send(Self.users, "b", to: trio.ingest)
                #expect(answer.status == 503, "\(answer.text)")
                let rejected = answer.json["rejected"]?.asArray ?? []
                #expect(rejected.isEmpty)
                let said = try await HTTP.call("GET", confused.http, "/readyz").text
                #expect(said.contains("shard 1 answers there, not shard 0"), "\(said)")
                // Mended: the same events are taken.
                await services.stop(confused)
                let right = ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")
                let coordinator = try services.start("sluice-coordinator", data: "c", wire: wire, ["--shards", right])
                for service in [coordinator, trio.ingest] { try await services.until(service, answers: 200) }
                var last = answer
                for _ in 0..<100 where last.status != 200 {
                    last = try await send(Self.users, "b", to: trio.ingest)
                    try await Task.sleep(for: .milliseconds(50))
                }
                #expect(last.json["accepted"] == .count(Self.users.count), "\(last.text)")
                #expect(try await entered("b", coordinator) == .count(Self.users.count))
            }
        }

        @Test func oneAddressForTwoShardsIsRefused() async throws {
            let folder = try Cluster.temporaryDirectory()
            defer { try? FileManager.default.removeItem(at: folder) }
            let answer = try await Command.run(
                "sluice-coordinator", ["--data", folder.path, "--shards", "127.0.0.1:9999,127.0.0.1:9998,127.0.0.1:9999"])
            #expect(answer.status == 2)
            #expect(answer.err.contains("--shards gives 127.0.0.1:9999 to shards 0, 2"), "\(answer.err)")
        }

        /// O B2: the second process neither starts nor changes anything.
        @Test func aDirectoryInUseIsRefused() async throws {
            let write = ["SLUICE_WRITE_KEYS": "secret-write-key-1"]
            try await Cluster.with(shards: 1, environment: write) { cluster in
                let data = cluster.directory.appendingPathComponent("data").path
                let second = try await Command.run("sluice", ["up", "--any-port", "--shards", "1", "--data", data])
                #expect(second.status == 1)
                #expect(second.err.contains("is in use by process"), "\(second.err)")
                let lone = try await Command.run(
                    "timeout".path,
                    [
                        "3", Cluster.programs.appendingPathComponent("sluice-coordinator").path, "--data", data + "/coordinator",
                        "--shards", "127.0.0.1:9999", "--wire-port", "0", "--http-port", "0",
                    ])
                #expect(lone.status == 124, "it waits for the other to end: \(lone.err)")
                let ingest = try await Command.run(
                    "timeout".path,
                    [
                        "3", Cluster.programs.appendingPathComponent("sluice-ingest").path, "--data", data + "/ingest", "--wire-port", "0",
                        "--http-port", "0",
                    ])
                #expect(ingest.status == 124, "it waits for the other to end: \(ingest.err)")
                // Another directory, the same ports.
                let folder = try Cluster.temporaryDirectory()
                defer { try? FileManager.default.removeItem(at: folder) }
                func port(_ address: String) -> String { address.split(separator: ":").last.map(String.init) ?? "" }
                let ports = [
                    "--ingest-http", port(cluster.ingestHTTP), "--ingest-wire", port(cluster.ingestWire), "--coordinator-http",
                    port(cluster.coordinatorHTTP),
                    "--coordinator-wire", port(cluster.coordinatorWire), "--shard-http", port(cluster.shardHTTP(0)), "--shard-wire",
                    port(cluster.shardWire(0)),
                ]
                let same = try await Command.run("sluice", ["up", "--shards", "1", "--data", folder.path] + ports)
                #expect(same.status == 1 && same.err.contains("stop the program that listens there"), "\(same.err)")
                #expect(try await cluster.send([event("u", "a", 0)]).status == 401)
                #expect(try await cluster.send([event("u", "a", 0)], key: "secret-write-key-1").status == 200)
            }
        }

        /// O B4: keys that were revoked since stay revoked.
        @Test func aRestoredCoordinatorIsHeard() async throws {
            try await Services.with { services in
                let a = ["SLUICE_WRITE_KEYS": "the-write-key-named-a"]
                let b = ["SLUICE_WRITE_KEYS": "the-write-key-named-b"]
                let c = ["SLUICE_WRITE_KEYS": "the-write-key-named-c"]
                let (trio, ports, wire) = try await startTrio(services, keys: a)
                let list = ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")
                await services.stop(trio.coordinator)
                try FileManager.default.copyItem(atPath: services.path("c"), toPath: services.path("saved"))
                let second = try services.start("sluice-coordinator", data: "c", wire: wire, ["--shards", list], environment: b)
                try await until { try await send(["u"], "a", to: trio.ingest, key: "the-write-key-named-b").status == 200 }
                #expect([401, 429].contains(try await send(["u"], "a", to: trio.ingest, key: "the-write-key-named-a").status))
                await services.stop(second)
                // Put back in place, file by file, so that the directory does not look like a copy.
                for file in ["metadata.sqlite", "CLUSTER"] {
                    let saved = try Data(contentsOf: URL(fileURLWithPath: services.path("saved/\(file)")))
                    try saved.write(to: URL(fileURLWithPath: services.path("c/\(file)")))
                }
                let third = try services.start("sluice-coordinator", data: "c", wire: wire, ["--shards", list], environment: c)
                try await until { try await send(["u"], "a", to: trio.ingest, key: "the-write-key-named-c").status == 200 }
                // Or slowed, since keys of this address have failed.
                #expect([401, 429].contains(try await send(["u"], "a", to: trio.ingest, key: "the-write-key-named-b").status))
                #expect(third.log.contains("was put back to an earlier state"))
            }
        }

        /// Of a running cluster. A service may rename a temporary file while it is copied; the copy is then made again.
        private func copyData(of original: Cluster, to copy: Cluster) async throws {
            let (from, to) = (original.directory.appendingPathComponent("data"), copy.directory.appendingPathComponent("data"))
            try await until {
                try? FileManager.default.removeItem(at: to)
                return (try? FileManager.default.copyItem(at: from, to: to)) != nil
            }
        }

        /// O B3: a copy that is started beside the original reaches nobody but its own.
        @Test func aCopyNeverWritesIntoTheOriginal() async throws {
            let secret = ["SLUICE_CLUSTER_SECRET": "one secret for both of them, long"]
            try await Cluster.with(shards: 2, environment: secret) { original in
                #expect(try await original.send([event("u", "a", 0)]).status == 200)
                let copy = try Cluster(shards: 2, environment: secret)
                defer { try? FileManager.default.removeItem(at: copy.directory) }
                try await copyData(of: original, to: copy)
                try await copy.start()
                for i in 0..<20 { #expect(try await copy.send([event("leak\(i)", "LEAK", 0)]).status == 200) }
                #expect(try await original.counts(["LEAK"]) == [0])
                #expect(try await copy.counts(["LEAK"]) == [20])
                // Without its coordinator the copy's ingest trusts nothing that it has kept.
                try await copy.stop()
            }
        }

        /// Ingest alone: what it has kept is good where the directory is its own and every shard says so, and not in a copy of it.
        @Test func ingestStartsWithoutItsCoordinator() async throws {
            try await Services.with { services in
                let (trio, ports, wire) = try await startTrio(services)
                #expect(try await send(Self.users, "a", to: trio.ingest).status == 200)
                await services.stop(trio.coordinator, trio.ingest)
                try FileManager.default.copyItem(atPath: services.path("i"), toPath: services.path("copy"))
                let nowhere = ["--coordinator", "127.0.0.1:\(wire)"]
                let copy = try services.start("sluice-ingest", data: "copy", nowhere)
                let ingest = try services.start("sluice-ingest", data: "i", nowhere)
                try await services.until(ingest, answers: 200)
                #expect(try await send(Self.users, "b", to: ingest).status == 200)
                // The copy has waited for as long.
                try await services.until(copy, answers: 503)
                #expect(try await send(Self.users, "leak", to: copy).status == 503)
                await services.stop(copy)
                let list = ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")
                let coordinator = try services.start("sluice-coordinator", data: "c", wire: wire, ["--shards", list])
                try await services.until(coordinator, answers: 200)
                try await until { try await entered("b", coordinator) == .count(Self.users.count) }
                #expect(try await entered("leak", coordinator) == 0)
            }
        }

        /// A copy that is to live on becomes a cluster of its own; the original's directory is refused while it is in use.
        @Test func aCopyCanBeMadeAClusterOfItsOwn() async throws {
            try await Cluster.with(shards: 2) { original in
                #expect(try await original.send(Self.users.map { event($0, "a", 0) }).status == 200)
                _ = try await HTTP.call("PUT", original.coordinatorHTTP, "/v1/funnels/f", body: Array(#"{"steps":["a"]}"#.utf8))
                let data = original.directory.appendingPathComponent("data")
                let refused = try await Command.run("sluice", ["cluster", "fork", data.path])
                #expect(refused.status == 1 && refused.err.contains("is in use by process"), "\(refused.err)")
                let copy = try Cluster(shards: 2)
                defer { try? FileManager.default.removeItem(at: copy.directory) }
                try await copyData(of: original, to: copy)
                let forked = try await Command.run("sluice", ["cluster", "fork", copy.directory.appendingPathComponent("data").path])
                #expect(forked.status == 0, "\(forked.err)")
                try await copy.start()
                func cluster(_ of: Cluster) async throws -> JSONValue? {
                    try await HTTP.call("GET", of.coordinatorHTTP, "/v1/status").json["cluster_id"]
                }
                #expect(try await cluster(copy) != (try await cluster(original)))
                #expect(try await copy.counts(["a"]) == [Self.users.count])
                #expect(try await HTTP.call("GET", copy.coordinatorHTTP, "/v1/funnels/f").status == 200)
                #expect(try await copy.send([event("v", "a", 0)]).status == 200)
                #expect(try await copy.counts(["a"]) == [Self.users.count + 1])
                #expect(try await original.counts(["a"]) == [Self.users.count])
                try await copy.stop()
                // Once more, with files of both clusters.
                try await copy.start()
                #expect(try await copy.counts(["a"]) == [Self.users.count + 1])
                try await copy.stop()
            }
        }

        /// S11.
        @Test func metadataThatAreLostAreMissed() async throws {
            let cluster = try Cluster(shards: 1)
            defer { try? FileManager.default.removeItem(at: cluster.directory) }
            try await cluster.start()
            _ = try await HTTP.call("PUT", cluster.coordinatorHTTP, "/v1/funnels/f", body: Array(#"{"steps":["a"]}"#.utf8))
            try await cluster.stop()
            let directory = cluster.directory.appendingPathComponent("data/coordinator")
            let files = try FileManager.default.contentsOfDirectory(atPath: directory.path)
            #expect(!files.contains { $0.hasSuffix("-wal") || $0.hasSuffix("-journal") }, "\(files): all is in one file after a stop")
            let database = directory.appendingPathComponent("metadata.sqlite")
            let saved = try Data(contentsOf: database)
            try FileManager.default.removeItem(at: database)
            let answer = try await Command.run(
                "sluice", ["up", "--any-port", "--shards", "1", "--data", cluster.directory.appendingPathComponent("data").path])
            #expect(answer.status == 1)
            #expect(answer.err.contains("the database was lost"), "\(answer.err)")
            // Emptied, or another cluster's.
            try Data().write(to: database)
            let data = cluster.directory.appendingPathComponent("data").path
            let emptied = try await Command.run("sluice", ["up", "--any-port", "--shards", "1", "--data", data])
            #expect(emptied.status == 1 && emptied.err.contains("the database was lost"), "\(emptied.err)")
            let other = try Cluster(shards: 1)
            defer { try? FileManager.default.removeItem(at: other.directory) }
            try await other.start()
            try await other.stop()
            try Data(contentsOf: other.directory.appendingPathComponent("data/coordinator/metadata.sqlite")).write(to: database)
            let mixed = try await Command.run("sluice", ["up", "--any-port", "--shards", "1", "--data", data])
            #expect(mixed.status == 1 && mixed.err.contains("one of them is of another directory"), "\(mixed.err)")
            try saved.write(to: database)
            try await cluster.start()
            #expect(try await HTTP.call("GET", cluster.coordinatorHTTP, "/v1/funnels/f").status == 200)
            try await cluster.stop()
        }

        /// A lost coordinator directory is rebuilt from shards that run, or from their directories.
        @Test(arguments: [true, false])
        func aLostCoordinatorIsRebuilt(running: Bool) async throws {
            try await Services.with { services in
                let (trio, ports, wire) = try await startTrio(services)
                #expect(try await send(Self.users, "a", to: trio.ingest).status == 200)
                await services.stop(trio.coordinator)
                try FileManager.default.removeItem(atPath: services.path("c"))
                let list = ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")
                if running {
                    // A new coordinator's cluster is not the shards'.
                    let strange = try services.start("sluice-coordinator", data: "strange", wire: wire, ["--shards", list])
                    try await services.until(strange, answers: 503)
                    try await until { try await HTTP.call("GET", strange.http, "/readyz").text.contains("this is cluster") }
                    await services.stop(strange)
                } else {
                    await services.stop(trio.shards[0], trio.shards[1], trio.ingest)
                }
                let places = running ? list : [services.path("s1"), services.path("s0")].joined(separator: ",")
                let answer = try await Command.run(
                    "sluice", ["cluster", "recover", "--shards", places, "--data", services.path("c")],
                    environment: ["SLUICE_CLUSTER_SECRET": "a secret of the cluster, long enough"])
                #expect(answer.status == 0, "\(answer.err)")
                #expect(answer.out.contains("Not there: saved funnels"))
                let coordinator = try services.start("sluice-coordinator", data: "c", wire: wire, ["--shards", list])
                if !running {
                    for (number, port) in ports.enumerated() {
                        _ = try services.start(
                            "sluice-shard", data: "s\(number)", wire: port, ["--shard", "\(number)", "--coordinator", coordinator.wire])
                    }
                }
                try await services.until(coordinator, answers: 200)
                try await until { try await entered("a", coordinator) == .count(Self.users.count) }
            }
        }

        /// A lost disk is not taken for an empty shard: no answer lacks its users without a word, and no event goes where it would be
        /// lost once the right disk is back.
        @Test func aShardOnAnEmptyDiskIsRefused() async throws {
            try await Services.with { services in
                let (trio, ports, wire) = try await startTrio(services)
                #expect(try await send(Self.users, "a", to: trio.ingest).status == 200)
                try await until { trio.coordinator.log.components(separatedBy: "known by their id").count == 3 }
                await services.stop(trio.shards[1])
                let (disk, away) = (services.path("s1"), services.path("away"))
                try FileManager.default.moveItem(atPath: disk, toPath: away)
                func startShard() throws -> Services.Service {
                    try services.start(
                        "sluice-shard", data: "s1", wire: ports[1], ["--shard", "1", "--coordinator", trio.coordinator.wire])
                }
                let empty = try startShard()
                try await services.until(empty, answers: 503)
                try await until { try await HTTP.call("GET", empty.http, "/readyz").text.contains("--new-shards 1") }
                #expect(try await send(Self.users, "b", to: trio.ingest).status == 503)
                try await until { try await HTTP.call("GET", trio.ingest.http, "/readyz").text.contains("--new-shards 1") }
                try await until {
                    let query = JSONValue.object([.init("funnel", ["steps": ["a"]])])
                    let answer = try await HTTP.call("POST", trio.coordinator.http, "/v1/query", body: query.encode())
                    return answer.status == 503 && answer.text.contains("--new-shards 1")
                }
                // The right disk is back.
                await services.stop(empty)
                try FileManager.default.removeItem(atPath: disk)
                try FileManager.default.moveItem(atPath: away, toPath: disk)
                let right = try startShard()
                try await services.until(right, answers: 200)
                try await until { try await send(Self.users, "b", to: trio.ingest).status == 200 }
                for name in ["a", "b"] { try await until { try await entered(name, trio.coordinator) == .count(Self.users.count) } }
                // Lost for good: once the operator says so it begins empty, and its data are the ones known from then on.
                await services.stop(right, trio.coordinator)
                let old = services.path("old")
                try FileManager.default.moveItem(atPath: disk, toPath: old)
                let list = ports.map { "127.0.0.1:\($0)" }.joined(separator: ",")
                let wrong = try await Command.run(
                    "sluice-coordinator", ["--data", services.path("c"), "--shards", list, "--new-shards", "2,x"])
                #expect(wrong.status == 2 && wrong.err.contains("\"2\" is not the number of a shard, 0 to 1"), "\(wrong.err)")
                let told = try services.start("sluice-coordinator", data: "c", wire: wire, ["--shards", list, "--new-shards", "1"])
                let fresh = try startShard()
                for service in [told, fresh] { try await services.until(service, answers: 200) }
                try await until { try await send(Self.users, "c", to: trio.ingest).status == 200 }
                #expect(try await entered("c", told) == .count(Self.users.count))
                let mine = Self.users.filter { ClusterMap.bucket(ofUser: ByteString($0)) < 512 }
                #expect(try await entered("a", told) == .count(mine.count))
                await services.stop(told)
                // The coordinator is away and the old disk is mounted, which believes in itself: ingest knows better.
                try FileManager.default.copyItem(atPath: disk, toPath: away)
                await services.stop(fresh)
                try FileManager.default.removeItem(atPath: disk)
                try FileManager.default.copyItem(atPath: old, toPath: disk)
                let stale = try startShard()
                try await services.until(stale, answers: 200)
                let theirs = Self.users.filter { ClusterMap.bucket(ofUser: ByteString($0)) >= 512 }
                for _ in 0..<20 {
                    #expect(try await send(theirs, "d", to: trio.ingest).status == 503)
                    try await Task.sleep(for: .milliseconds(50))
                }
                await services.stop(stale)
                try FileManager.default.removeItem(atPath: disk)
                try FileManager.default.moveItem(atPath: away, toPath: disk)
                let again = try startShard()
                try await services.until(again, answers: 200)
                let last = try services.start("sluice-coordinator", data: "c", wire: wire, ["--shards", list])
                try await services.until(last, answers: 200)
                try await until { try await entered("c", last) == .count(Self.users.count) }
            }
        }

        /// The coordinator knows the shards' data, whether there are events in them or not.
        @Test func allShardsLostAreMissed() async throws {
            let cluster = try Cluster(shards: 2)
            defer { try? FileManager.default.removeItem(at: cluster.directory) }
            try await cluster.start()
            try await until { cluster.log.components(separatedBy: "known by their id").count == 3 }
            try await cluster.stop()
            let data = cluster.directory.appendingPathComponent("data")
            for shard in ["shard-0", "shard-1"] { try FileManager.default.removeItem(at: data.appendingPathComponent(shard)) }
            let run = try await Command.run("sluice", ["up", "--any-port", "--shards", "2", "--data", data.path])
            #expect(run.status == 1 && run.err.contains("shard-0 is missing or empty") && run.err.contains("--new-shards"), "\(run.err)")
            try await cluster.start(extra: ["--new-shards"])
            #expect(try await cluster.send((0..<20).map { event("u\($0)", "a", 0) }).status == 200)
            #expect(try await cluster.counts(["a"]) == [20])
            try await cluster.stop()
        }

        /// S9, O B15: rows of a shard that hangs come back at once, the others' are stored.
        @Test func aShardThatHangsIsDown() async throws {
            try await Cluster.with(shards: 2) { cluster in
                kill(cluster.pid("shard-1"), SIGSTOP)
                defer { kill(cluster.pid("shard-1"), SIGCONT) }
                let first = try await cluster.send(Self.users.map { event($0, "a", 0, id: "a/\($0)") })
                #expect(first.status == 503)
                let stored = Int(first.json["accepted"]?.asInteger ?? 0)
                #expect(stored == 0 || stored == Self.users.count { ClusterMap.bucket(ofUser: ByteString($0)) < 512 })
                try await until {
                    let ready = try await HTTP.call("GET", cluster.ingestHTTP, "/readyz")
                    return ready.status == 200 && ready.text.contains("shard-1: it is down: no answer within 2 s")
                }
                let metrics = try await HTTP.call("GET", cluster.ingestHTTP, "/metrics").text
                #expect(metrics.contains("sluice_ingest_shard_up{shard=\"1\"} 0"))
                // Known to be down: refused before anything is stored.
                let second = try await cluster.send(Self.users.map { event($0, "a", 0, id: "a/\($0)") })
                #expect(second.status == 503 && second.headers["retry-after"] != nil, "\(second.text)")
                let mine = Self.users.filter { ClusterMap.bucket(ofUser: ByteString($0)) < 512 }
                #expect(try await cluster.send(mine.map { event($0, "b", 0) }).status == 200)
                // What is to be sent again: without a key those rows; under a key, where an event's place is its id, all of them.
                let plain = try await cluster.send(Self.users.map { event($0, "p", 0, id: "p/\($0)") })
                let others = Self.users.indices.filter { ClusterMap.bucket(ofUser: ByteString(Self.users[$0])) >= 512 }
                #expect(plain.status == 503 && plain.json["retry"] == .array(others.map { .count($0) }), "\(plain.text)")
                #expect(plain.text.contains("send those of") && plain.text.contains("shard-1: it is down"), "\(plain.text)")
                let keyed = Self.users.map { event($0, "k", 0) }
                let half = try await cluster.send(keyed, headers: ["Idempotency-Key": "K"])
                #expect(
                    half.status == 503 && half.json["retry"] == nil && half.text.contains("send the whole request again"), "\(half.text)")
                kill(cluster.pid("shard-1"), SIGCONT)
                try await until { try await cluster.send(keyed, headers: ["Idempotency-Key": "K"]).status == 200 }
                #expect(
                    try await cluster.counts(["k", "k"], more: [.init("conversion_order", ["flexible": ["limit": "1s"]])]) == [
                        Self.users.count, 0,
                    ])
                try await until { try await cluster.send(Self.users.map { event($0, "a", 0, id: "a/\($0)") }).status == 200 }
                #expect(try await cluster.counts(["a"]) == [Self.users.count])
            }
        }

        /// S13, O B21: signals end the wait, and it says who is not ready and why.
        @Test func startingCanBeStopped() async throws {
            let folder = try Cluster.temporaryDirectory()
            defer { try? FileManager.default.removeItem(at: folder) }
            // A port of the plan is taken by another process: that member can't start.
            try await Cluster.with(shards: 1) { other in
                let taken = other.shardWire(0).split(separator: ":").last.map(String.init) ?? ""
                let log = folder.appendingPathComponent("up.log").path
                let up = try Command.spawn(
                    "sluice",
                    [
                        "up", "--shards", "1", "--data", folder.appendingPathComponent("data").path, "--any-port", "--patience", "600",
                        "--ingest-wire", taken,
                    ], log: log)
                try await Task.sleep(for: .milliseconds(300))
                up.terminate()
                await Command.wait(up)
                #expect(up.terminationStatus == 0)
                let failed = try await Command.run(
                    "sluice",
                    [
                        "up", "--shards", "1", "--data", folder.appendingPathComponent("data").path, "--shard-wire", taken, "--shard-http",
                        "0", "--ingest-wire", "0", "--ingest-http", "0", "--coordinator-wire", "0", "--coordinator-http", "0", "--patience",
                        "4",
                    ])
                #expect(failed.status == 1)
                #expect(failed.err.contains("port \(taken), the wire port of shard-0 (--shard-wire), is in use"), "\(failed.err)")
            }
        }

        /// O B21: `sluice up` reports a member of a running cluster that refuses to start, and starts it again until it succeeds.
        @Test func aMemberThatRefusesIsTriedAgain() async throws {
            try await Cluster.with(shards: 1) { cluster in
                #expect(try await cluster.send([event("u", "a", 0)]).status == 200)
                let database = cluster.directory.appendingPathComponent("data/coordinator/metadata.sqlite")
                let away = cluster.directory.appendingPathComponent("away")
                try FileManager.default.moveItem(at: database, to: away)
                kill(cluster.pid("coordinator"), SIGKILL)
                try await until { cluster.notes.contains("coordinator ended with 2; starting it again") }
                try await until { cluster.notes.contains("the database was lost") }
                #expect(try await cluster.send([event("v", "a", 0)]).status == 200)
                try FileManager.default.moveItem(at: away, to: database)
                try await until { (try? await HTTP.call("GET", cluster.coordinatorHTTP, "/readyz").status) == 200 }
                #expect(try await cluster.counts(["a"]) == [2])
            }
        }

        private func until(line: Int = #line, _ body: () async throws -> Bool) async throws {
            for _ in 0..<400 {
                if try await body() { return }
                try await Task.sleep(for: .milliseconds(50))
            }
            throw Trouble("what line \(line) waits for never came to be")
        }
    }
}

extension String {
    /// Where the machine has this program.
    fileprivate var path: String { Command.find(self) ?? self }
}

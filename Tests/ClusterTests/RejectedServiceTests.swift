import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// Rejected events on real processes: their files, `GET /v1/rejected`, and sending them again.
    struct RejectedServiceTests {
        private static let environment = [
            "SLUICE_WRITE_KEYS": "write-key-of-project-1,2:write-key-of-project-2",
            "SLUICE_READ_KEYS": "read-key-of-project-1,2:read-key-of-project-2", "SLUICE_ADMIN_KEYS": "admin-key-of-project-1",
        ]
        private static let good = #"{"user_id":"u1","event":"Visit","timestamp":"2026-01-01T10:00:00Z","event_id":"e1"}"#
        private static let nobody = #"{"event":"Visit","timestamp":"2026-01-01T10:00:01Z","event_id":"e2"}"#

        private func send(_ ingest: String, _ path: String, _ body: String, type: String = "application/json", key: String? = nil)
            async throws -> HTTP.Answer
        {
            try await HTTP.call("POST", ingest, path, body: Array(body.utf8), headers: ["Content-Type": type], key: key)
        }

        private func incoming(_ coordinator: String, _ query: String = "", key: String? = nil) async throws -> JSONValue {
            let answer = try await HTTP.call("GET", coordinator, "/v1/rejected\(query)", key: key)
            guard answer.status == 200 else { throw Trouble("incoming: \(answer.status) \(answer.text)") }
            return answer.json
        }

        private func events(_ answer: JSONValue) -> [JSONValue] { answer["events"]?.asArray ?? [] }

        private func until(line: Int = #line, _ body: () async throws -> Bool) async throws {
            for _ in 0..<400 {
                if try await body() { return }
                try await Task.sleep(for: .milliseconds(50))
            }
            throw Trouble("what line \(line) waits for does not come")
        }

        private func lines(_ path: String) -> [JSONValue] {
            let text = FileManager.default.contents(atPath: path) ?? Data()
            return text.split(separator: 10).map { (try? JSONParser.parse(Array($0))) ?? .null }
        }

        private func retry(_ text: String, _ cluster: Cluster, _ name: String) async throws -> (done: Command.Result, rejects: [JSONValue])
        {
            let file = cluster.directory.appendingPathComponent(name)
            try Data(text.utf8).write(to: file)
            let done = try await Command.run("sluice", ["load", "--retry-rejected", file.path, "--to", cluster.ingestWire])
            return (done, lines(file.path + ".rejected.ndjson"))
        }

        @Test func rejectedEventsAreKeptShownAndSentAgain() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let file = cluster.directory.appendingPathComponent("data/ingest/rejected/1.ndjson").path
                let many = try await send(cluster.ingestHTTP, "/v1/events", "[\(Self.good), \(Self.nobody)\n, 7]")
                #expect(many.json["accepted"] == 1 && many.json["rejected"]?.asArray?.count == 2)
                _ = try await send(cluster.ingestHTTP, "/v1/events", "\n\(Self.good)\n{\"torn\":\n", type: "application/x-ndjson")
                #expect(try await send(cluster.ingestHTTP, "/track-event", Self.nobody).status == 422)
                #expect(try await send(cluster.ingestHTTP, "/v1/events", "no events").status == 400)
                let call = #"{"event":"Visit","timestamp":"2026-01-01T10:00:02Z","messageId":"m1","writeKey":"k"}"#
                _ = try await send(cluster.ingestHTTP, "/v1/track", call)
                try await until { lines(file).count == 6 }
                let kept = lines(file)
                #expect(
                    kept.map { $0["endpoint"]?.asString?.string } == [
                        "/v1/events", "/v1/events", "/v1/events", "/track-event", "/v1/events", "/v1/track",
                    ])
                #expect(kept[0]["field"] == "user_id" && kept[0]["event"]?["event_id"] == "e2" && kept[0]["key"] == nil)
                #expect(kept[1]["event"] == 7 && kept[2]["text"] == "{\"torn\":" && kept[4]["text"] == "no events")
                #expect(kept[5]["record"]?["messageId"] == "m1" && kept[5]["product"] == "segment" && kept[5]["record"]?["writeKey"] == nil)
                let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
                #expect(mode == 0o600)

                try await until { try await incoming(cluster.coordinatorHTTP)["ingests"] == 1 }
                let shown = try await incoming(cluster.coordinatorHTTP)
                #expect(events(shown).count == 6 && shown["silent"] == [])
                #expect(events(shown).last?["reason"] == kept[0]["reason"] && events(shown).last?["ingest"] == .text(cluster.ingestWire))
                // Taken events are there from the first question about them on.
                _ = try await incoming(cluster.coordinatorHTTP, "?kind=all")
                _ = try await send(
                    cluster.ingestHTTP, "/v1/events", Self.good.replacing("Visit", with: "Sign Up"), type: "application/x-ndjson")
                let taken = events(try await incoming(cluster.coordinatorHTTP, "?kind=taken"))
                #expect(taken.count == 1 && taken[0]["event"] == "Sign Up" && taken[0]["user_id"] == "u1" && taken[0]["outcome"] == "taken")
                #expect(events(try await incoming(cluster.coordinatorHTTP, "?kind=all&event=Sign")).count == 1)
                #expect(events(try await incoming(cluster.coordinatorHTTP, "?limit=2")).count == 2)
                #expect(try await HTTP.call("GET", cluster.coordinatorHTTP, "/v1/rejected?limit=0&kind=x").status == 422)

                // As they are they are rejected again, with their events; repaired they count, and once.
                let text = String(decoding: FileManager.default.contents(atPath: file) ?? Data(), as: UTF8.self)
                let same = try await retry(text + "{\"time\":\"20", cluster, "same.ndjson")
                #expect(same.done.status == 3 && same.done.err.contains("0 accepted, 6 rejected, 1 skipped"), "\(same.done.err)")
                #expect(same.rejects.count == 6 && same.rejects[0]["event"]?["event_id"] == "e2")
                let repaired = text.replacing("\"event\":{", with: "\"event\":{\"user_id\":\"u2\",")
                    .replacing("\"record\":{", with: "\"record\":{\"userId\":\"u3\",")
                for _ in 0..<2 {
                    let again = try await retry(repaired, cluster, "repaired.ndjson")
                    #expect(again.done.status == 3 && again.done.err.contains("3 accepted, 3 rejected"), "\(again.done.err)")
                }
                let sameSecond: [JSONValue.Member] = [.init("conversion_order", ["flexible": ["limit": "1s"]])]
                // u1, u2 (twice in the file, one event id), u3.
                #expect(try await cluster.counts(["Visit", "Visit"], more: sameSecond) == [3, 0])
            }
        }

        @Test func rejectsOfALoadAreSentAgain() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let csv = cluster.directory.appendingPathComponent("events.csv")
                try Data("user_id,event,timestamp,price\nu1,Buy,2026-01-01T10:00:00Z,5\nu2,,2026-01-01T10:00:01Z,7\n".utf8).write(to: csv)
                let first = try await Command.run("sluice", ["load", csv.path, "--to", cluster.ingestWire])
                let path = csv.path + ".rejected.ndjson"
                #expect(first.status == 3 && lines(path).count == 1)
                let event = try #require(lines(path)[0]["event"])
                #expect(event["user_id"] == "u2" && event["properties"]?["price"] == 7)
                #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
                var members = event.asObject ?? []
                members.removeAll { $0.key == "event" || $0.key == "event_type" }
                let line: JSONValue = ["line": 3, "last_line": 3, "reason": "", "event": .object(members + [.init("event", "Buy")])]
                for _ in 0..<2 {
                    let again = try await retry(String(decoding: line.encode(), as: UTF8.self), cluster, "again.ndjson")
                    #expect(again.done.status == 0 && again.done.err.contains("1 accepted"), "\(again.done.err)")
                }
                #expect(try await cluster.counts(["Buy"]) == [2])
                // Other files are not taken for one of rejected events.
                let other = try await retry(Self.good, cluster, "other.ndjson")
                #expect(other.done.status == 3 && other.rejects[0]["reason"]?.asString?.string.contains("--retry-rejected") == true)
                #expect(try await retry("a,b\n1,2\n", cluster, "other.csv").done.status == 1)
                let wrong = try await Command.run("sluice", ["load", "--retry-rejected", csv.path, "--idempotency-key", "k"])
                #expect(wrong.status != 0 && wrong.err.contains("--retry-rejected"))
            }
        }

        /// What a retry rejects is a file of rejected events again, and its events are read as strictly as ingest reads them.
        @Test func rejectsOfARetryAreSentAgain() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let file = cluster.directory.appendingPathComponent("data/ingest/rejected/1.ndjson").path
                _ = try await send(cluster.ingestHTTP, "/batch/", #"{"api_key":"k","batch":[{"event":"Q","uuid":"1"}]}"#)
                let twice = #"{"user_id":"u1","event":"Q","timestamp":"2026-01-01","properties":{"a":1,"a":2}}"#
                _ = try await send(cluster.ingestHTTP, "/v1/events", "[\(twice)]")
                try await until { lines(file).count == 2 }
                let first = try await retry(
                    String(decoding: FileManager.default.contents(atPath: file) ?? Data(), as: UTF8.self), cluster, "first.ndjson")
                #expect(first.done.status == 3 && first.rejects.count == 2, "\(first.done.err)")
                let record = try #require(first.rejects.first)
                let kept = lines(file)[0]
                for name in ["time", "endpoint", "product", "record"] as [ByteString] {
                    #expect(record[name] != nil && record[name] == kept[name], "\(name)")
                }
                #expect(first.rejects.last?["reason"]?.asString?.string.hasPrefix("properties.a: ") == true, "\(first.rejects)")

                let path = cluster.directory.appendingPathComponent("first.ndjson.rejected.ndjson").path
                #expect(
                    first.done.err.hasSuffix(
                        "then send them: sluice load --retry-rejected \(path) --to \(cluster.ingestWire)\n"), "\(first.done.err)")
                let rejected = String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
                let repaired = rejected.replacing("\"record\":{", with: "\"record\":{\"distinct_id\":\"u2\",")
                    .replacing("\"a\":1,", with: "")
                let second = try await retry(repaired, cluster, "second.ndjson")
                #expect(second.done.status == 0 && second.done.err.contains("2 accepted"), "\(second.done.err)")
                #expect(try await cluster.counts(["Q"]) == [2])
                let without = try await retry(#"{"reason":"r","time":"2026-01-01","record":{"event":"Q"}}"#, cluster, "without.ndjson")
                #expect(without.rejects.first?["reason"] == "product: the line has no product")
            }
        }

        /// Records of a preset are kept as text; the command that is printed sends them.
        @Test func theCommandForARetryHasTheOptionsOfTheLoad() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let export = cluster.directory.appendingPathComponent("it's export.ndjson")
                let line = #"{"event":"Paid","properties":{"time":1767261600,"$insert_id":"i1"}}"#
                try Data((line + "\n").utf8).write(to: export)
                let first = try await Command.run(
                    "sluice",
                    ["load", export.path, "--preset", "mixpanel-export", "--time-zone", "Europe/Berlin", "--to", cluster.ingestWire])
                let path = export.path + ".rejected.ndjson"
                #expect(first.status == 3 && lines(path).first?["text"] == .text(line), "\(first.err)")
                #expect(lines(path).first?["reason"]?.asString?.string.hasPrefix("properties.distinct_id: ") == true, "\(lines(path))")
                let command = try #require(first.err.split(separator: "then send them: ").last, "\(first.err)")
                #expect(command.contains(" --preset mixpanel-export --time-zone Europe/Berlin --to "), "\(command)")
                let repaired = String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
                    .replacing(#"\"time\":"#, with: #"\"distinct_id\":\"u1\",\"time\":"#)
                try Data(repaired.utf8).write(to: URL(fileURLWithPath: path))
                let again = try await Command.run("/bin/sh", ["-c", "PATH='\(Cluster.programs.path)':$PATH \(command)"])
                #expect(again.status == 0 && again.err.contains("1 accepted"), "\(again.err)")
                #expect(try await cluster.counts(["Paid"]) == [1])

                // Rows of CSV that could not be read are repaired where they are.
                let csv = cluster.directory.appendingPathComponent("rows.csv")
                try Data("user_id,event,timestamp\nu1,Buy\n".utf8).write(to: csv)
                let rows = try await Command.run("sluice", ["load", csv.path, "--to", cluster.ingestWire])
                #expect(rows.status == 3 && rows.err.hasSuffix("1 row could not be read. Repair them in \(csv.path), then load it again\n"))
                let text = String(decoding: FileManager.default.contents(atPath: csv.path + ".rejected.ndjson") ?? Data(), as: UTF8.self)
                let wrong = try await retry(text, cluster, "rows.ndjson")
                #expect(wrong.rejects.first?["text"] == "u1,Buy", "\(wrong.rejects)")
                #expect(wrong.rejects.first?["reason"]?.asString?.string.contains("a row of CSV") == true, "\(wrong.rejects)")
            }
        }

        @Test func theCoordinatorAsksEveryIngestAndNamesTheSilentOnes() async throws {
            try await Services.with(environment: Self.environment) { services in
                let shardWire = services.port()
                let coordinator = try services.start("sluice-coordinator", data: "c", ["--shards", "127.0.0.1:\(shardWire)"])
                let tie = ["--coordinator", coordinator.wire]
                let shard = try services.start("sluice-shard", data: "s", wire: shardWire, tie)
                let first = try services.start("sluice-ingest", data: "i1", tie)
                let second = try services.start("sluice-ingest", data: "i2", tie)
                for service in [shard, first, second] { try await services.until(service, answers: 200) }
                let (read, write) = ("read-key-of-project-1", "write-key-of-project-1")
                for ingest in [first, second] { _ = try await send(ingest.http, "/v1/events", "[\(Self.nobody)]", key: write) }
                try await until { events(try await incoming(coordinator.http, key: read)).count == 2 }
                let both = try await incoming(coordinator.http, key: read)
                #expect(
                    both["ingests"] == 2 && Set(events(both).compactMap { $0["ingest"]?.asString?.string }) == [first.wire, second.wire])

                // Another project sees nothing, and a write key reads nothing.
                #expect(events(try await incoming(coordinator.http, key: "read-key-of-project-2")).isEmpty)
                for (key, status) in [(write, 403), ("wrong-key-of-nobody", 401), ("admin-key-of-project-1", 200)] {
                    #expect(try await HTTP.call("GET", coordinator.http, "/v1/rejected", key: key).status == status, "\(key)")
                }
                #expect(try await HTTP.call("GET", coordinator.http, "/v1/rejected").status == 401)
                _ = try await send(first.http, "/v1/events", "[\(Self.nobody)]", key: "write-key-of-project-2")
                try await until { events(try await incoming(coordinator.http, key: "read-key-of-project-2")).count == 1 }
                #expect(events(try await incoming(coordinator.http, key: read)).count == 2)

                // Killed, an ingest is silent. Its lines remain, and are shown again.
                let file = services.path("i2/rejected/1.ndjson")
                try await until { lines(file).count == 1 }
                kill(second.process.processIdentifier, SIGKILL)
                await Command.wait(second.process)
                let one = try await incoming(coordinator.http, key: read)
                #expect(one["silent"] == [.text(second.wire)] && one["ingests"] == 2 && events(one).count == 1)
                let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
                try handle.seekToEnd()
                try handle.write(contentsOf: Data("{\"time\":\"2026".utf8))
                try handle.close()
                let port = second.wire.split(separator: ":").last.flatMap { Int($0) }
                let third = try services.start("sluice-ingest", data: "i2", wire: port, tie)
                try await services.until(third, answers: 200)
                try await until { try await incoming(coordinator.http, key: read)["silent"] == [] }
                #expect(events(try await incoming(coordinator.http, key: read)).count == 2)
                #expect(lines(file).count == 1)
                try await checkProjects(services, first)

                // One that is stopped is neither asked nor silent.
                await services.stop(first)
                let left = try await incoming(coordinator.http, key: read)
                #expect(left["ingests"] == 1 && left["silent"] == [] && events(left).count == 1)
                await services.stop(third, shard, coordinator)
            }
        }

        /// Events go to the project that their lines name, or nowhere.
        private func checkProjects(_ services: Services, _ ingest: Services.Service) async throws {
            func repaired(_ project: Int) throws -> String {
                let file = URL(fileURLWithPath: services.path("i1/rejected/\(project).ndjson"))
                return String(decoding: try Data(contentsOf: file), as: UTF8.self).replacing(
                    "\"event\":{", with: "\"event\":{\"user_id\":\"u1\",")
            }
            let (own, mixed) = (services.path("own.ndjson"), services.path("mixed.ndjson"))
            try Data(try repaired(2).utf8).write(to: URL(fileURLWithPath: own))
            try Data((try repaired(2) + repaired(1)).utf8).write(to: URL(fileURLWithPath: mixed))
            func load(_ file: String, _ key: String) async throws -> Command.Result {
                try await Command.run("sluice", ["load", "--retry-rejected", file, "--to", ingest.wire], environment: ["SLUICE_KEY": key])
            }
            let other = try await load(own, "write-key-of-project-1")
            #expect(
                other.status == 1 && other.err.contains("the events are of project 2; give a write key of this project"), "\(other.err)")
            let good = try await load(own, "write-key-of-project-2")
            #expect(good.status == 0 && good.err.contains("1 accepted"), "\(good.err)")
            let both = try await load(mixed, "write-key-of-project-2")
            #expect(both.status == 3 && both.err.contains("1 accepted, 1 rejected"), "\(both.err)")
            let rejects = lines(mixed + ".rejected.ndjson")
            #expect(rejects.count == 1 && rejects[0]["project"] == 1, "\(rejects)")
            #expect(rejects.first?["reason"]?.asString?.string.hasPrefix("project: the event is of project 1,") == true, "\(rejects)")
        }

        @Test func afterAFullDiskIngestGoesOn() async throws {
            try await Services.with { services in
                let shardWire = services.port()
                let coordinator = try services.start("sluice-coordinator", data: "c", ["--shards", "127.0.0.1:\(shardWire)"])
                let tie = ["--coordinator", coordinator.wire]
                let folder = services.path("i/rejected")
                try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
                try FileManager.default.createSymbolicLink(atPath: "\(folder)/1.ndjson", withDestinationPath: "/dev/full")
                let shard = try services.start("sluice-shard", data: "s", wire: shardWire, tie)
                let ingest = try services.start("sluice-ingest", data: "i", tie)
                let off = try services.start("sluice-ingest", data: "off", tie + ["--rejected-mb", "0"])
                for service in [shard, ingest, off] { try await services.until(service, answers: 200) }
                for service in [ingest, off] {
                    for _ in 0..<3 {
                        let answer = try await send(service.http, "/v1/events", "[\(Self.good),\(Self.nobody)]")
                        #expect(answer.status == 200 && answer.json["accepted"] == 1)
                    }
                }
                try await until {
                    try await HTTP.call("GET", ingest.http, "/metrics").text.contains("\nsluice_ingest_rejected_not_kept_total 3\n")
                }
                #expect(ingest.log.contains("rejected events could not be kept"))
                // Those in memory are shown all the same; the ingest that keeps none has none.
                try await until { try await incoming(coordinator.http)["ingests"] == 2 }
                #expect(
                    events(try await incoming(coordinator.http)).map { $0["ingest"]?.asString?.string } == [
                        ingest.wire, ingest.wire, ingest.wire,
                    ])
                #expect(!FileManager.default.fileExists(atPath: services.path("off/rejected")))
                let wrong = try await Command.run(
                    "sluice-ingest", ["--data", services.path("w"), "--advertise", "nowhere"],
                    environment: ["SLUICE_CLUSTER_SECRET": "a secret of the cluster, long enough"])
                #expect(wrong.status != 0 && wrong.err.contains("--advertise"))
                await services.stop(off, ingest, shard, coordinator)
            }
        }
    }
}

import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// What clients and operators see of a running cluster, over HTTP.
    struct ServiceBehaviourTests {
        private static let flexible: [JSONValue.Member] = [.init("conversion_order", ["flexible": ["limit": "1s"]])]

        @Test func eventsGoInAndFunnelsComeOut() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let one = try await HTTP.call(
                    "POST", cluster.ingestHTTP, "/track-event",
                    body: Array(#"{"user_id":"u1","event_type":"a","timestamp":"2023-11-14T22:13:20Z"}"#.utf8))
                #expect(one.status == 200)
                #expect(one.json == ["status": "success", "message": "Event recorded successfully"])
                let batch = try await cluster.send([
                    event("u1", "b", 60), event("u2", "a", 0), ["user_id": "", "event": "a", "timestamp": 1], event("u2", "b", 0),
                ])
                #expect(batch.status == 200)
                #expect(batch.json["accepted"] == 3)
                #expect(batch.json["rejected"]?.asArray?.first?["index"] == 2)
                #expect(try await cluster.counts(["a", "b"]) == [2, 1])
                #expect(try await cluster.counts(["a", "b"], more: Self.flexible) == [2, 2])
            }
        }

        /// Array, object, NDJSON, gzip; a trailing slash is no redirect.
        @Test func allEntrancesTakeTheSameEvents() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let object = try await HTTP.call(
                    "POST", cluster.ingestHTTP, "/v1/events/", body: JSONValue.object([.init("events", [event("n1", "x", 0)])]).encode())
                #expect(object.status == 200 && object.json["accepted"] == 1)
                let lines = event("n2", "x", 0).encode() + Array("\nnot json\n\n".utf8) + event("n3", "x", 0).encode()
                let ndjson = try await HTTP.call(
                    "POST", cluster.ingestHTTP, "/v1/events", body: lines, headers: ["Content-Type": "application/x-ndjson"])
                #expect(ndjson.json["accepted"] == 2)
                #expect(ndjson.json["rejected"]?.asArray?.map { $0["index"] } == [1])
                let file = cluster.directory.appendingPathComponent("z.json")
                try Data(JSONValue.array([event("n4", "x", 0)]).encode()).write(to: file)
                let packed = try await Command.run("/bin/sh", ["-c", "gzip -c '\(file.path)' > '\(file.path).gz'"])
                #expect(packed.status == 0)
                let gzip = try await HTTP.call(
                    "POST", cluster.ingestHTTP, "/v1/events", body: Array(try Data(contentsOf: URL(fileURLWithPath: file.path + ".gz"))),
                    headers: ["Content-Encoding": "gzip"])
                #expect(gzip.json["accepted"] == 1)
                if let curl = Command.find("curl") {
                    // Clients that ask first, as curl does with large bodies, must not have to wait for their own patience.
                    let asked = try await Command.run(
                        curl, ["-sv", "-H", "Expect: 100-continue", "--data-binary", "[]", "http://\(cluster.ingestHTTP)/v1/events"])
                    #expect(asked.err.contains("100 Continue") && asked.out.contains(#""accepted":0"#), "\(asked.err)")
                }
                #expect(try await cluster.counts(["x"]) == [4])
            }
        }

        @Test func aRepeatUnderOneKeyIsStoredOnce() async throws {
            try await Cluster.with(shards: 2) { cluster in
                for _ in 0..<2 {
                    _ = try await cluster.send([event("k1", "y", 0), event("k1", "y", 0)], headers: ["Idempotency-Key": "K"])
                }
                #expect(try await cluster.counts(["y", "y"], more: Self.flexible) == [1, 1])
                #expect(
                    try await cluster.counts(["y", "y", "y"], more: Self.flexible) == [1, 1, 0])
                // A short request and one that is read by other ways; the same of each twice is one event.
                for (name, size) in [("short", 1), ("long", 8_000)] {
                    let properties = JSONValue.object(
                        (0..<3).map { .init(ByteString("p\($0)"), .text(String(repeating: "x", count: size))) })
                    for _ in 0..<2 {
                        let answer = try await HTTP.call(
                            "POST", cluster.ingestHTTP, "/track-event", body: event("k1", name, 0, properties: properties).encode(),
                            headers: ["Idempotency-Key": "T-\(name)"])
                        #expect(answer.status == 200, "\(answer.text)")
                    }
                    #expect(
                        try await cluster.counts([name, name], more: Self.flexible) == [1, 0])
                }
            }
        }

        @Test func requestsOfOtherOriginsAreRefused() async throws {
            try await Cluster.with(shards: 2) { cluster in
                for (path, body) in [("/v1/events", JSONValue.array([event("o", "evil", 0)])), ("/track-event", event("o", "evil", 0))] {
                    let foreign = try await HTTP.call(
                        "POST", cluster.ingestHTTP, path, body: body.encode(), headers: ["Origin": "http://evil.example"])
                    #expect(foreign.status == 403, "\(foreign.text)")
                }
                #expect(try await cluster.counts(["evil"]) == [0])
            }
        }

        @Test func errorsHaveTheShapesOfTheSeed() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let missing = try await HTTP.call("POST", cluster.ingestHTTP, "/track-event", body: Array(#"{"user_id":"u"}"#.utf8))
                #expect(missing.status == 422)
                #expect(missing.json["detail"]?.asArray?.first?["loc"] == ["body", "event_type"])
                #expect(missing.json["detail"]?.asArray?.first?["type"] == "missing")
                #expect(try await HTTP.call("GET", cluster.ingestHTTP, "/track-event").status == 405)
                let twice = #"{"user_id":"s1","user_id":"s2","event":"strict","timestamp":1700000000}"#
                let refused = try await HTTP.call("POST", cluster.ingestHTTP, "/track-event", body: Array(twice.utf8))
                #expect(refused.status == 422)
                #expect(
                    refused.json["detail"]?.asArray?.first == [
                        "loc": ["body", "user_id"], "msg": "is given twice", "type": "json_invalid",
                    ])
                let good = #"{"user_id":"s1","event":"strict","timestamp":1700000000,"properties":{"n":NaN}}"#
                let batch = try await HTTP.call("POST", cluster.ingestHTTP, "/v1/events", body: Array("[\(twice),\(good)]".utf8))
                #expect(batch.status == 200)
                #expect(batch.json == ["accepted": 1, "rejected": [["index": 0, "reason": "user_id: is given twice"]]])
                let body = try await HTTP.call(
                    "POST", cluster.ingestHTTP, "/v1/events", body: Array(#"{"events":[\#(good)],"events":[]}"#.utf8))
                #expect(body.status == 400 && body.json["detail"] == "events: is given twice")
                #expect(try await HTTP.call("GET", cluster.coordinatorHTTP, "/funnel-performance").status == 404)
            }
        }

        @Test func whatIsMalformedIsNamed() async throws {
            try await Cluster.with(shards: 2) { cluster in
                #expect(try await cluster.send([event("u1", "a", 0), event("u2", "a", 0)]).status == 200)
                func query(_ text: String) async throws -> HTTP.Answer {
                    try await HTTP.call("POST", cluster.coordinatorHTTP, "/v1/query", body: Array(text.utf8))
                }
                func fields(_ answer: HTTP.Answer) -> [String] {
                    answer.json["errors"]?.asArray?.compactMap { $0["field"]?.asString?.string } ?? []
                }
                #expect(try await query("{").status == 400)
                #expect(try await HTTP.call("POST", cluster.ingestHTTP, "/v1/events", body: Array("[1,".utf8)).status == 400)
                let deep = String(repeating: "[", count: 70) + String(repeating: "]", count: 70)
                let mixed = "[\(String(decoding: event("d1", "z", 0).encode(), as: UTF8.self)),{\"x\":\(deep)},{\"y\":tru}]"
                let partly = try await HTTP.call("POST", cluster.ingestHTTP, "/v1/events", body: Array(mixed.utf8))
                #expect(partly.json["accepted"] == 1)
                #expect(partly.json["rejected"]?.asArray?.map { $0["index"] } == [1, 2])
                #expect(
                    try await query(#"{"funnel": {"steps": ["a"]}, "start": "2024-03-10T00:00", "time_zone": "America/New_York"}"#).status
                        == 422)
                #expect(try await query(#"{"funnel": {"steps": ["a"]}, "start": "2024-03-02", "end": "2024-03-01"}"#).status == 422)
                #expect(try await query(#"{"funnel": {"steps": ["a"]}, "end": "1969-12-31"}"#).json["entered"] == 0)
                #expect(
                    try await query(#"{"funnel": {"steps": ["a"]}, "as_of": "2030-01-01T00:00:00Z", "times": "none"}"#).json["times"]
                        == "none")
                let empty = try await query(#"{"funnel": {"steps": []}}"#)
                #expect(empty.status == 422 && fields(empty) == ["funnel.steps"])
                #expect(empty.headers["content-type"] == "application/problem+json")
                let many = try await query(#"{"funnel": {"steps": [\#((0..<65).map { "\"s\($0)\"" }.joined(separator: ","))]}}"#)
                #expect(many.status == 422 && fields(many) == ["funnel.steps"])
                let several = try await query(
                    #"{"funnel": {"steps": ["a"]}, "start": "2024-02-01", "end": "2024-01-01", "time_zone": "Mars/Base", "what": 1, "trend": {}}"#
                )
                #expect(Set(fields(several)) == ["end", "time_zone", "what", "trend.by"])
                #expect(try await query(#"{"funnel_id": "nope"}"#).status == 404)
                #expect(try await query(#"{"funnel": {"steps": ["a"]}, "start": "2023-11-14", "end": "2023-11-14"}"#).json["entered"] == 2)
                #expect(try await query(#"{"funnel": {"steps": ["a"]}, "start": "2023-11-15"}"#).json["entered"] == 0)
                #expect(
                    try await query(#"{"funnel": {"steps": ["a"]}, "start": "2023-11-14T22:13:20Z", "end": "2023-11-14T22:13:20Z"}"#).json[
                        "entered"] == 0)
                #expect(
                    try await query(#"{"funnel": {"steps": ["a"]}, "start": "2023-11-15", "time_zone": "Asia/Tokyo"}"#).json["entered"] == 2
                )
                let unknown = try await HTTP.call("GET", cluster.coordinatorHTTP, "/nothing/here")
                #expect(unknown.status == 404 && unknown.json["title"] == "not found")
            }
        }

        @Test func savedFunnelsAreKeptReplacedAndDeleted() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let events = [event("u1", "a", 0), event("u1", "b", 60), event("u2", "a", 0), event("u2", "b", 0)]
                #expect(try await cluster.send(events).status == 200)
                let body = Array(#"{"steps": ["a", "b"], "default": true}"#.utf8)
                func put(_ id: String, _ bytes: [UInt8], _ headers: [String: String] = [:]) async throws -> HTTP.Answer {
                    try await HTTP.call("PUT", cluster.coordinatorHTTP, "/v1/funnels/\(id)", body: bytes, headers: headers)
                }
                let made = try await put("one", body)
                #expect(made.status == 201)
                let tag = try #require(made.headers["etag"])
                #expect(try await put("one", body, ["If-Match": tag]).status == 200)
                #expect(try await put("one", body, ["If-Match": tag]).status == 412)
                #expect(try await put("two", Array(#"{"steps": ["b"], "funnel_id": "other"}"#.utf8)).status == 422)
                #expect(try await put("t%20wo", body).status == 422)
                #expect(try await put("two", Array(#"{"steps": ["b"]}"#.utf8)).status == 201)
                let standing = try await HTTP.call("GET", cluster.coordinatorHTTP, "/funnel-performance")
                #expect(Report(standing.json).counts == [2, 1])
                #expect(
                    try await HTTP.call("GET", cluster.coordinatorHTTP, "/funnel-performance?start_date=yesterday").json["detail"]?.asArray?
                        .first?["loc"] == ["query", "start_date"])
                #expect(
                    try await HTTP.call("PUT", cluster.coordinatorHTTP, "/v1/funnels/one", body: Array(#"{"steps": ["a", "b"]}"#.utf8))
                        .status
                        == 200)
                #expect(try await HTTP.call("GET", cluster.coordinatorHTTP, "/funnel-performance").status == 409)
                let list = try await HTTP.call("GET", cluster.coordinatorHTTP, "/v1/funnels")
                #expect(list.json["funnels"]?.asArray?.count == 2)
                #expect(try await HTTP.call("DELETE", cluster.coordinatorHTTP, "/v1/funnels/two").status == 204)
                #expect(try await HTTP.call("DELETE", cluster.coordinatorHTTP, "/v1/funnels/two").status == 404)
                #expect(
                    Report(try await HTTP.call("GET", cluster.coordinatorHTTP, "/funnel-performance?funnel_id=one").json).counts == [2, 1])
            }
        }

        @Test func servicesTellTheirHealthAndTheirMetrics() async throws {
            try await Cluster.with(shards: 2) { cluster in
                for address in [cluster.ingestHTTP, cluster.coordinatorHTTP, cluster.shardHTTP(0)] {
                    #expect(try await HTTP.call("GET", address, "/healthz").status == 200)
                    #expect(try await HTTP.call("GET", address, "/readyz").status == 200)
                    let metrics = try await HTTP.call("GET", address, "/metrics")
                    #expect(metrics.text.contains("sluice_ready 1"))
                }
                let page = try await HTTP.call("GET", cluster.coordinatorHTTP, "/")
                #expect(page.status == 200 && page.text.contains("<title>Sluice</title>"))
            }
        }

        /// Saved funnels are newer than the cluster map that the others wait for; that must not keep the waiters busy.
        @Test func anIdleCoordinatorDoesNotSpin() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let saved = try await HTTP.call(
                    "PUT", cluster.coordinatorHTTP, "/v1/funnels/one", body: Array(#"{"steps": ["a", "b"]}"#.utf8))
                #expect(saved.status == 201)
                // On a machine with other work a second may be longer than it seems; a process that spins is busy in all of them.
                var least = Double.infinity
                for _ in 0..<8 where least >= 40 {
                    let (start, before) = (ContinuousClock.now, try cpuTicks(cluster.pid("coordinator")))
                    try await Task.sleep(for: .seconds(1))
                    let ticks = Double(try cpuTicks(cluster.pid("coordinator")) - before)
                    least = min(least, ticks / ((ContinuousClock.now - start) / .seconds(1)))
                }
                #expect(least < 40, "an idle coordinator uses \(least) % of a CPU")
            }
        }

        /// Hundredths of a second of CPU that a process has used.
        private func cpuTicks(_ pid: Int32) throws -> Int {
            let fields =
                try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8).split(separator: ")").last?.split(separator: " ") ?? []
            return (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0)
        }

        @Test func loadTakesTheChosenColumns() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let lines = [
                    #"{"event_type":"track","status":"paid","who":"u1","user_id":"x","at":"2023-11-14T22:13:20Z","timestamp":"2020-01-01T00:00:00Z","event_id":"same"}"#,
                    #"{"event_type":"track","status":"paid","who":"u2","at":"2023-11-14T22:13:20Z","event_id":"same"}"#,
                    #"{"event_type":"track","status":"paid","user_id":"u3","at":"2023-11-14T22:13:20Z"}"#,
                ]
                let file = cluster.directory.appendingPathComponent("chosen.ndjson")
                try Data(lines.joined(separator: "\n").utf8).write(to: file)
                let done = try await Command.run(
                    "sluice",
                    [
                        "load", file.path, "--event", "status", "--user-id", "who", "--timestamp", "at", "--event-id", "", "--to",
                        cluster.ingestWire,
                    ])
                #expect(done.status == 3 && done.err.contains("2 accepted, 1 rejected"), "\(done.err)")
                #expect(try await cluster.counts(["paid"]) == [2])
                #expect(try await cluster.counts(["track"]) == [0])
            }
        }

        @Test func listsHaveTheLengthOfTheirCount() async throws {
            try await Cluster.with(shards: 2) { cluster in
                var random = SplitMix64(seed: 3)
                var events: [JSONValue] = []
                for user in 0..<700 {
                    for _ in 0..<(1 + random.below(6)) {
                        events.append(event("user \(user)", random.pick(["a", "b", "c"]), Double(random.below(100_000))))
                    }
                }
                #expect(try await cluster.send(events).status == 200)
                let funnel: JSONValue = ["steps": ["a", "b", "c"], "window_duration": "6h"]
                let counts = Report(try await cluster.query(["funnel": funnel])).counts
                for step in 1...3 {
                    let reached = try await cluster.users(funnel, step: step, outcome: "reached", page: 97)
                    #expect(reached.count == counts[step - 1])
                    #expect(reached == reached.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) })
                    if step > 1 {
                        let dropped = try await cluster.users(funnel, step: step, outcome: "dropped", page: 50)
                        #expect(dropped.count == counts[step - 2] - counts[step - 1])
                    }
                }
                #expect(try await cluster.users(funnel, step: 1, outcome: "converted").count == counts[2])
            }
        }

        @Test func keysOpenTheirProjectAndNothingElse() async throws {
            let keys = [
                "SLUICE_WRITE_KEYS": "write-key-1,2:write-key-2", "SLUICE_READ_KEYS": "read-key-1,2:read-key-2",
                "SLUICE_ADMIN_KEYS": "admin-key-1",
            ]
            try await Cluster.with(shards: 2, environment: keys) { cluster in
                #expect(try await cluster.send([event("u", "a", 0)]).status == 401)
                #expect(try await cluster.send([event("u", "a", 0)], key: "wrong-key").status == 401)
                #expect(try await cluster.send([event("u", "a", 0)], key: "read-key-1").status == 403)
                #expect(try await cluster.send([event("u", "a", 0)], key: "write-key-1").status == 200)
                #expect(try await cluster.send([event("u", "a", 0), event("v", "a", 0)], key: "write-key-2").status == 200)
                let body: JSONValue = ["funnel": ["steps": ["a"]]]
                func entered(_ key: String) async throws -> JSONValue? { try await cluster.query(body, key: key)["entered"] }
                #expect(try await entered("read-key-1") == 1)
                #expect(try await entered("read-key-2") == 2)
                #expect(try await entered("admin-key-1") == 1)
                #expect(
                    try await HTTP.call("POST", cluster.coordinatorHTTP, "/v1/query", body: body.encode(), key: "write-key-1").status == 403
                )
                let put = try await HTTP.call(
                    "PUT", cluster.coordinatorHTTP, "/v1/funnels/f", body: Array(#"{"steps":["a"]}"#.utf8), key: "admin-key-1")
                #expect(put.status == 201)
                #expect(try await HTTP.call("GET", cluster.coordinatorHTTP, "/v1/funnels/f", key: "read-key-1").status == 200)
                #expect(try await HTTP.call("GET", cluster.coordinatorHTTP, "/v1/funnels/f", key: "read-key-2").status == 404)
                #expect(try await HTTP.call("GET", cluster.coordinatorHTTP, "/v1/funnels/f").status == 401)
                #expect(try await HTTP.call("GET", cluster.coordinatorHTTP, "/healthz").status == 200)
                let asked = try await Command.run(
                    "sluice", ["query", "--steps", "a", "--to", cluster.coordinatorWire, "--format", "json"],
                    environment: ["SLUICE_KEY": "read-key-2"])
                #expect(try JSONParser.parse(Array(asked.out.utf8))["entered"] == 2)
                let refused = try await Command.run("sluice", ["query", "--steps", "a", "--to", cluster.coordinatorWire])
                #expect(refused.status != 0 && refused.err.contains("key"))
            }
        }

        @Test func dataOfTwoShardsIsRefusedByThree() async throws {
            let two = try Cluster(shards: 2)
            defer { try? FileManager.default.removeItem(at: two.directory) }
            try await two.start()
            #expect(try await two.send([event("u", "a", 0)]).status == 200)
            try await two.stop()
            let data = two.directory.appendingPathComponent("data").path
            let three = try await Command.run("sluice", ["up", "--any-port", "--shards", "3", "--data", data])
            #expect(three.status != 0)
            #expect(three.err.contains("this cluster was made with 2"), "\(three.err)")
            let verified = try await Command.run("sluice", ["verify", data + "/shard-0"])
            #expect(verified.status == 0, "\(verified.out)")
            try await two.start()
            #expect(try await two.counts(["a"]) == [1])
            try await two.stop()
        }

        @Test func offLoopbackNeedsSecretKeysAndTLS() async throws {
            let folder = try Cluster.temporaryDirectory()
            defer { try? FileManager.default.removeItem(at: folder) }
            let open = ["--host", "0.0.0.0", "--data", folder.path, "--shards", "127.0.0.1:1", "--http-port", "0", "--wire-port", "0"]
            let bare = try await Command.run("sluice-coordinator", open)
            #expect(bare.status == 2)
            #expect(bare.err.contains("SLUICE_CLUSTER_SECRET") && bare.err.contains("--tls-cert"))
            let keyless = try await Command.run(
                "sluice-coordinator", open + ["--allow-plain-text"],
                environment: ["SLUICE_CLUSTER_SECRET": String(repeating: "s", count: 32)])
            #expect(keyless.status == 2 && keyless.err.contains("no key is configured"))
            let wrong = try await Command.run("sluice-shard", ["--http-port", "x", "--bogus", "--wire-port", "99999"])
            #expect(wrong.status == 2)
            #expect(["--http-port", "--bogus", "--wire-port"].allSatisfy { wrong.err.contains($0) })
        }
    }
}

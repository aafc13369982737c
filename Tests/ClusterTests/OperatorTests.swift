import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// What an operator sees and does: logs, errors at the start, ends by signal, figures.
    struct OperatorTests {
        private func withFolder<T>(_ body: (URL) async throws -> T) async throws -> T {
            let folder = try Cluster.temporaryDirectory()
            defer { try? FileManager.default.removeItem(at: folder) }
            return try await body(folder)
        }

        /// The last steps of a program that is to end by itself within this time.
        private func end(_ process: Process, within limit: Duration) async throws -> Duration {
            let start = ContinuousClock.now
            while process.isRunning, ContinuousClock.now - start < limit { try await Task.sleep(for: .milliseconds(10)) }
            if process.isRunning {
                kill(process.processIdentifier, SIGKILL)
                throw Trouble("it did not end within \(limit)")
            }
            return ContinuousClock.now - start
        }

        @Test func aNormalLifeLogsNoWarning() async throws {
            try await withFolder { folder in
                let cluster = try Cluster(shards: 2, directory: folder)
                for _ in 0..<2 {
                    try await cluster.start()
                    #expect(try await cluster.send([event("u1", "a", 0), event("u2", "a", 1), event("u1", "b", 60)]).status == 200)
                    #expect(try await cluster.counts(["a", "b"]) == [2, 1])
                    try await cluster.stop()
                }
                let log = cluster.log
                #expect(log.contains("level=info") && log.contains("msg=stopped"))
                let loud = log.split(separator: "\n").filter { line in
                    ["warning", "error", "critical"].contains { line.contains("level=\($0)") } || !line.contains("level=")
                }
                #expect(loud.isEmpty, "\(loud)")
            }
        }

        /// S25: keys that can be guessed stay valid, since installations have them, and are warned of by place, never by value.
        @Test func shortKeysAreWarnedOf() async throws {
            let keys = ["SLUICE_WRITE_KEYS": "1:long-enough-for-everybody,1:fifteen-bytes-x", "SLUICE_READ_KEYS": "1:sixteen-bytes-xx"]
            try await Cluster.with(shards: 1, environment: keys) { cluster in
                let answer = try await cluster.send([event("u1", "a", 0)], key: "fifteen-bytes-x")
                #expect(answer.status == 200)
                let warnings = cluster.log.components(separatedBy: "\n").filter { $0.contains("fewer than 16 bytes") }
                #expect(warnings.count == 1)
                #expect(warnings.first?.contains("level=warning") == true, "\(warnings)")
                #expect(!cluster.log.contains("fifteen-bytes-x"))
            }
        }

        @Test func dataThatIsMissingIsNotTakenForNew() async throws {
            try await withFolder { folder in
                let cluster = try Cluster(shards: 2, directory: folder)
                try await cluster.start()
                #expect(try await cluster.send((0..<20).map { event("u\($0)", "a", 0) }).status == 200)
                try await cluster.stop()
                let data = folder.appendingPathComponent("data")
                for (name, advice) in [("shard-1", "--new-shards"), ("coordinator", "sluice cluster recover --shards")] {
                    let (there, away) = (data.appendingPathComponent(name), folder.appendingPathComponent("away"))
                    try FileManager.default.moveItem(at: there, to: away)
                    try FileManager.default.createDirectory(at: there, withIntermediateDirectories: false)
                    let run = try await Command.run("sluice", ["up", "--any-port", "--shards", "2", "--data", data.path])
                    #expect(run.status == 1 && run.err.contains("\(name) is missing or empty") && run.err.contains(advice), "\(run.err)")
                    try FileManager.default.removeItem(at: there)
                    try FileManager.default.moveItem(at: away, to: there)
                }
                try await cluster.start()
                #expect(try await cluster.counts(["a"]) == [20])
                try await cluster.stop()
                // Coordinator and shard at once: the advice is a command that works, and the other shard's events are left.
                let left = (0..<20).filter { ClusterMap.bucket(ofUser: ByteString("u\($0)")) < 512 }.count
                for name in ["coordinator", "shard-1"] { try FileManager.default.removeItem(at: data.appendingPathComponent(name)) }
                let run = try await Command.run("sluice", ["up", "--any-port", "--shards", "2", "--data", data.path])
                let advice = try #require(run.err.range(of: "sluice cluster recover "), "\(run.err)")
                #expect(run.status == 1 && run.err.contains("--lost-shards 1"), "\(run.err)")
                let words = run.err[advice.lowerBound...].split(whereSeparator: \.isWhitespace).dropFirst().map(String.init)
                let short = try await Command.run("sluice", Array(words.filter { !["--lost-shards", "1"].contains($0) }))
                #expect(short.status == 1, "\(short.err)")
                let recovered = try await Command.run("sluice", Array(words))
                #expect(recovered.status == 0 && recovered.out.contains("shard 1: lost"), "\(recovered.out) \(recovered.err)")
                // The shard that is known to be lost begins empty, and no other option is asked for.
                try await cluster.start()
                #expect(try await cluster.counts(["a"]) == [left])
                try await cluster.stop()
                // Only ingest is left: nothing starts that would wait for a cluster that is gone.
                for name in ["coordinator", "shard-0", "shard-1"] {
                    try FileManager.default.removeItem(at: data.appendingPathComponent(name))
                }
                let alone = try await Command.run("sluice", ["up", "--any-port", "--shards", "2", "--data", data.path])
                #expect(alone.status == 1 && alone.err.contains("remove \(data.path)/ingest to begin a new cluster"), "\(alone.err)")
            }
        }

        /// S26.
        @Test func memoryIsGivenBack() async throws {
            try await Cluster.with(shards: 1) { cluster in
                func resident() async throws -> Double {
                    let lines = try await HTTP.call("GET", cluster.ingestHTTP, "/metrics").text.split(separator: "\n")
                    return lines.first { $0.hasPrefix("process_resident_memory_bytes ") }.flatMap { Double($0.split(separator: " ")[1]) }
                        ?? .infinity
                }
                let before = try await resident()
                let body = JSONValue.array((0..<100_000).map { event("u\($0 % 1_000)", "a", Double($0), properties: ["page": .count($0)]) })
                    .encode()
                for _ in 0..<3 {
                    async let one = HTTP.call("POST", cluster.ingestHTTP, "/v1/events", body: body)
                    async let two = HTTP.call("POST", cluster.ingestHTTP, "/v1/events", body: body)
                    #expect(try await [one.status, two.status] == [200, 200])
                }
                // A quiet process looks every 20 s.
                var after = Double.infinity
                let most = before + 80_000_000
                for _ in 0..<120 where after > most {
                    try await Task.sleep(for: .milliseconds(500))
                    after = try await resident()
                }
                #expect(after <= most)
            }
        }

        /// O B5: a file that is damaged, or that is not there, is named until it is mended.
        @Test(arguments: [true, false]) func theStatusNamesDamagedFiles(isThere: Bool) async throws {
            try await withFolder { folder in
                let cluster = try Cluster(shards: 1, directory: folder)
                try await cluster.start(extra: ["--seal-rows", "1000"])
                #expect(try await cluster.send((0..<1_500).map { event("u\($0)", "a", Double($0)) }).status == 200)
                for _ in 0..<500 where try await cluster.metric("sluice_store_segments") == 0 {
                    try await Task.sleep(for: .milliseconds(20))
                }
                try await cluster.stop()
                let shard = folder.appendingPathComponent("data/shard-0")
                let names = try FileManager.default.contentsOfDirectory(atPath: shard.path)
                let segment = try #require(names.first { $0.hasPrefix("seg-") })
                var bytes = try Data(contentsOf: shard.appendingPathComponent(segment))
                bytes[60] ^= 1
                if isThere {
                    try bytes.write(to: shard.appendingPathComponent(segment))
                } else {
                    try FileManager.default.removeItem(at: shard.appendingPathComponent(segment))
                }
                try await cluster.start(extra: ["--seal-rows", "1000"])
                let query: JSONValue = ["funnel": ["steps": ["a", "b"]]]
                let failed = try await HTTP.call("POST", cluster.coordinatorHTTP, "/v1/query", body: query.encode())
                #expect(failed.status == 503 && failed.text.contains(segment), "\(failed.text)")
                let status = try await HTTP.call("GET", cluster.coordinatorHTTP, "/v1/status").json
                let warnings = status["warnings"]?.asArray?.compactMap { $0.asString?.string } ?? []
                #expect(warnings.contains { $0.contains("shard 0") && $0.contains("damaged") && $0.contains(segment) }, "\(warnings)")
                try await cluster.stop()
            }
        }

        /// O B20.
        @Test func errorsAtTheStartSayWhere() async throws {
            try await withFolder { folder in
                let file = folder.appendingPathComponent("file").path
                try Data("x".utf8).write(to: URL(fileURLWithPath: file))
                let place = ["--wire-port", "0", "--http-port", "0"]
                let shard = try await Command.run("sluice-shard", ["--data", file] + place)
                #expect(shard.status == 2 && shard.err.contains("--data \(file) is not a directory"), "\(shard.err)")
                let up = try await Command.run("sluice", ["up", "--any-port", "--data", file])
                #expect(up.status == 1 && up.err.contains("\(file) is not a directory") && !up.err.contains("NSCocoa"), "\(up.err)")

                let certificate = try await Command.run(
                    "sluice-coordinator",
                    ["--data", folder.appendingPathComponent("c").path, "--shards", "127.0.0.1:1", "--tls-cert", file, "--tls-key", file]
                        + place)
                #expect(certificate.status != 0 && certificate.err.contains(file), "\(certificate.err)")

                let database = folder.appendingPathComponent("d/metadata.sqlite")
                try FileManager.default.createDirectory(at: database, withIntermediateDirectories: true)
                let sqlite = try await Command.run(
                    "sluice-coordinator", ["--data", folder.appendingPathComponent("d").path, "--shards", "127.0.0.1:1"] + place)
                #expect(sqlite.status != 0 && sqlite.err.contains(database.path), "\(sqlite.err)")
            }
        }

        @Test func aPortInUseIsNamed() async throws {
            try await Services.with { services in
                let first = try services.start("sluice-coordinator", data: "c", ["--shards", "127.0.0.1:1"])
                try await services.until(first, answers: 503)
                let port = first.wire.split(separator: ":").last.flatMap { Int($0) } ?? 0
                for (wire, http) in [(port, services.port()), (services.port(), Int(first.http.split(separator: ":").last ?? "") ?? 0)] {
                    let second = try await Command.run(
                        "sluice-coordinator",
                        [
                            "--data", services.path("other-\(wire)"), "--shards", "127.0.0.1:1", "--wire-port", "\(wire)", "--http-port",
                            "\(http)",
                        ],
                        environment: ["SLUICE_CLUSTER_SECRET": "a secret of the cluster, long enough"])
                    let taken = wire == port ? wire : http
                    #expect(
                        second.status == 1 && second.err.contains("cannot listen on 127.0.0.1:\(taken): Address already in use"),
                        "\(second.err)")
                }
            }
        }

        /// One line, before anything starts: the port, who needs it, and the options that change it.
        @Test func upNamesAPortInUse() async throws {
            try await withFolder { folder in
                let held = try Listener()
                defer { held.close() }
                let ports = ["ingest-http", "ingest-wire", "coordinator-http", "coordinator-wire", "shard-wire", "shard-http"]
                func up(_ given: [String: Int]) async throws -> Command.Result {
                    let options = ports.flatMap { ["--\($0)", "\(given[$0] ?? 0)"] }
                    return try await Command.run(
                        "sluice", ["up", "--shards", "2", "--data", folder.appendingPathComponent("data").path] + options)
                }
                let taken = try await up(["coordinator-wire": Int(held.port)])
                let line =
                    "Error: port \(held.port), the wire port of coordinator (--coordinator-wire), is in use: stop the program that listens "
                    + "there, give another port, or give --any-port\n"
                #expect(taken.status == 1 && taken.err == line, "\(taken.err)")
                #expect(!FileManager.default.fileExists(atPath: folder.appendingPathComponent("data/shard-0").path))
                let twice = try await up(["shard-wire": 31_000, "shard-http": 31_001])
                #expect(
                    twice.status == 1
                        && twice.err.contains("port 31001, the wire port of shard-1 (--shard-wire), is also the HTTP port of shard-0 "),
                    "\(twice.err)")
                let beyond = try await up(["shard-wire": 65_535])
                #expect(beyond.status == 1 && beyond.err.contains("port 65536, the wire port of shard-1"), "\(beyond.err)")
            }
        }

        @Test func anUnknownVariableIsWarnedOfOnce() async throws {
            try await withFolder { folder in
                let misspelt = ["SLUICE_WRITE_KYES": "a-key-of-enough-bytes", "SLUICE_INGEST_SERVICE_HOST": "10.0.0.1"]
                let cluster = try Cluster(shards: 1, directory: folder, environment: misspelt)
                try await cluster.start()
                try await cluster.stop()
                #expect(!cluster.log.contains("SLUICE_WRITE_KYES"), "members leave it to the one that starts them")
                let log = folder.appendingPathComponent("lone.log").path
                let lone = try Command.spawn(
                    "sluice-coordinator",
                    ["--data", folder.appendingPathComponent("c").path, "--shards", "127.0.0.1:1", "--wire-port", "0", "--http-port", "0"],
                    environment: misspelt, log: log)
                try await Task.sleep(for: .milliseconds(700))
                lone.terminate()
                _ = try await end(lone, within: .seconds(10))
                let lines = try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").filter {
                    $0.contains("is not known to any program")
                }
                #expect(
                    lines.count == 1 && lines[0].contains("level=warning") && lines[0].contains("is SLUICE_WRITE_KEYS meant?"), "\(lines)")
            }
        }

        @Test func everyProgramEndsBySignal() async throws {
            try await Services.with { services in
                let coordinator = try services.start("sluice-coordinator", data: "c", ["--shards", "127.0.0.1:\(services.port())"])
                let tie = ["--coordinator", coordinator.wire]
                let shard = try services.start("sluice-shard", data: "s", tie)
                let ingest = try services.start("sluice-ingest", data: "i", tie)
                try await services.until(ingest, answers: 503)
                try await services.until(shard, answers: 200)
                // A request that never ends its body.
                let slow = try OpenRequest(ingest.http, "/track-event")
                defer { slow.close() }
                // Ingest and the shard are stopped in the middle of what they do, and one by SIGINT.
                kill(shard.process.processIdentifier, SIGINT)
                kill(ingest.process.processIdentifier, SIGTERM)
                kill(coordinator.process.processIdentifier, SIGTERM)
                for service in [shard, ingest, coordinator] {
                    let took = try await end(service.process, within: .seconds(10))
                    #expect(took < .seconds(10), "\(service.name)")
                    #expect(service.process.terminationReason == .exit)
                }
            }
        }

        @Test func aSecondSignalEndsAtOnce() async throws {
            try await Services.with { services in
                let coordinator = try services.start("sluice-coordinator", data: "c", ["--shards", "127.0.0.1:\(services.port())"])
                let ingest = try services.start("sluice-ingest", data: "i", ["--coordinator", coordinator.wire])
                try await services.until(ingest, answers: 503)
                let slow = try OpenRequest(ingest.http, "/track-event")
                defer { slow.close() }
                // Until it is taken.
                try await Task.sleep(for: .milliseconds(500))
                kill(ingest.process.processIdentifier, SIGTERM)
                try await Task.sleep(for: .milliseconds(300))
                #expect(ingest.process.isRunning, "the request is still open")
                kill(ingest.process.processIdentifier, SIGTERM)
                #expect(try await end(ingest.process, within: .seconds(2)) < .seconds(2))
                #expect(ingest.process.terminationStatus == 128 + SIGTERM)
            }
        }

        @Test func whatWaitsEndsBySignalToo() async throws {
            try await withFolder { folder in
                let held = try Listener()
                defer { held.close() }
                // A shard waits 15 s for another process that has its directory open.
                let data = folder.appendingPathComponent("data")
                try FileManager.default.createDirectory(at: data, withIntermediateDirectories: false)
                let shard = data.appendingPathComponent("shard-0").path
                let lone = try Command.spawn(
                    "sluice-shard", ["--data", shard, "--wire-port", "0", "--http-port", "0", "--coordinator", "127.0.0.1:1"])
                defer { lone.terminate() }
                for _ in 0..<200 where (try? Data(contentsOf: URL(fileURLWithPath: shard + "/service.lock")))?.isEmpty ?? true {
                    try await Task.sleep(for: .milliseconds(10))
                }
                let up = try Command.spawn("sluice", ["up", "--any-port", "--shards", "1", "--data", data.path])
                let load = try Command.spawn("sluice", ["load", try Self.line(folder), "--to", "127.0.0.1:\(held.port)"])
                let query = try Command.spawn("sluice", ["query", "--steps", "a", "--to", "127.0.0.1:\(held.port)"])
                try await Task.sleep(for: .milliseconds(800))
                #expect(up.isRunning && load.isRunning && query.isRunning)
                for process in [up, load, query] { process.terminate() }
                for process in [up, load, query] { #expect(try await end(process, within: .seconds(10)) < .seconds(10)) }
            }
        }

        private static func line(_ folder: URL) throws -> String {
            let file = folder.appendingPathComponent("events.ndjson")
            try Data(event("u", "a", 0).encode() + [10]).write(to: file)
            return file.path
        }

        @Test func aClosedPipeIsQuiet() async throws {
            try await withFolder { folder in
                // Also where whoever started the program ignores SIGPIPE.
                for (arguments, trap) in [("generate --users 20000", ""), ("generate --users 20000", "trap '' PIPE;"), ("--help", "")] {
                    let errors = folder.appendingPathComponent("errors").path
                    let ended = try await Command.run(
                        "/bin/sh",
                        [
                            "-c",
                            "\(trap) { '\(Cluster.programs.appendingPathComponent("sluice").path)' \(arguments) 2>'\(errors)'; echo $? >'\(errors).status'; } | head -n 1",
                        ])
                    #expect(ended.status == 0 && !ended.out.isEmpty)
                    #expect(try String(contentsOfFile: errors, encoding: .utf8) == "")
                    let status = Int(
                        try String(contentsOfFile: errors + ".status", encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines))
                    #expect(
                        arguments == "--help" ? [0, 1, 141].contains(status) : [1, 141].contains(status), "\(String(describing: status))")
                }
            }
        }

        @Test func aRequestsIdIsInTheLog() async throws {
            try await Cluster.with(shards: 1) { cluster in
                func bad(_ id: String?) async throws -> HTTP.Answer {
                    try await HTTP.call(
                        "POST", cluster.coordinatorHTTP, "/v1/query", body: Array("{".utf8), headers: id.map { ["X-Request-Id": $0] } ?? [:]
                    )
                }
                let own = try await bad("order-7/retry:2")
                #expect(own.status == 400 && own.headers["x-request-id"] == "order-7/retry:2")
                #expect(own.headers["content-type"] == "application/problem+json")
                for insane in [String(repeating: "x", count: 65), "a b"] {
                    let made = try await bad(insane)
                    #expect(made.headers["x-request-id"] != insane && made.headers["x-request-id"]?.isEmpty == false)
                }
                let made = try #require(try await bad(nil).headers["x-request-id"])
                let unavailable = try await HTTP.call(
                    "POST", cluster.ingestHTTP, "/v1/events", body: Array("[{]".utf8), headers: ["X-Request-Id": "of-ingest"])
                #expect(unavailable.headers["x-request-id"] == "of-ingest")
                for id in ["order-7/retry:2", made, "of-ingest"] {
                    var lines: [Substring] = []
                    // Logged behind the answer.
                    for _ in 0..<100 where lines.isEmpty {
                        lines = cluster.log.split(separator: "\n").filter { $0.contains("hb.request.id=\(id)") }
                        if lines.isEmpty { try await Task.sleep(for: .milliseconds(20)) }
                    }
                    #expect(lines.contains { $0.contains("request failed") && $0.contains("status=") }, "\(id): \(lines)")
                }
            }
        }

        @Test func verifyTellsDamageFromTheRest() async throws {
            try await withFolder { folder in
                let cluster = try Cluster(shards: 1, directory: folder)
                try await cluster.start()
                #expect(try await cluster.send([event("u", "a", 0)]).status == 200)
                let shard = folder.appendingPathComponent("data/shard-0").path
                func verify(_ path: String) async throws -> (Int32, String) {
                    let done = try await Command.run("sluice", ["verify", path])
                    return (done.status, done.out.split(separator: "\n").last.map(String.init) ?? "")
                }
                #expect(try await verify(shard) == (2, "IN USE: stop its shard, then verify"))
                try await cluster.stop()
                #expect(try await verify(shard) == (0, "good"))
                for other in [
                    folder.path, folder.appendingPathComponent("data/coordinator").path, folder.appendingPathComponent("nowhere").path,
                ] {
                    #expect(try await verify(other) == (3, "NOT A SHARD'S DIRECTORY"), "\(other)")
                }
                let manifest = URL(fileURLWithPath: shard + "/MANIFEST")
                var bytes = try Data(contentsOf: manifest)
                bytes[bytes.count / 2] ^= 1
                try bytes.write(to: manifest)
                #expect(try await verify(shard) == (1, "DAMAGED"))
            }
        }

        @Test func logsOfMembersAreBounded() async throws {
            try await withFolder { folder in
                let cluster = try Cluster(shards: 1, directory: folder)
                try await cluster.start()
                let log = folder.appendingPathComponent("data/logs/ingest.log").path
                // As if it had logged as much.
                #expect(truncate(log, 17 << 20) == 0)
                for _ in 0..<100 where !FileManager.default.fileExists(atPath: log + ".1") { try await Task.sleep(for: .milliseconds(50)) }
                // Lines that came meanwhile are in it too.
                let aside = try FileManager.default.attributesOfItem(atPath: log + ".1")[.size] as? Int ?? 0
                #expect(aside >= 17 << 20 && aside < 18 << 20)
                try await cluster.stop()
                // The end is in the new file.
                #expect(try String(contentsOfFile: log, encoding: .utf8).contains("msg=stopped"))
                #expect(truncate(log, 17 << 20) == 0)
                try await cluster.start()
                try await cluster.stop()
                let names = try FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent("data/logs").path)
                #expect(names.filter { $0.hasPrefix("ingest") }.sorted() == ["ingest.log", "ingest.log.1", "ingest.log.2"])
                #expect(try String(contentsOfFile: log, encoding: .utf8).contains("msg=started"))
            }
        }

        @Test func figuresNameProjectsOutcomesAndCalls() async throws {
            let keys = ["SLUICE_WRITE_KEYS": "a-write-key-of-one,2:a-write-key-of-two", "SLUICE_READ_KEYS": "a-read-key-of-one"]
            try await Cluster.with(shards: 1, environment: keys) { cluster in
                _ = try await cluster.send([event("u", "a", 0), event("u", "b", 1)], key: "a-write-key-of-one")
                _ = try await cluster.send(
                    [event("u", "a", 0), ["user_id": "u", "event": "a", "timestamp": "x"], ["event": "a"]], key: "a-write-key-of-two")
                _ = try await cluster.query(["funnel": ["steps": ["a"]]], key: "a-read-key-of-one")
                _ = try await HTTP.call("POST", cluster.coordinatorHTTP, "/v1/query", body: Array("{}".utf8), key: "a-read-key-of-one")
                func lines(_ address: String) async throws -> Set<String> {
                    Set(try await HTTP.call("GET", address, "/metrics").text.split(separator: "\n").map(String.init))
                }
                let ingest = try await lines(cluster.ingestHTTP)
                for line in [
                    #"sluice_ingest_events_accepted_total{project="1"} 2"#, #"sluice_ingest_events_accepted_total{project="2"} 1"#,
                    #"sluice_ingest_events_rejected_total{project="2",reason="timestamp"} 1"#,
                    #"sluice_ingest_events_rejected_total{project="2",reason="user_id"} 1"#, #"sluice_build_info{version="0.2.0"} 1"#,
                ] { #expect(ingest.contains(line), "\(line)") }
                let coordinator = try await lines(cluster.coordinatorHTTP)
                #expect(coordinator.contains(#"sluice_queries_total{project="1",outcome="ok",code=""} 1"#))
                #expect(coordinator.contains(#"sluice_queries_total{project="1",outcome="refused",code="invalid_query"} 1"#))
                let shard = try await lines(cluster.shardHTTP(0))
                #expect(shard.contains(#"sluice_wire_requests_total{call="shard-append"} 2"#))
                #expect(shard.contains(#"sluice_wire_request_seconds_count{call="partial-query"} 1"#))
                #expect(
                    shard.contains("sluice_store_sync_seconds_count 2")
                        || shard.contains { $0.hasPrefix("sluice_store_sync_seconds_count") })
                for set in [ingest, coordinator, shard] {
                    for name in [
                        "process_start_time_seconds", "process_resident_memory_bytes", "process_open_fds", "process_max_fds",
                        "process_cpu_seconds_total", "sluice_process_mappings",
                    ] {
                        let value = set.first { $0.hasPrefix(name + " ") }?.split(separator: " ").last.flatMap { Double($0) }
                        #expect(value.map { $0 > 0 } == true, "\(name)")
                    }
                }
                let offset = ingest.first { $0.hasPrefix("sluice_clock_offset_seconds ") }?.split(separator: " ").last.flatMap {
                    Double($0)
                }
                #expect(offset.map { abs($0) < 1 } == true, "of the same machine: \(String(describing: offset))")
            }
        }
    }
}

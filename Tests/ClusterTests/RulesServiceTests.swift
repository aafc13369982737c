import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// Normalisation rules on real processes: saved at the coordinator, applied by ingest.
    struct RulesServiceTests {
        private static let operatorKey = "the-operators-admin-key"
        private static let adminOfTwo = "the-admin-key-of-two"
        private static let (write, read) = ("the-write-key-of-one", "the-read-key-of-one")
        private static let environment = [
            "SLUICE_ADMIN_KEYS": "\(operatorKey),2:\(adminOfTwo)", "SLUICE_READ_KEYS": read, "SLUICE_WRITE_KEYS": write,
        ]
        private static let revisionHeader = "sluice-rules-revision"
        /// What the product promises for a change.
        private static let spread = Duration.seconds(2)

        private static let rules: JSONValue = [
            ["rename_events": ["sign_up"], "to": "Signup"], ["drop_events": ["debug"], "match": "prefix"],
            ["drop_properties": ["password"]], ["cast_properties": ["price"], "to": "number", "otherwise": "reject"],
        ]

        private func put(
            _ coordinator: String, _ rules: JSONValue, key: String? = nil, headers: [String: String] = [:], path: String = "/v1/rules"
        ) async throws -> HTTP.Answer {
            let body = JSONValue.object([.init("rules", rules)]).encode()
            return try await HTTP.call("PUT", coordinator, path, body: body, headers: headers, key: key)
        }

        /// Saves rules, and returns their revision.
        private func save(_ coordinator: String, _ rules: JSONValue, key: String? = nil) async throws -> String {
            let answer = try await put(coordinator, rules, key: key)
            guard answer.status == 200, let revision = answer.json["revision"]?.asInteger else {
                throw Trouble("rules: \(answer.status) \(answer.text)")
            }
            #expect(answer.headers["etag"] == "\"\(revision)\"")
            return "\(revision)"
        }

        private func send(
            _ ingest: String, _ events: [JSONValue], headers: [String: String] = [:], key: String? = nil
        ) async throws -> HTTP.Answer {
            try await HTTP.call("POST", ingest, "/v1/events", body: JSONValue.array(events).encode(), headers: headers, key: key)
        }

        /// Waits until ingest applies a revision; nil: no rules.
        private func until(_ ingest: String, _ revision: String?, key: String? = nil) async throws {
            let end = ContinuousClock.now + Self.spread
            while ContinuousClock.now < end {
                if try await send(ingest, [], key: key).headers[Self.revisionHeader] == revision { return }
                try await Task.sleep(for: .milliseconds(50))
            }
            Issue.record("revision \(revision ?? "none") was not in force within \(Self.spread)")
        }

        private func entered(_ coordinator: String, _ name: String, key: String? = nil) async throws -> Int {
            let body = JSONValue.object([.init("funnel", ["steps": [.text(name)]])]).encode()
            let answer = try await HTTP.call("POST", coordinator, "/v1/query", body: body, key: key)
            return Int(answer.json["entered"]?.asInteger ?? -1)
        }

        // MARK: - Every way in

        @Test func rulesApplyAtEveryEndpoint() async throws {
            try await Cluster.with(shards: 2, environment: Self.environment) { cluster in
                let (ingest, coordinator) = (cluster.ingestHTTP, cluster.coordinatorHTTP)
                let revision = try await save(coordinator, Self.rules, key: Self.operatorKey)
                try await until(ingest, revision, key: Self.write)

                let events = [
                    event("json", "sign_up", 0, properties: ["password": "secret", "plan": "pro", "price": "12.50"]),
                    event("json", "debug_1", 1),
                    event("json", "Visit", 2, properties: ["price": "no"]), event("json", "Visit", 3),
                ]
                let reason: JSONValue = "properties.price: is no number (rules[3])"
                let expected: JSONValue = ["accepted": 3, "dropped": 1, "rejected": [["index": 2, "reason": reason]]]
                let json = try await send(ingest, events, key: Self.write)
                #expect(json.status == 200 && json.json == expected && json.headers[Self.revisionHeader] == revision, "\(json.text)")
                let lines = Array(events.map { $0.encode() }.joined(separator: [10]))
                let ndjson = try await HTTP.call(
                    "POST", ingest, "/v1/events", body: lines, headers: ["Content-Type": "application/x-ndjson"], key: Self.write)
                #expect(ndjson.json == expected && ndjson.headers[Self.revisionHeader] == revision, "\(ndjson.text)")
                // A body that is too long for the fast path.
                let many = (0..<400).map { event("many \($0)", $0 % 2 == 0 ? "sign_up" : "debug", 0, properties: ["password": "secret"]) }
                let long = try await send(ingest, many, key: Self.write)
                #expect(long.json == ["accepted": 400, "dropped": 200, "rejected": []] && long.headers[Self.revisionHeader] == revision)
                // Errors of a request have the header too.
                let broken = try await HTTP.call("POST", ingest, "/v1/events", body: Array("[".utf8), key: Self.write)
                #expect(broken.status == 400 && broken.headers[Self.revisionHeader] == revision)
                let unknown = ["Content-Encoding": "other"]
                let refused = try await HTTP.call("POST", ingest, "/v1/events", body: Array("[]".utf8), headers: unknown, key: Self.write)
                #expect(refused.status == 400 && refused.headers[Self.revisionHeader] == revision)

                func track(_ event: JSONValue) async throws -> HTTP.Answer {
                    try await HTTP.call("POST", ingest, "/track-event", body: event.encode(), key: Self.write)
                }
                #expect(try await track(event("track", "sign_up", 0)).status == 200)
                let dropped = try await track(event("track", "debug", 0))
                #expect(dropped.status == 200 && dropped.headers[Self.revisionHeader] == revision)
                let bad = try await track(event("track", "Visit", 0, properties: ["price": "no"]))
                #expect(bad.status == 422 && bad.json["detail"]?.asArray?.first?["loc"] == ["body", "properties.price"], "\(bad.text)")

                // The binary protocol.
                let file = cluster.directory.appendingPathComponent("events.csv")
                try Data("user_id,event,timestamp,price\nw1,sign_up,1700000000,1\nw2,debug,1700000000,1\nw3,a,1700000000,x\n".utf8).write(
                    to: file)
                let load = try await Command.run(
                    "sluice", ["load", file.path, "--to", cluster.ingestWire], environment: ["SLUICE_KEY": Self.write])
                let rejected = try String(contentsOfFile: file.path + ".rejected.ndjson", encoding: .utf8)
                #expect(load.status == 3 && rejected.contains("properties.price: is no number (rules[3])"), "\(load) \(rejected)")

                // An SDK, with the key in the body and in the head.
                for (user, inBody) in [("sdk 1", true), ("sdk 2", false)] {
                    for name in ["sign_up", "debug"] {
                        var members: [JSONValue.Member] = [
                            .init("userId", .text(user)), .init("event", .text(name)), .init("messageId", .text("\(user) \(name)")),
                            .init("timestamp", "2023-11-14T22:13:20Z"), .init("properties", ["password": "secret"]),
                        ]
                        if inBody { members.append(.init("writeKey", .text(Self.write))) }
                        let basic = "Basic \(Data("\(Self.write):".utf8).base64EncodedString())"
                        let answer = try await PlainHTTP.call(
                            "POST", ingest, "/v1/track", body: JSONValue.object(members).encode(),
                            headers: ["Content-Type": "application/json"].merging(inBody ? [:] : ["Authorization": basic]) { $1 })
                        #expect(answer.status == 200 && answer.headers[Self.revisionHeader] == revision, "\(answer)")
                    }
                }

                // json, track, w1, two SDKs, and half of the many.
                #expect(try await entered(coordinator, "Signup", key: Self.read) == 205)
                let names = try await HTTP.call("GET", coordinator, "/v1/events", key: Self.read).json["events"]?.asArray
                #expect(names.map { Set($0.compactMap { $0["event"]?.asString }) } == ["Signup", "Visit"])
                let keys = try await HTTP.call("GET", coordinator, "/v1/properties", key: Self.read).json["properties"]?.asArray
                let found = keys.map { Set($0.compactMap { $0["property"]?.asString }) } ?? []
                #expect(found.isSuperset(of: ["plan", "price"]) && !found.contains("password"), "\(found)")

                let metrics = try await HTTP.call("GET", ingest, "/metrics").text
                #expect(metrics.contains("sluice_ingest_rules_revision \(revision)\n"))
                #expect(metrics.contains(#"sluice_ingest_rules_events_total{project="1",outcome="dropped"} 206"#), "\(metrics)")
                #expect(metrics.contains(#"sluice_ingest_rules_events_total{project="1",outcome="rejected"} 4"#))
                let own = try await HTTP.call("GET", coordinator, "/metrics").text
                #expect(own.contains("sluice_coordinator_rules_revision \(revision)\n"))

                // Another project's events stay as they are.
                let other = try await send(ingest, events, key: Self.adminOfTwo)
                #expect(other.json == ["accepted": 4, "rejected": []] && other.headers[Self.revisionHeader] == nil)
                #expect(try await entered(coordinator, "sign_up", key: Self.adminOfTwo) == 1)
            }
        }

        // MARK: - Roles, revisions, faults

        @Test func rolesAndProjects() async throws {
            try await Cluster.with(shards: 1, environment: Self.environment) { cluster in
                let coordinator = cluster.coordinatorHTTP
                func get(_ key: String?, _ more: String = "") async throws -> HTTP.Answer {
                    try await HTTP.call("GET", coordinator, "/v1/rules" + more, key: key)
                }
                let none = try await get(Self.read)
                #expect(none.status == 200 && none.json == ["revision": 0, "rules": []] && none.headers["etag"] == nil)
                #expect(try await get(nil).status == 401)
                #expect(try await get(Self.write).status == 403)
                for key in [Self.write, Self.read] { #expect(try await put(coordinator, Self.rules, key: key).status == 403) }
                let first = try await save(coordinator, Self.rules, key: Self.operatorKey)
                let found = try await get(Self.read)
                #expect(found.json["rules"] == Self.rules && found.headers["etag"] == "\"\(first)\"")
                // Own project only, except for operators.
                #expect(try await get(Self.adminOfTwo).json["revision"] == 0)
                #expect(try await get(Self.adminOfTwo, "?project=1").status == 403)
                #expect(try await put(coordinator, [], key: Self.adminOfTwo, path: "/v1/rules?project=1").status == 403)
                #expect(
                    try await put(coordinator, [["drop_events": "x"]], key: Self.operatorKey, path: "/v1/rules?project=2").status == 200)
                #expect(try await get(Self.adminOfTwo).json["rules"] == [["drop_events": ["x"]]])
                #expect(try await get(Self.operatorKey, "?project=2").json["rules"] == [["drop_events": ["x"]]])
                #expect(try await get(Self.operatorKey, "?project=9").status == 404)
                for wrong in ["?project=all", "?project=0", "?other=1"] { #expect(try await get(Self.operatorKey, wrong).status == 422) }

                // All faults at once, and nothing changes.
                let faulty = try await put(
                    coordinator, [["rename_events": [""], "x": 1], ["drop_events": ["a"], "match": "near"]], key: Self.operatorKey)
                let fields = faulty.json["errors"]?.asArray?.compactMap { $0["field"]?.asString?.string } ?? []
                #expect(faulty.status == 422 && fields.count >= 4, "\(faulty.text)")
                #expect(Set(fields).isSuperset(of: ["rules[0].to", "rules[0].x", "rules[1].match"]))
                let stale = try await put(coordinator, [], key: Self.operatorKey, headers: ["If-Match": "\"1000000\""])
                #expect(stale.status == 412 && stale.json["type"] == "urn:sluice:conflict", "\(stale.text)")
                #expect(try await put(coordinator, [], key: Self.operatorKey, headers: ["If-None-Match": "*"]).status == 412)
                #expect(try await get(Self.read).headers["etag"] == "\"\(first)\"")
                let next = try await put(coordinator, [], key: Self.operatorKey, headers: ["If-Match": "\"\(first)\""])
                #expect(next.status == 200 && next.json["rules"] == [])
                #expect((next.json["revision"]?.asInteger ?? 0) > (Int64(first) ?? .max))
            }
        }

        @Test func aChangeIsInForceSoon() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let (ingest, coordinator) = (cluster.ingestHTTP, cluster.coordinatorHTTP)
                try await until(ingest, nil)
                for round in 0..<3 {
                    let revision = try await save(coordinator, [["rename_events": ["a"], "to": .text("name \(round)")]])
                    try await until(ingest, revision)
                    #expect(try await send(ingest, [event("u", "a", Double(round))]).json == ["accepted": 1, "rejected": []])
                    #expect(try await entered(coordinator, "name \(round)") == 1)
                }
                _ = try await save(coordinator, [])
                try await until(ingest, nil)
                #expect(try await send(ingest, [event("u", "a", 9)]).status == 200)
                #expect(try await entered(coordinator, "a") == 1)
            }
        }

        // MARK: - Missing timestamps

        @Test func missingTimestampsAndRetries() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let (ingest, coordinator) = (cluster.ingestHTTP, cluster.coordinatorHTTP)
                let timeless: JSONValue = ["user_id": "u", "event": "T"]
                #expect(try await send(ingest, [timeless]).json["rejected"]?.asArray?.count == 1)
                let revision = try await save(
                    coordinator,
                    [["missing_timestamp": ["events"], "to": "server_time"], ["missing_timestamp": ["segment"], "to": "reject"]])
                try await until(ingest, revision)
                /// Deliveries a second apart: a user who has the event twice gets through both steps.
                func isTwice(_ user: String, _ name: String, headers: [String: String] = [:], more: [JSONValue.Member] = []) async throws
                    -> Bool
                {
                    let body = JSONValue.object([.init("user_id", .text(user)), .init("event", .text(name))] + more)
                    for _ in 0..<2 {
                        let answer = try await send(ingest, [body], headers: headers)
                        #expect(answer.json == ["accepted": 1, "rejected": []], "\(answer.text)")
                        try await Task.sleep(for: .milliseconds(1_100))
                    }
                    return try await cluster.counts([name, name]) == [1, 1]
                }
                #expect(try await !isTwice("id", "with an id", more: [.init("event_id", "1"), .init("timestamp", .null)]))
                #expect(try await !isTwice("key", "with a key", headers: ["Idempotency-Key": "k"], more: [.init("timestamp", "")]))
                #expect(try await isTwice("none", "without an id"))
                let now = Int64(Date().timeIntervalSince1970)
                let span = JSONValue.object([
                    .init("funnel", ["steps": ["with an id"]]), .init("start", .text(Timestamp.format((now - 600) * 1_000_000))),
                ])
                #expect(try await cluster.query(span)["entered"] == 1, "its time is that of the server")

                // Other endpoints have rules of their own.
                let track = try await HTTP.call("POST", ingest, "/track-event", body: timeless.encode())
                #expect(track.status == 422 && track.json["detail"]?.asArray?.first?["loc"] == ["body", "timestamp"], "\(track.text)")
                func segment(_ more: [JSONValue.Member]) async throws -> Int {
                    let members: [JSONValue.Member] = [
                        .init("userId", "s"), .init("event", "S"), .init("writeKey", "any"), .init("messageId", "m"),
                    ]
                    return try await PlainHTTP.call(
                        "POST", ingest, "/v1/track", body: JSONValue.object(members + more).encode(),
                        headers: ["Content-Type": "application/json"]
                    ).status
                }
                _ = try await segment([])
                #expect(try await entered(coordinator, "S") == 0)
                #expect(try await segment([.init("timestamp", "2023-11-14T22:13:20Z")]) == 200)
                #expect(try await entered(coordinator, "S") == 1)
            }
        }

        // MARK: - Restarts

        @Test func rowsAndRulesOutliveAKill() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let revision = try await save(cluster.coordinatorHTTP, Self.rules)
                try await until(cluster.ingestHTTP, revision)
                let events = (0..<50).flatMap { [event("u\($0)", "sign_up", 0, id: "s\($0)"), event("u\($0)", "debug", 1, id: "d\($0)")] }
                let expected: JSONValue = ["accepted": 100, "dropped": 50, "rejected": []]
                #expect(try await cluster.send(events).json == expected)
                for name in ["shard-0", "shard-1", "ingest", "coordinator"] as [ByteString] { kill(cluster.pid(name), SIGKILL) }
                try await cluster.untilReady()
                #expect(try await cluster.counts(["Signup"]) == [50])
                // A retry counts once.
                let again = try await cluster.send(events)
                #expect(again.json == expected && again.headers[Self.revisionHeader] == revision, "\(again.text)")
                #expect(try await cluster.counts(["Signup"]) == [50])
                #expect(try await cluster.counts(["debug"]) == [0])
            }
        }

        @Test func rulesOutliveTheCoordinator() async throws {
            try await Services.with { services in
                let (port, wire) = (services.port(), services.port())
                func startCoordinator() throws -> Services.Service {
                    try services.start("sluice-coordinator", data: "c", wire: wire, ["--shards", "127.0.0.1:\(port)"])
                }
                var coordinator = try startCoordinator()
                let shard = try services.start("sluice-shard", data: "s", wire: port, ["--shard", "0", "--coordinator", coordinator.wire])
                var ingest = try services.start("sluice-ingest", data: "i", ["--coordinator", coordinator.wire])
                for service in [coordinator, shard, ingest] { try await services.until(service, answers: 200) }
                let revision = try await save(coordinator.http, Self.rules)
                try await until(ingest.http, revision)

                await services.stop(coordinator, ingest)
                ingest = try services.start("sluice-ingest", data: "i", ["--coordinator", "127.0.0.1:\(wire)"])
                try await services.until(ingest, answers: 200)
                let alone = try await send(ingest.http, [event("u", "sign_up", 0), event("u", "debug", 1)])
                #expect(alone.json == ["accepted": 2, "dropped": 1, "rejected": []] && alone.headers[Self.revisionHeader] == revision)

                // A list that cannot be read may drop events, so nothing is stored before the coordinator has given it.
                await services.stop(ingest)
                let file = services.path("i") + "/cluster.rules"
                let bytes = try Data(contentsOf: URL(fileURLWithPath: file))
                try bytes.prefix(bytes.count / 2).write(to: URL(fileURLWithPath: file))
                ingest = try services.start("sluice-ingest", data: "i", ["--coordinator", "127.0.0.1:\(wire)"])
                try await services.until(ingest, answers: 503)
                for _ in 0..<70 {
                    #expect(try await send(ingest.http, [event("u", "debug", 2)]).status == 503)
                    try await Task.sleep(for: .milliseconds(100))
                }

                coordinator = try startCoordinator()
                try await services.until(coordinator, answers: 200)
                try await services.until(ingest, answers: 200)
                #expect(try await send(ingest.http, [event("u", "debug", 3)]).json["dropped"] == 1)
                #expect(try await entered(coordinator.http, "Signup") == 1)
                #expect(try await entered(coordinator.http, "debug") == 0)
                let kept = try await HTTP.call("GET", coordinator.http, "/v1/rules")
                #expect(kept.json["rules"] == Self.rules && kept.headers["etag"] == "\"\(revision)\"")
                // Ingest asks again some seconds after the coordinator is back.
                _ = try await save(coordinator.http, [])
                var isRemoved = false
                for _ in 0..<100 where !isRemoved {
                    isRemoved = try await send(ingest.http, []).headers[Self.revisionHeader] == nil
                    try await Task.sleep(for: .milliseconds(100))
                }
                #expect(isRemoved)
                await services.stop(ingest, shard, coordinator)
            }
        }

        // MARK: - Commands

        @Test func commandsApplyAndShowRules() async throws {
            try await Cluster.with(shards: 1, environment: Self.environment) { cluster in
                let file = cluster.directory.appendingPathComponent("rules.yaml")
                func write(_ text: String) throws { try Data(text.utf8).write(to: file) }
                func rules(_ arguments: [String], key: String = Self.operatorKey) async throws -> Command.Result {
                    try await Command.run(
                        "sluice", ["rules"] + arguments + ["--to", cluster.coordinatorHTTP], environment: ["SLUICE_KEY": key])
                }
                try write("# Two apps.\nrules:\n  - rename_events: [sign_up]\n    to: Signup\n  - lower_case_events: true\n")
                let first = try await rules(["apply", file.path])
                #expect(first.status == 0 && first.out.hasPrefix("revision ") && first.out.hasSuffix(": 2 rules\n"), "\(first)")
                #expect(first.err.contains("may now be another event"), "\(first.err)")
                let revision = String(first.out.dropFirst("revision ".count).prefix { $0 != ":" })
                let shown = try await rules(["get"], key: Self.read)
                let json = try JSONParser.parse(Array(shown.out.utf8))
                #expect(json["revision"]?.asInteger.map { "\($0)" } == revision && json["rules"]?.asArray?.count == 2, "\(shown)")
                let lines = shown.out.split(separator: "\n", omittingEmptySubsequences: false)
                #expect(lines.count == 5 && lines[2] == "  {\"lower_case_events\":true}" && lines[3] == "]}" && lines[4] == "", "\(lines)")

                let stale = try await rules(["apply", file.path, "--if-revision", "1000000"])
                #expect(stale.status == 1 && stale.err.contains("the rules are at revision \(revision)"), "\(stale.err)")
                // What `get` prints changes nothing, and is refused when the rules have changed since.
                try write(shown.out)
                let same = try await rules(["apply", file.path])
                #expect(same.status == 0 && same.out == "revision \(revision): 2 rules, unchanged\n" && same.err.isEmpty, "\(same)")
                try write("rules:\n  - drop_events: debug\n")
                #expect(try await rules(["apply", file.path]).status == 0)
                try write(shown.out)
                let late = try await rules(["apply", file.path])
                #expect(late.status == 1 && late.err.contains("get them again with 'sluice rules get'"), "\(late.err)")
                try write("rules: []\n")
                let removed = try await rules(["apply", file.path])
                #expect(removed.status == 0 && removed.out.hasSuffix(": no rules\n"), "\(removed)")
                #expect(try await rules(["apply", file.path, "--project", "2"]).status == 0)
                let foreign = try await rules(["apply", file.path, "--project", "1"], key: Self.adminOfTwo)
                #expect(foreign.status == 1 && foreign.err.contains("an operator's API key"), "\(foreign.err)")
                try write("rules:\n  - rename_events: a\n  - drop_events: b\n    match: near\n")
                let faulty = try await rules(["apply", file.path])
                #expect(faulty.status == 1 && faulty.err.contains("rules[0].to: is required") && faulty.err.contains("rules[1].match"))
                for command in [["apply", "--help"], ["get", "--help"]] {
                    let help = try await Command.run("sluice", ["rules"] + command)
                    #expect(help.status == 0 && help.out.contains("Examples:") && !help.out.contains("\\"), "\(help.out)")
                }
            }
        }
    }
}

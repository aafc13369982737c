import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// Created API keys and projects on real processes.
    struct KeyTests {
        private static let operatorKey = "the-operators-admin-key"
        private static let adminOfTwo = "the-admin-key-of-two"
        private static let readOfTwo = "the-read-key-of-two"
        private static let environment = [
            "SLUICE_ADMIN_KEYS": "\(operatorKey),2:\(adminOfTwo)", "SLUICE_READ_KEYS": "2:\(readOfTwo)",
            "SLUICE_WRITE_KEYS": "2:the-write-key-of-two",
        ]
        /// What the product promises for a revocation.
        private static let spread = Duration.seconds(2)

        private struct Key {
            var id: String
            var text: String
        }

        private func call(
            _ coordinator: String, _ method: String, _ path: String, _ body: JSONValue? = nil, key: String = operatorKey
        ) async throws -> HTTP.Answer {
            try await HTTP.call(method, coordinator, path, body: body?.encode(), key: key)
        }

        private func create(_ coordinator: String, _ body: JSONValue, key: String = operatorKey) async throws -> Key {
            let answer = try await call(coordinator, "POST", "/v1/keys", body, key: key)
            guard answer.status == 201, let id = answer.json["id"]?.asString?.string, let text = answer.json["key"]?.asString?.string else {
                throw Trouble("no key: \(answer.status) \(answer.text)")
            }
            #expect(text.contains("_\(id)_"))
            return Key(id: id, text: text)
        }

        private func send(_ ingest: String, _ key: String, _ name: String = "a", headers: [String: String] = [:]) async throws
            -> HTTP.Answer
        {
            let body = JSONValue.array([event("u1", name, 0)]).encode()
            return try await HTTP.call("POST", ingest, "/v1/events", body: body, headers: headers, key: key)
        }

        private func query(_ coordinator: String, _ key: String, _ name: String = "a") async throws -> HTTP.Answer {
            let body = JSONValue.object([.init("funnel", ["steps": [.text(name)]])]).encode()
            return try await HTTP.call("POST", coordinator, "/v1/query", body: body, key: key)
        }

        /// Waits until a condition holds, at most as long as a change may take to reach every service.
        private func within(_ limit: Duration = spread, line: Int = #line, _ body: () async throws -> Bool) async throws {
            let end = ContinuousClock.now + limit
            while ContinuousClock.now < end {
                if try await body() { return }
                try await Task.sleep(for: .milliseconds(50))
            }
            Issue.record("what line \(line) waits for was not there within \(limit)")
        }

        /// Whether a request was refused for its key; an address that has sent several wrong keys gets 429.
        private func isRefused(_ answer: HTTP.Answer) -> Bool { [401, 429].contains(answer.status) }

        @Test func aKeyWorksOnEveryPortUntilItIsRevoked() async throws {
            try await Cluster.with(shards: 1, environment: Self.environment) { cluster in
                let (coordinator, ingest) = (cluster.coordinatorHTTP, cluster.ingestHTTP)
                let write = try await create(coordinator, ["role": "write", "name": "web shop"])
                let second = try await create(coordinator, ["role": "write"])
                let read = try await create(coordinator, ["role": "read"])
                #expect(write.text.hasPrefix("sk_write_") && read.text.hasPrefix("sk_read_"))
                try await within { try await send(ingest, write.text).status == 200 }
                #expect(try await send(ingest, second.text).status == 200, "several keys are valid at once")
                #expect(try await query(coordinator, read.text).json["entered"] == 1)
                // Each for its role only.
                #expect(try await send(ingest, read.text).status == 403)
                #expect(try await query(coordinator, write.text).status == 403)

                // The ports of the binary protocol.
                let file = cluster.directory.appendingPathComponent("events.csv")
                try Data("user_id,event,timestamp\nu2,a,2024-01-01T00:00:00Z\n".utf8).write(to: file)
                func load() async throws -> Int32 {
                    try await Command.run(
                        "sluice", ["load", file.path, "--to", cluster.ingestWire], environment: ["SLUICE_KEY": write.text]
                    ).status
                }
                func ask() async throws -> Int32 {
                    try await Command.run(
                        "sluice", ["query", "--steps", "a", "--to", cluster.coordinatorWire], environment: ["SLUICE_KEY": read.text]
                    ).status
                }
                #expect(try await load() == 0)
                #expect(try await ask() == 0)

                let signedIn = try await HTTP.call(
                    "POST", coordinator, "/v1/session", body: JSONValue.object([.init("key", .text(read.text))]).encode())
                let cookie = ["Cookie": String((signedIn.headers["set-cookie"] ?? "").prefix { $0 != ";" })]
                #expect(signedIn.status == 200)
                let funnel: JSONValue = ["funnel": ["steps": ["a"]]]
                let viewer = try EventStream(coordinator, "/v1/live", funnel, headers: ["Authorization": "Bearer \(read.text)"])
                #expect(try viewer.next()?.name == "report")

                #expect(try await call(coordinator, "DELETE", "/v1/keys/\(write.id)").status == 204)
                try await within { try await isRefused(send(ingest, write.text)) }
                #expect(try await load() != 0)
                #expect(try await call(coordinator, "DELETE", "/v1/keys?id=\(read.id)").status == 204)
                #expect(try await isRefused(query(coordinator, read.text)))
                #expect(try await ask() != 0)
                let session = try await HTTP.call("POST", coordinator, "/v1/query", body: funnel.encode(), headers: cookie)
                #expect(session.status == 401)
                var last: String? = "report"
                while last == "report" { last = try viewer.next()?.name }
                #expect(last == "end")
                #expect(try await send(ingest, second.text).status == 200, "the other key goes on")
                #expect(try await call(coordinator, "DELETE", "/v1/keys/\(write.id)").status == 404)
                let log = cluster.log + cluster.notes
                for key in [write, second, read] { #expect(!log.contains(key.text) && log.contains(key.id)) }
                let kept = try FileManager.default.subpathsOfDirectory(atPath: cluster.directory.path)
                for name in kept where name.hasSuffix("cluster.keys") || name.hasSuffix("metadata.sqlite") {
                    let bytes = try Data(contentsOf: cluster.directory.appendingPathComponent(name))
                    #expect(bytes.range(of: Data(second.text.suffix(49).utf8)) == nil, "\(name)")
                }
            }
        }

        @Test func listsShowUsesAndExpiry() async throws {
            try await Cluster.with(shards: 1, environment: Self.environment) { cluster in
                let (coordinator, ingest) = (cluster.coordinatorHTTP, cluster.ingestHTTP)
                let soon = Timestamp.format((Int64(Date().timeIntervalSince1970) + 4) * 1_000_000)
                let brief = try await create(coordinator, ["role": "write", "expires_at": .text(soon)])
                let used = try await create(coordinator, ["role": "write", "name": "web shop"])
                let unused = try await create(coordinator, ["role": "read"])
                func listed(_ key: Key) async throws -> JSONValue? {
                    let list = try await call(coordinator, "GET", "/v1/keys").json["keys"]?.asArray
                    return list?.first { $0["id"] == .text(key.id) }
                }
                try await within { try await send(ingest, brief.text).status == 200 }
                #expect(try await send(ingest, used.text).status == 200)
                // Ingest reports uses every 5 seconds.
                try await within(.seconds(15)) { try await listed(used)?["last_used_at"]?.asString != nil }
                let entry = try #require(try await listed(used))
                let minute = try Timestamp.parse(entry["last_used_at"]?.asString ?? "") / 60_000_000
                #expect((0...2).contains(Int64(Date().timeIntervalSince1970) / 60 - minute))
                #expect(
                    entry["name"] == "web shop" && entry["state"] == "valid" && entry["created_by"] == "environment" && entry["key"] == nil)
                #expect(try await listed(unused)?["last_used_at"] == .null)
                try await within(.seconds(10)) { try await isRefused(send(ingest, brief.text)) }
                #expect(try await listed(brief)?["state"] == "expired")
                #expect(try await send(ingest, used.text).status == 200)
            }
        }

        @Test func aKeyWithOriginsIsForPagesOfThem() async throws {
            try await Cluster.with(shards: 1, environment: Self.environment) { cluster in
                let ingest = cluster.ingestHTTP
                let key = try await create(cluster.coordinatorHTTP, ["role": "write", "origins": ["https://shop.example"]])
                let own = ["Origin": "https://shop.example"]
                try await within { try await send(ingest, key.text, headers: own).status == 200 }
                #expect(try await send(ingest, key.text).status == 403)
                #expect(try await send(ingest, key.text, headers: ["Origin": "https://evil.example"]).status == 403)
                #expect(try await send(ingest, key.text, headers: ["Referer": "https://shop.example/cart"]).status == 200)
                // An SDK that has the key in the body.
                func capture(_ headers: [String: String]) async throws -> HTTP.Answer {
                    let body = JSONValue.object([
                        .init("api_key", .text(key.text)), .init("event", "paid"), .init("distinct_id", "u1"),
                        .init("timestamp", "2023-11-14T22:13:20Z"), .init("uuid", "0188f2a4-0000-7000-8000-000000000000"),
                    ])
                    return try await PlainHTTP.call(
                        "POST", ingest, "/capture/", body: body.encode(),
                        headers: headers.merging(["Content-Type": "application/json"]) { $1 }
                    )
                }
                #expect(try await capture(own).status == 200)
                for (headers, sender) in [([:], "not a page"), (["Origin": "https://evil.example"], "of https://evil.example")] {
                    let answer = try await capture(headers)
                    let isNamed = answer.text.contains("the API key is for pages of some origins; the sender is \(sender)")
                    #expect(answer.status == 401 && answer.json["code"] == "invalid_api_key" && isNamed, "\(answer.text)")
                }
                // The binary protocol has no pages.
                let file = cluster.directory.appendingPathComponent("events.csv")
                try Data("user_id,event,timestamp\nu2,a,2024-01-01T00:00:00Z\n".utf8).write(to: file)
                let load = try await Command.run(
                    "sluice", ["load", file.path, "--to", cluster.ingestWire], environment: ["SLUICE_KEY": key.text])
                #expect(load.status != 0 && load.err.contains("is for pages of some origins"), "\(load.err)")
            }
        }

        @Test func projectsAreKeptApart() async throws {
            try await Cluster.with(shards: 2, environment: Self.environment) { cluster in
                let (coordinator, ingest) = (cluster.coordinatorHTTP, cluster.ingestHTTP)
                let made = try await call(coordinator, "POST", "/v1/projects", ["name": "Shop"])
                // 1 and 2 are of the environment.
                #expect(made.status == 201 && made.json["id"] == 3, "\(made.text)")
                #expect(try await call(coordinator, "POST", "/v1/projects", ["name": "Shop"]).json["type"] == "urn:sluice:name_taken")
                let write = try await create(coordinator, ["role": "write", "project": 3])
                let admin = try await create(coordinator, ["role": "admin", "project": 3])
                try await within { try await send(ingest, write.text).status == 200 }
                #expect(try await query(coordinator, admin.text).json["entered"] == 1)
                for other in [Self.operatorKey, Self.readOfTwo] { #expect(try await query(coordinator, other).json["entered"] == 0) }
                #expect(try await call(coordinator, "PUT", "/v1/funnels/shop", ["steps": ["a"]], key: admin.text).status == 201)
                #expect(try await call(coordinator, "GET", "/v1/funnels/shop").status == 404)

                // An admin rules its own project only, also one of the environment.
                for (key, own, foreign) in [(admin.text, 3, 2), (Self.adminOfTwo, 2, 3)] {
                    #expect(try await call(coordinator, "POST", "/v1/projects", ["name": "More"], key: key).status == 403)
                    #expect(
                        try await call(coordinator, "POST", "/v1/keys", ["role": "read", "project": .count(foreign)], key: key).status
                            == 403)
                    #expect(
                        try await call(coordinator, "POST", "/v1/keys", ["role": "read", "project": 4_000_000], key: key).status == 403)
                    for project in ["\(foreign)", "4000000", "all"] {
                        #expect(try await call(coordinator, "GET", "/v1/keys?project=\(project)", key: key).status == 403, "\(project)")
                    }
                    for number in [foreign, 1, 4_000_000] {
                        #expect(try await call(coordinator, "GET", "/v1/projects/\(number)", key: key).status == 404)
                        #expect(try await call(coordinator, "PUT", "/v1/projects/\(number)", ["name": "Mine"], key: key).status == 404)
                    }
                    let seen = try await call(coordinator, "GET", "/v1/projects", key: key).json["projects"]?.asArray?.map { $0["id"] }
                    #expect(seen == [.count(own)])
                    #expect(
                        try await call(coordinator, "PUT", "/v1/projects/\(own)", ["name": .text("Ours \(own)")], key: key).status == 200)
                    let more = try await create(coordinator, ["role": "read"], key: key)
                    let listed = try await call(coordinator, "GET", "/v1/keys?project=\(own)").json["keys"]?.asArray?.map { $0["id"] }
                    #expect(listed?.contains(.text(more.id)) == true)
                }
                // The other project's key has an id that nobody else can revoke, but an operator.
                #expect(try await call(coordinator, "DELETE", "/v1/keys/\(write.id)", key: Self.adminOfTwo).status == 404)
                #expect(try await send(ingest, write.text).status == 200)
                #expect(try await call(coordinator, "DELETE", "/v1/keys/\(write.id)").status == 204)
                // Roles below admin.
                for key in [Self.readOfTwo, "the-write-key-of-two"] {
                    #expect(try await call(coordinator, "GET", "/v1/keys", key: key).status == 403)
                    #expect(try await call(coordinator, "POST", "/v1/keys", ["role": "read"], key: key).status == 403)
                }
                let seen = try await call(coordinator, "GET", "/v1/projects", key: Self.readOfTwo).json["projects"]?.asArray
                #expect(seen?.map { $0["id"] } == [2])
                let all = try await call(coordinator, "GET", "/v1/projects").json["projects"]?.asArray?.map { $0["name"] }
                #expect(all == ["project 1", "Ours 2", "Ours 3"])
                // A made admin key is no operator's, though its project is 1.
                let one = try await create(coordinator, ["role": "admin"])
                #expect(try await call(coordinator, "POST", "/v1/projects", ["name": "More"], key: one.text).status == 403)
            }
        }

        /// A number under which anything is stored is not given to a new project, although no key names it any more.
        @Test func aNewProjectSeesNoOldEvents() async throws {
            let cluster = try Cluster(shards: 2, environment: ["SLUICE_ADMIN_KEYS": "\(Self.operatorKey),2:\(Self.adminOfTwo)"])
            defer { try? FileManager.default.removeItem(at: cluster.directory) }
            try await cluster.start()
            #expect(try await send(cluster.ingestHTTP, Self.adminOfTwo).status == 200)
            try await cluster.stop()
            // Without the entry of the project, as a release before this one has left it.
            let next = try Cluster(shards: 2, directory: cluster.directory, environment: ["SLUICE_ADMIN_KEYS": Self.operatorKey])
            try FileManager.default.removeItem(at: cluster.directory.appendingPathComponent("data/coordinator"))
            let recovered = try await Command.run(
                "sluice",
                [
                    "cluster", "recover", "--shards",
                    (0..<2).map { cluster.directory.appendingPathComponent("data/shard-\($0)").path }.joined(separator: ","), "--data",
                    cluster.directory.appendingPathComponent("data/coordinator").path,
                ])
            #expect(recovered.status == 0, "\(recovered.err)")
            try await next.start()
            let made = try await call(next.coordinatorHTTP, "POST", "/v1/projects", ["name": "New"])
            #expect(made.json["id"] == 3, "\(made.text)")
            try await next.stop()
        }

        @Test func withoutKeysNoneIsCreated() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let answer = try await HTTP.call(
                    "POST", cluster.coordinatorHTTP, "/v1/keys", body: JSONValue.object([.init("role", "write")]).encode())
                #expect(answer.status == 409 && answer.json["type"] == "urn:sluice:keys_needed", "\(answer.text)")
                #expect(try await cluster.send([event("u", "a", 0)]).status == 200)
            }
        }

        // MARK: - Restarts

        private struct Parts {
            var coordinator: Services.Service
            var shard: Services.Service
            var ingest: Services.Service
        }

        private func startParts(_ services: Services) async throws -> (Parts, startCoordinator: () throws -> Services.Service) {
            let (port, wire) = (services.port(), services.port())
            let start = {
                try services.start(
                    "sluice-coordinator", data: "c", wire: wire, ["--shards", "127.0.0.1:\(port)"], environment: Self.environment)
            }
            let coordinator = try start()
            let shard = try services.start("sluice-shard", data: "s", wire: port, ["--shard", "0", "--coordinator", coordinator.wire])
            let ingest = try services.start("sluice-ingest", data: "i", ["--coordinator", coordinator.wire])
            for service in [coordinator, shard, ingest] { try await services.until(service, answers: 200) }
            return (Parts(coordinator: coordinator, shard: shard, ingest: ingest), start)
        }

        @Test func keysOutliveTheCoordinatorAndRestarts() async throws {
            try await Services.with { services in
                var (parts, startCoordinator) = try await startParts(services)
                let write = try await create(parts.coordinator.http, ["role": "write"])
                let other = try await create(parts.coordinator.http, ["role": "write"])
                let soon = Timestamp.format((Int64(Date().timeIntervalSince1970) + 12) * 1_000_000)
                let brief = try await create(parts.coordinator.http, ["role": "write", "expires_at": .text(soon)])
                try await within { try await send(parts.ingest.http, other.text).status == 200 }

                // Without the coordinator: the last list, in memory and after a restart.
                await services.stop(parts.coordinator)
                #expect(try await send(parts.ingest.http, write.text).status == 200)
                await services.stop(parts.ingest)
                let wire = parts.coordinator.wire
                parts.ingest = try services.start("sluice-ingest", data: "i", ["--coordinator", wire])
                try await services.until(parts.ingest, answers: 200)
                #expect(try await send(parts.ingest.http, write.text).status == 200)
                #expect(try await send(parts.ingest.http, other.text).status == 200)
                // An end needs no coordinator.
                try await within(.seconds(20)) { try await isRefused(send(parts.ingest.http, brief.text)) }

                // A key that was revoked while ingest was away does not come back with it.
                await services.stop(parts.ingest)
                parts.coordinator = try startCoordinator()
                try await services.until(parts.coordinator, answers: 200)
                #expect(try await call(parts.coordinator.http, "DELETE", "/v1/keys/\(write.id)").status == 204)
                parts.ingest = try services.start("sluice-ingest", data: "i", ["--coordinator", wire])
                try await services.until(parts.ingest, answers: 200)
                try await within { try await isRefused(send(parts.ingest.http, write.text)) }
                #expect(try await send(parts.ingest.http, other.text).status == 200)

                // A restart of the coordinator, and of the shard, changes nothing.
                await services.stop(parts.coordinator, parts.shard)
                let port = parts.shard.wire.split(separator: ":").last.flatMap { Int($0) }
                parts.shard = try services.start("sluice-shard", data: "s", wire: port, ["--shard", "0", "--coordinator", wire])
                parts.coordinator = try startCoordinator()
                for service in [parts.coordinator, parts.shard, parts.ingest] { try await services.until(service, answers: 200) }
                try await within(.seconds(10)) { try await send(parts.ingest.http, other.text).status == 200 }
                #expect(try await call(parts.coordinator.http, "GET", "/v1/keys").json["keys"]?.asArray?.count == 2)
                // And revocation reaches an ingest that has met the coordinator again.
                #expect(try await call(parts.coordinator.http, "DELETE", "/v1/keys/\(other.id)").status == 204)
                try await within(.seconds(5)) { try await isRefused(send(parts.ingest.http, other.text)) }
            }
        }

        /// The environment is the lock: without it, created keys would be of no use to those who have them.
        @Test func aCoordinatorWithCreatedKeysNeedsOneOfTheEnvironment() async throws {
            try await Services.with { services in
                let (parts, _) = try await startParts(services)
                _ = try await create(parts.coordinator.http, ["role": "write"])
                await services.stop(parts.coordinator)
                let bare = try await Command.run(
                    "sluice-coordinator",
                    ["--data", services.path("c"), "--shards", parts.shard.wire, "--wire-port", "0", "--http-port", "0"])
                #expect(bare.status == 2 && bare.err.contains("--admin-keys"), "\(bare.err)")
            }
        }

        // MARK: - Commands

        @Test func commandsManageKeys() async throws {
            try await Cluster.with(shards: 1, environment: Self.environment) { cluster in
                func keys(_ arguments: String..., key: String = Self.operatorKey) async throws -> Command.Result {
                    try await Command.run(
                        "sluice", ["keys"] + arguments + ["--to", cluster.coordinatorHTTP], environment: ["SLUICE_KEY": key])
                }
                #expect(try await keys("list").out == "no API keys were created\n")
                let made = try await keys(
                    "create", "--role", "write", "--name", "web shop", "--expires", "90d", "--origin", "https://shop.example")
                let text = made.out.trimmingCharacters(in: .newlines)
                let id = try #require(text.split(separator: "_").dropFirst(2).first.map(String.init))
                #expect(made.status == 0 && text.hasPrefix("sk_write_") && !made.err.contains(text), "\(made)")
                #expect(made.err.contains("API key \(id) of the role write for project 1"), "\(made.err)")
                let list = try await keys("list")
                let lines = list.out.split(separator: "\n")
                #expect(lines.count == 2 && lines[0].hasPrefix("ID ") && lines[1].hasPrefix("\(id)  write "), "\(list.out)")
                #expect(lines[1].contains("web shop") && lines[1].hasSuffix("https://shop.example") && !list.out.contains(text))
                let json = try JSONParser.parse(Array(try await keys("list", "--project", "all", "--format", "json").out.utf8))
                #expect(json["keys"]?.asArray?.count == 1)
                let two = try await keys("create", "--role", "read", "--project", "2", "--expires", "2100-01-01")
                #expect(two.status == 1 && two.err.contains("expires_at: must be a time ahead of now, at most 3660d"), "\(two.err)")
                #expect(try await keys("create", "--role", "read", "--project", "2").status == 0)
                #expect(try await keys("create", "--role", "read", "--project", "9").err.contains("there is no project 9"))
                let foreign = try await keys("create", "--role", "read", "--project", "1", key: Self.adminOfTwo)
                #expect(foreign.status == 1 && foreign.err.contains("an operator's API key"), "\(foreign.err)")
                let revoked = try await keys("revoke", id)
                #expect(revoked.status == 0 && revoked.err.contains("revoked \(id)"))
                let again = try await keys("revoke", id)
                #expect(again.status == 1 && again.err.contains("no API key of this project has this id"), "\(again.err)")
                #expect(!again.err.contains("--to"), "\(again.err)")
                // A key in place of an id stays out of the URL, and off the screen.
                let wrong = try await keys("revoke", text)
                #expect(wrong.status == 64 && !wrong.err.contains(text), "\(wrong.err)")
                #expect(try await keys("create", "--role", "owner").status == 64)
                for expires in ["90", "soon", "2020-01-31"] {
                    let past = try await keys("create", "--role", "read", "--expires", expires)
                    #expect(past.status == 64 && past.err.contains("--expires must be a duration such as 90d, or a time ahead of now"))
                }
                let query = ["query", "--steps", "a", "--to", cluster.coordinatorWire]
                for command in [["keys", "list", "--to", cluster.coordinatorHTTP], query] {
                    let none = try await Command.run("sluice", command, environment: ["SLUICE_KEY": ""])
                    #expect(none.status == 1 && none.err.contains("an API key is needed: set SLUICE_KEY or give --key-file"), "\(none.err)")
                }
            }
        }
    }
}

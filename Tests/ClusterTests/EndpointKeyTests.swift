import CoordinatorService
import EventSDKs
import Foundation
import FunnelModel
import FunnelProtocol
import IngestService
import Logging
import NIOPosix
import RPC
import ServiceHost
import TestSupport
import Testing

extension ClusterSuite {
    /// Every endpoint and wire call of every service, with every kind of API key. The tables of this test say who may call; an endpoint
    /// that they lack fails the test.
    ///
    /// `SDKEndpointTests` has the endpoints of SDKs that take events, with API keys in every place.
    struct EndpointKeyTests {
        private enum Need {
            case nobody, write, read, admin
            /// An API key of the environment that has the role admin and no project.
            case anOperator
        }

        private struct Caller {
            var name: String
            var key: String?
            /// nil: the key is not valid.
            var role: KeyRole?
            var project = 1
            var isOperator = false

            var headers: [String: String] { key.map { ["Authorization": "Bearer \($0)"] } ?? [:] }

            func may(_ need: Need) -> Bool {
                switch need {
                case .nobody: true
                case .write: role == .write || role == .admin
                case .read: role == .read || role == .admin
                case .admin: role == .admin
                case .anOperator: isOperator
                }
            }
        }

        /// How an endpoint is called, and who may.
        private struct Row {
            var need: Need
            /// nil: the endpoint's own path.
            var path: String?
            var body: JSONValue?
            /// The status for callers of another project than 1, if the request names something of project 1.
            var foreign: Int?

            init(_ need: Need, _ path: String? = nil, _ body: JSONValue? = nil, foreign: Int? = nil) {
                self.need = need
                self.path = path
                self.body = body
                self.foreign = foreign
            }
        }

        private static let rule: JSONValue = [
            "funnel_id": "kept-of-1", "metric": ["kind": "count", "step": 1], "condition": ["threshold": ["above": 9]], "period": "1d",
        ]
        /// Its name has no public address, so that a test is refused without a call.
        private static let channel: JSONValue = ["kind": "webhook", "settings": ["url": "https://localhost/"]]
        private static let report: JSONValue = ["funnel_id": "kept-of-1", "schedule": ["every": "day", "at": "08:00"]]
        private static let cohort: JSONValue = ["funnel_id": "kept-of-1", "step": 1, "days": 2, "channel": "kept-of-1"]
        private static let annotation: JSONValue = ["text": "of-1", "start": "2026-01-01T00:00:00Z", "funnel_id": "kept-of-1"]
        private static let applied: JSONValue = ["documents": [["kind": "funnel", "id": "kept"]]]
        private static let operatorKey = "the-admin-key-of-the-operator"
        private static let environment = [
            "SLUICE_ADMIN_KEYS": "\(operatorKey),2:the-admin-key-of-project-two",
            "SLUICE_READ_KEYS": "the-read-key-of-project-one,2:the-read-key-of-project-two",
            "SLUICE_WRITE_KEYS": "the-write-key-of-project-one,2:the-write-key-of-project-two",
        ]

        private func callers(_ cluster: Cluster) async throws -> [Caller] {
            let admin = try await EndedKeys.create(cluster, ["role": "admin"], Self.operatorKey)
            try await EndedKeys.until(cluster, admin.text, answers: 200)
            let ended = try await EndedKeys(cluster, admin: Self.operatorKey)
            return [
                Caller(name: "without a key", key: nil),
                Caller(name: "an unknown key", key: "a-key-that-nobody-has-made"),
                Caller(name: "an expired key", key: ended.expired),
                Caller(name: "a revoked key", key: ended.revoked),
                Caller(name: "write", key: "the-write-key-of-project-one", role: .write),
                Caller(name: "read", key: "the-read-key-of-project-one", role: .read),
                Caller(name: "write of another project", key: "the-write-key-of-project-two", role: .write, project: 2),
                Caller(name: "read of another project", key: "the-read-key-of-project-two", role: .read, project: 2),
                // Before those of project 1, who delete what they name.
                Caller(name: "admin of another project", key: "the-admin-key-of-project-two", role: .admin, project: 2),
                Caller(name: "admin", key: admin.text, role: .admin),
                Caller(name: "operator", key: Self.operatorKey, role: .admin, isOperator: true),
            ]
        }

        // MARK: - HTTP

        private func rows(_ cluster: Cluster) async throws -> [String: Row] {
            let steps: JSONValue = ["funnel": ["steps": ["a", "b", "c"], "window_duration": "1d"]]
            func query(_ more: [JSONValue.Member] = []) -> JSONValue { .object((steps.asObject ?? []) + more) }
            func key() async throws -> String { try await EndedKeys.create(cluster, ["role": "read"], Self.operatorKey).id }
            let page = try await HTTP.call("GET", cluster.coordinatorHTTP, "/").text
            let asset = try #require(page.firstMatch(of: #/"(/assets/[^"]+)"/#).map { String($0.1) })
            var rows = [
                "POST /v1/query": Row(.read, nil, query()),
                "POST /v1/query/users": Row(.read, nil, query([.init("step", 1), .init("outcome", "reached")])),
                "POST /v1/query/paths": Row(.read, nil, query([.init("from", ["dropped": 2])])),
                "POST /v1/query/predictors": Row(.read, nil, query([.init("min_users", 1)])),
                "POST /v1/query/times": Row(.read, nil, query()),
                "POST /v1/query/explain": Row(.read, nil, query([.init("user_id", "u1")])),
                "POST /v1/live": Row(.read, nil, query()),
                "GET /funnel-performance": Row(.read, "/funnel-performance?funnel_id=kept-of-1", foreign: 404),
                "GET /v1/events": Row(.read), "GET /v1/properties": Row(.read),
                "GET /v1/properties/{name}/values": Row(.read, "/v1/properties/shade/values"),
                "GET /v1/funnels": Row(.read),
                "GET /v1/funnels/{id}": Row(.read, "/v1/funnels/kept-of-1", foreign: 404),
                "PUT /v1/funnels/{id}": Row(.admin, "/v1/funnels/put", ["steps": ["a"]]),
                "DELETE /v1/funnels/{id}": Row(.admin, "/v1/funnels/gone-of-1", foreign: 404),
                "GET /v1/keys": Row(.admin, "/v1/keys?project=1", foreign: 403),
                "POST /v1/keys": Row(.admin, nil, ["role": "read", "project": 1], foreign: 403),
                "DELETE /v1/keys": Row(.admin, "/v1/keys?id=\(try await key())", foreign: 404),
                "DELETE /v1/keys/{id}": Row(.admin, "/v1/keys/\(try await key())", foreign: 404),
                "GET /v1/projects": Row(.read), "POST /v1/projects": Row(.anOperator, nil, ["name": "More"]),
                "GET /v1/projects/{id}": Row(.read, "/v1/projects/1", foreign: 404),
                "PUT /v1/projects/{id}": Row(.admin, "/v1/projects/1", ["name": "Main-of-1"], foreign: 404),
                "GET /v1/alerts": Row(.read), "GET /v1/alerts/{id}": Row(.read, "/v1/alerts/kept-of-1", foreign: 404),
                "PUT /v1/alerts/{id}": Row(.admin, "/v1/alerts/put", Self.rule, foreign: 422),
                "DELETE /v1/alerts/{id}": Row(.admin, "/v1/alerts/gone-of-1", foreign: 404),
                "GET /v1/alerts/{id}/history": Row(.read, "/v1/alerts/kept-of-1/history", foreign: 404),
                "POST /v1/alerts/dry-run": Row(
                    .read, nil, ["rule": .object([.init("id", "r")] + (Self.rule.asObject ?? []))], foreign: 422),
                "GET /v1/channels": Row(.admin), "GET /v1/channels/{id}": Row(.admin, "/v1/channels/kept-of-1", foreign: 404),
                "PUT /v1/channels/{id}": Row(.admin, "/v1/channels/put", Self.channel),
                "DELETE /v1/channels/{id}": Row(.admin, "/v1/channels/gone-of-1", foreign: 404),
                "POST /v1/channels/{id}/test": Row(.admin, "/v1/channels/kept-of-1/test", foreign: 404),
                "GET /v1/reports": Row(.read), "GET /v1/reports/{id}": Row(.read, "/v1/reports/kept-of-1", foreign: 404),
                "PUT /v1/reports/{id}": Row(.admin, "/v1/reports/put", Self.report, foreign: 422),
                "DELETE /v1/reports/{id}": Row(.admin, "/v1/reports/gone-of-1", foreign: 404),
                "POST /v1/reports/{id}/send": Row(.admin, "/v1/reports/kept-of-1/send", foreign: 404),
                "GET /v1/cohorts": Row(.read), "GET /v1/cohorts/{id}": Row(.read, "/v1/cohorts/kept-of-1", foreign: 404),
                "PUT /v1/cohorts/{id}": Row(.admin, "/v1/cohorts/put", Self.cohort, foreign: 422),
                "DELETE /v1/cohorts/{id}": Row(.admin, "/v1/cohorts/gone-of-1", foreign: 404),
                "POST /v1/cohorts/{id}/sync": Row(.admin, "/v1/cohorts/kept-of-1/sync", foreign: 404),
                "GET /v1/annotations": Row(.read), "GET /v1/annotations/{id}": Row(.read, "/v1/annotations/kept-of-1", foreign: 404),
                "PUT /v1/annotations/{id}": Row(.admin, "/v1/annotations/put", Self.annotation, foreign: 422),
                "DELETE /v1/annotations/{id}": Row(.admin, "/v1/annotations/gone-of-1", foreign: 404),
                "GET /v1/export/events": Row(.read),
                "GET /v1/applied": Row(.admin), "GET /v1/applied/{id}": Row(.admin, "/v1/applied/kept-of-1", foreign: 404),
                "PUT /v1/applied/{id}": Row(.admin, "/v1/applied/put", Self.applied),
                "DELETE /v1/applied/{id}": Row(.admin, "/v1/applied/gone-of-1", foreign: 404),
                "GET /v1/rules": Row(.read), "PUT /v1/rules": Row(.admin, nil, ["rules": []]), "GET /v1/rejected": Row(.read),
                "GET /v1/status": Row(.read), "GET /v1/session": Row(.nobody),
                "POST /v1/session": Row(.nobody, nil, ["key": "the-read-key-of-project-one"]), "DELETE /v1/session": Row(.nobody),
                "GET /": Row(.nobody), "GET /assets/**": Row(.nobody, asset),
            ]
            for report in [
                "report?format=csv", "users?step=1&format=ndjson", "paths?dropped=2", "predictors?min_users=1", "times?format=csv",
                "explain?user_id=user-of-1",
            ] {
                let name = report.prefix { $0 != "?" }
                rows["GET /v1/funnels/{id}/\(name)"] = Row(.read, "/v1/funnels/long-of-1/\(report)", foreign: 404)
            }
            return rows
        }

        /// Rows of project 1 with names that no other project has, and saved funnels.
        private func prepare(_ cluster: Cluster) async throws {
            var events = ["a", "b", "c", "more-of-1"].enumerated().map {
                event("user-of-1", $1, Double($0), properties: ["shade": "red-of-1"])
            }
            events.append(event("u1", "a", 0))
            #expect(try await cluster.send(events, key: Self.operatorKey).status == 200)
            for (funnel, steps) in [("kept-of-1", ["a"]), ("gone-of-1", ["a"]), ("long-of-1", ["a", "b", "c"])] as [(String, JSONValue)] {
                let body: JSONValue = ["steps": steps]
                let saved = try await HTTP.call(
                    "PUT", cluster.coordinatorHTTP, "/v1/funnels/\(funnel)", body: body.encode(), key: Self.operatorKey)
                #expect(saved.status == 201)
            }
            for name in ["kept-of-1", "gone-of-1"] {
                let documents = [
                    ("alerts", Self.rule), ("channels", Self.channel), ("reports", Self.report), ("cohorts", Self.cohort),
                    ("annotations", Self.annotation), ("applied", Self.applied),
                ]
                for (path, body) in documents {
                    let saved = try await HTTP.call(
                        "PUT", cluster.coordinatorHTTP, "/v1/\(path)/\(name)", body: body.encode(), key: Self.operatorKey)
                    #expect(saved.status == 201, "\(saved.text)")
                }
            }
        }

        @Test func everyHTTPEndpointOfTheCoordinatorAsksForItsKey() async throws {
            try await Cluster.with(shards: 2, environment: Self.environment) { cluster in
                try await prepare(cluster)
                let (callers, rows) = (try await callers(cluster), try await rows(cluster))
                #expect(Set(rows.keys) == Set(CoordinatorRoutes.endpoints.map { "\($0.method) \($0.path)" }))
                var shown: Set<String> = []
                for (number, row) in rows.sorted(by: { $0.key < $1.key }).enumerated() {
                    let answers = try await walk(row.value, row.key, cluster.coordinatorHTTP, callers, number)
                    for (caller, answer) in zip(callers, answers) where answer.status < 300 && answer.text.contains("of-1") {
                        #expect(caller.project == 1 && caller.role != nil, "\(row.key), \(caller.name): \(answer.text)")
                        shown.insert(row.key)
                    }
                }
                // Where the data of project 1 show, so that the check above can fail.
                let wanted: Set = [
                    "GET /v1/export/events", "POST /v1/query/users", "GET /v1/funnels/{id}/users", "GET /v1/events",
                    "GET /v1/properties/{name}/values",
                    "GET /v1/funnels",
                ]
                #expect(shown.isSuperset(of: wanted), "\(wanted.subtracting(shown))")
            }
        }

        /// Calls an endpoint as every caller.
        private func walk(
            _ row: Row, _ name: String, _ address: String, _ callers: [Caller], _ number: Int
        ) async throws -> [HTTP.Answer] {
            let words = name.split(separator: " ").map(String.init)
            var (answers, isAnswered): ([HTTP.Answer], Bool) = ([], false)
            for (i, caller) in callers.enumerated() {
                // An address that has sent several wrong keys must wait.
                let answer = try await call(words[0], address, row.path ?? words[1], row.body, caller, from: "127.3.\(number).\(i + 1)")
                answers.append(answer)
                let what: Comment = "\(name), \(caller.name): \(answer.status) \(answer.text)"
                if row.need != .nobody, caller.role == nil {
                    #expect(answer.status == 401, what)
                } else if !caller.may(row.need) {
                    #expect(answer.status == 403, what)
                } else if let foreign = row.foreign, caller.project != 1 {
                    #expect(answer.status == foreign, what)
                } else {
                    // What one caller has made or deleted, the next finds as it is.
                    #expect(answer.status < 300 || [404, 409].contains(answer.status), what)
                    isAnswered = isAnswered || answer.status < 300
                }
            }
            #expect(isAnswered, "\(name): nobody got an answer")
            return answers
        }

        private func call(
            _ method: String, _ address: String, _ path: String, _ body: JSONValue?, _ caller: Caller, from source: String
        ) async throws -> HTTP.Answer {
            guard path != "/v1/live" else {
                // The answer has no end.
                let stream = try EventStream(address, path, body ?? .null, headers: caller.headers)
                return HTTP.Answer(
                    status: stream.head.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0, body: [], headers: [:])
            }
            let headers = caller.headers.merging(body == nil ? [:] : ["Content-Type": "application/json"]) { $1 }
            return try await PlainHTTP.call(method, address, path, body: body?.encode(), headers: headers, from: source)
        }

        @Test func everyHTTPEndpointOfIngestAsksForItsKey() async throws {
            try await Cluster.with(shards: 1, environment: Self.environment) { cluster in
                let callers = try await callers(cluster)
                let one = event("u", "a", 0)
                let rows = ["POST /track-event": Row(.write, nil, one), "POST /v1/events": Row(.write, nil, [one])]
                #expect(Set(rows.keys) == Set(IngestRoutes.endpoints.map { "\($0.method) \($0.path)" }))
                for (number, row) in rows.sorted(by: { $0.key < $1.key }).enumerated() {
                    _ = try await walk(row.value, row.key, cluster.ingestHTTP, callers, number)
                }
                // SDKs: those that take events are in `SDKEndpointTests`; the others need no key, and have nothing of a project.
                let taking = Set(SDKEndpoint.all.filter(\.takesEvents).map { "\($0.method.rawValue) \($0.path)" })
                for (number, endpoint) in SDKRoutes.endpoints.enumerated() {
                    let name = "\(endpoint.method) \(endpoint.path)"
                    #expect((endpoint.role == .write) == taking.contains(name), "\(name)")
                    guard endpoint.role == nil else { continue }
                    for (i, caller) in callers.enumerated() {
                        var headers = caller.headers
                        headers["Origin"] = "https://shop.example"
                        let path = endpoint.path.replacing("{key}", with: caller.key ?? "none")
                        let answer = try await PlainHTTP.call(
                            "\(endpoint.method)", cluster.ingestHTTP, path, headers: headers, from: "127.4.\(number).\(i + 1)")
                        let isPreflight = "\(endpoint.method)" == "OPTIONS"
                        #expect(answer.status == (isPreflight ? 204 : 200), "\(name), \(caller.name): \(answer.status) \(answer.text)")
                    }
                }
            }
        }

        /// Health, metrics and the document have no data of a project. A shard has no other HTTP endpoint.
        @Test func whatEveryServiceHasNeedsNoKey() async throws {
            try await Cluster.with(shards: 1, environment: Self.environment) { cluster in
                let shard = cluster.shardHTTP(0)
                for address in [cluster.ingestHTTP, cluster.coordinatorHTTP, shard] {
                    for path in ServiceServer.paths {
                        for key in [nil, "a-key-that-nobody-has-made", Self.operatorKey] {
                            #expect(try await HTTP.call("GET", address, path, key: key).status == 200, "\(path)")
                        }
                    }
                }
                let others =
                    CoordinatorRoutes.endpoints.map { ("\($0.method)", $0.path) } + IngestRoutes.endpoints.map { ("\($0.method)", $0.path) }
                    + SDKRoutes.endpoints.map { ("\($0.method)", $0.path) }
                for (method, path) in others {
                    let headers = ["Authorization": "Bearer \(Self.operatorKey)"]
                    let answer = try await PlainHTTP.call(method, shard, path, headers: headers)
                    #expect(answer.status == 404 || answer.status == 405, "\(method) \(path) of a shard: \(answer.status)")
                }
            }
        }

        // MARK: - Wire calls

        private enum WireService: CaseIterable { case ingest, coordinator, shard }

        /// What a caller without a service's hello needs; nil if the service does not have the call.
        private static func need(_ path: CallPath, _ service: WireService) -> WireNeed? {
            switch path {
            case .hello, .health: .nobody
            case .identity: .hello
            case .append:
                switch service {
                case .ingest: .key(.write)
                case .shard: .hello
                case .coordinator: nil
                }
            case .query, .users, .times, .explain, .paths, .predictors: service == .coordinator ? .key(.read) : nil
            case .snapshot, .keys, .rules, .announce: service == .coordinator ? .hello : nil
            case .incoming: service == .ingest ? .hello : nil
            case .partialQuery, .partialUsers, .partialDiscovery, .partialExport, .shardAppend: service == .shard ? .hello : nil
            }
        }

        private enum WireNeed {
            case nobody
            case key(Need)
            /// No API key is enough.
            case hello
        }

        @Test func everyWireCallAsksForItsKey() async throws {
            try await Cluster.with(shards: 1, environment: Self.environment) { cluster in
                let callers = try await callers(cluster)
                for service in WireService.allCases {
                    let address =
                        switch service {
                        case .ingest: cluster.ingestWire
                        case .coordinator: cluster.coordinatorWire
                        case .shard: cluster.shardWire(0)
                        }
                    let client = try Self.client(address)
                    for path in CallPath.allCases {
                        for caller in callers {
                            let code = await Self.code(client, path, caller)
                            #expect(
                                Self.isExpected(code, Self.need(path, service), caller),
                                "\(path) of \(service), \(caller.name): \(code.map { "\($0)" } ?? "answered")")
                        }
                    }
                    await client.shutdown()
                }
            }
        }

        private static func client(_ address: String) throws -> FrameClient {
            guard let port = address.split(separator: ":").last.flatMap({ Int($0) }) else { throw Trouble("no port: \(address)") }
            return FrameClient(
                name: "test", host: "127.0.0.1", port: port, service: ServiceSelf(role: .client, secret: []) { ClusterState() },
                group: MultiThreadedEventLoopGroup.singleton, tls: nil, connections: 1,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }

        /// The code of a call's error; nil if it is answered. The body is empty, which only a caller who may call can learn.
        private static func code(_ client: FrameClient, _ path: CallPath, _ caller: Caller) async -> ProtocolError.Code? {
            do throws(ProtocolError) {
                try await client.call(
                    path, [], authorization: caller.headers["Authorization"], timeout: .seconds(30)
                ) { _ in }
                return nil
            } catch {
                return error.code
            }
        }

        private static func isExpected(_ code: ProtocolError.Code?, _ need: WireNeed?, _ caller: Caller) -> Bool {
            switch need {
            case nil: code == .unknownKind
            case .hello: code == .notAuthenticated
            case .nobody: !isRefusal(code)
            case .key(let need):
                if caller.role == nil { code == .notAuthenticated } else { caller.may(need) ? !isRefusal(code) : code == .forbidden }
            }
        }

        private static func isRefusal(_ code: ProtocolError.Code?) -> Bool {
            switch code {
            case .notAuthenticated, .forbidden, .unknownKind, .unreachable, .connectionLost, .deadlineExceeded: true
            default: false
            }
        }
    }
}

import Foundation
import FunnelModel
import TestSupport
import Testing

/// A real cluster: `sluice up` with its processes, on any free ports, its data in a folder of its own.
final class Cluster: @unchecked Sendable {
    // Unchecked: `process` and `info` are set before the cluster is handed out, `info` again only by the one test it belongs to.
    let directory: URL
    private let shards: Int
    private let arguments: [String]
    private let environment: [String: String]
    private var process: Process?
    private(set) var info: JSONValue = .null

    /// The folder with the built programs: beside the test bundle.
    static let programs: URL = {
        let bundle = ProcessInfo.processInfo.arguments.first.map { URL(fileURLWithPath: $0) }
        let path = ProcessInfo.processInfo.environment["SLUICE_PROGRAMS"].map { URL(fileURLWithPath: $0) }
        if let path { return path }
        var folder = bundle?.deletingLastPathComponent() ?? Repository.root
        for _ in 0..<4 {
            if FileManager.default.isExecutableFile(atPath: folder.appendingPathComponent("sluice-shard").path) { return folder }
            folder = folder.deletingLastPathComponent()
        }
        return Repository.root.appendingPathComponent(".build/release")
    }()

    static func temporaryDirectory() throws -> URL {
        let url = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        return url
    }

    init(shards: Int, directory: URL? = nil, arguments: [String] = [], environment: [String: String] = [:]) throws {
        self.shards = shards
        self.arguments = arguments
        self.environment = environment
        self.directory = try directory ?? Self.temporaryDirectory()
    }

    /// Runs `body` on a cluster that is ready, and stops it afterwards, also after an error.
    static func with<T>(
        shards: Int, arguments: [String] = [], environment: [String: String] = [:], _ body: (Cluster) async throws -> T
    ) async throws -> T {
        let cluster = try Cluster(shards: shards, arguments: arguments, environment: environment)
        defer { try? FileManager.default.removeItem(at: cluster.directory) }
        try await cluster.start()
        do {
            let result = try await body(cluster)
            try await cluster.stop()
            return result
        } catch {
            try? await cluster.stop()
            throw error
        }
    }

    func start(extra: [String] = []) async throws {
        let file = directory.appendingPathComponent("info.json")
        try? FileManager.default.removeItem(at: file)
        let usual = [
            "up", "--any-port", "--shards", "\(shards)", "--data", directory.appendingPathComponent("data").path, "--info", file.path,
        ]
        process = try Command.spawn(
            "sluice", usual + arguments + extra, environment: environment, log: directory.appendingPathComponent("up.log").path)
        for _ in 0..<1_200 {
            if let data = try? Data(contentsOf: file), let read = try? JSONParser.parse(Array(data)) {
                info = read
                return
            }
            guard process?.isRunning == true else { throw Trouble("sluice up ended: \(log)") }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw Trouble("cluster is not ready: \(log)")
    }

    /// Sends a signal to `sluice up`.
    func signal(_ number: Int32) {
        if let process, process.isRunning { kill(process.processIdentifier, number) }
    }

    /// SIGTERM, and the exit code 0 that must follow.
    func stop() async throws {
        guard let process, process.isRunning else { return }
        kill(process.processIdentifier, SIGTERM)
        await Command.wait(process)
        if process.terminationStatus != 0 { throw Trouble("sluice up ended with \(process.terminationStatus)") }
    }

    /// Waits until members that were killed are back, and answer.
    func untilReady() async throws {
        for _ in 0..<600 {
            try? reread()
            var ready = true
            for address in [ingestHTTP] + (0..<shards).map(shardHTTP)
            where (try? await HTTP.call("GET", address, "/readyz"))?.status != 200 { ready = false }
            if ready, (try? await query(["funnel": ["steps": ["a"]]])) != nil { return }
            try await Task.sleep(for: .milliseconds(25))
        }
        throw Trouble("the cluster did not come back")
    }

    func reread() throws {
        info = try JSONParser.parse(Array(try Data(contentsOf: directory.appendingPathComponent("info.json"))))
    }

    var ingestWire: String { info["ingest"]?["wire"]?.asString?.string ?? "" }
    var ingestHTTP: String { info["ingest"]?["http"]?.asString?.string ?? "" }
    var coordinatorWire: String { info["coordinator"]?["wire"]?.asString?.string ?? "" }
    var coordinatorHTTP: String { info["coordinator"]?["http"]?.asString?.string ?? "" }

    func shardHTTP(_ i: Int) -> String { info["shards"]?.asArray?[i]["http"]?.asString?.string ?? "" }
    func shardWire(_ i: Int) -> String { info["shards"]?.asArray?[i]["wire"]?.asString?.string ?? "" }
    func pid(_ name: ByteString) -> Int32 { Int32(info["pids"]?[name]?.asInteger ?? 0) }

    var log: String {
        let folder = directory.appendingPathComponent("data/logs")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.map { (try? String(contentsOf: folder.appendingPathComponent($0), encoding: .utf8)) ?? "" }.joined(separator: "\n")
    }

    /// What `sluice up` itself has said since its last start.
    var notes: String { (try? String(contentsOf: directory.appendingPathComponent("up.log"), encoding: .utf8)) ?? "" }

    // MARK: - Talking to it

    /// The sum over all shards of one of their metrics.
    func metric(_ name: String) async throws -> Int {
        var sum = 0
        for shard in 0..<shards {
            let lines = try await HTTP.call("GET", shardHTTP(shard), "/metrics").text.split(separator: "\n")
            let line = lines.first { $0.hasPrefix(name + " ") }
            sum += line.flatMap { $0.split(separator: " ").last }.flatMap { Double($0) }.map { Int($0) } ?? 0
        }
        return sum
    }

    func query(_ body: JSONValue, key: String? = nil) async throws -> JSONValue {
        let answer = try await HTTP.call("POST", coordinatorHTTP, "/v1/query", body: body.encode(), key: key)
        guard answer.status == 200 else { throw Trouble("query: \(answer.status) \(answer.text)") }
        return answer.json
    }

    func counts(_ steps: [String], more: [JSONValue.Member] = []) async throws -> [Int] {
        let funnel = JSONValue.object([.init("steps", .array(steps.map { .text($0) }))] + more)
        return Report(try await query(["funnel": funnel])).counts
    }

    /// Every user of a list, page by page.
    func users(_ funnel: JSONValue, step: Int, outcome: String, page: Int = 10_000, asOf: JSONValue = .null) async throws -> [String] {
        var users: [String] = []
        var after: JSONValue = ""
        var asOf = asOf
        while true {
            let body: JSONValue = [
                "funnel": funnel, "step": .count(step), "outcome": .text(outcome), "limit": .count(page), "after": after, "as_of": asOf,
            ]
            let answer = try await HTTP.call("POST", coordinatorHTTP, "/v1/query/users", body: body.encode())
            guard answer.status == 200 else { throw Trouble("users: \(answer.status) \(answer.text)") }
            users += answer.json["users"]?.asArray?.compactMap { $0.asString?.string } ?? []
            guard let next = answer.json["next"], next != .null else { return users }
            after = next
            asOf = answer.json["as_of"] ?? .null
        }
    }

    /// Posts events as a JSON array.
    func send(_ events: [JSONValue], headers: [String: String] = [:], key: String? = nil) async throws -> HTTP.Answer {
        try await HTTP.call("POST", ingestHTTP, "/v1/events", body: JSONValue.array(events).encode(), headers: headers, key: key)
    }
}

struct Trouble: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// The parts of an answer that tests look at.
struct Report {
    let json: JSONValue
    init(_ json: JSONValue) { self.json = json }

    var steps: [JSONValue] { json["steps"]?.asArray ?? [] }
    var counts: [Int] { steps.map { Int($0["count"]?.asInteger ?? -1) } }
    func numbers(_ field: ByteString) -> [Double?] { steps.map { $0[field]?.asDouble } }
}

func event(_ user: String, _ name: String, _ seconds: Double, id: String? = nil, properties: JSONValue? = nil) -> JSONValue {
    var members: [JSONValue.Member] = [
        .init("user_id", .text(user)), .init("event", .text(name)),
        .init("timestamp", .text(Timestamp.format(1_700_000_000_000_000 + Int64(seconds * 1e6)))),
    ]
    if let id { members.append(.init("event_id", .text(id))) }
    if let properties { members.append(.init("properties", properties)) }
    return .object(members)
}

import Foundation
import FunnelModel

/// Single services, each started by the test itself: for what `sluice up` would never do.
final class Services {
    struct Service {
        let name: String
        let process: Process
        let http: String
        let wire: String

        var log: String { (try? String(contentsOfFile: name, encoding: .utf8)) ?? "" }
    }

    let folder: URL
    private let environment: [String: String]
    private var ports = Array(20_000..<32_000).shuffled()[...]
    private var running: [Process] = []

    init(environment: [String: String] = [:]) throws {
        folder = try Cluster.temporaryDirectory()
        self.environment = ["SLUICE_CLUSTER_SECRET": "a secret of the cluster, long enough"].merging(environment) { $1 }
    }

    /// Runs `body`, and ends whatever it has started.
    static func with<T>(environment: [String: String] = [:], _ body: (Services) async throws -> T) async throws -> T {
        let services = try Services(environment: environment)
        defer {
            for process in services.running where process.isRunning { kill(process.processIdentifier, SIGKILL) }
            try? FileManager.default.removeItem(at: services.folder)
        }
        return try await body(services)
    }

    func port() -> Int { ports.popFirst() ?? 0 }

    func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    /// - Parameters:
    ///   - data: name of the directory, in the folder of the test.
    ///   - wire: the wire port; nil takes any.
    func start(
        _ program: String, data: String, wire: Int? = nil, _ arguments: [String], environment more: [String: String] = [:]
    ) throws -> Service {
        let (http, wire) = (port(), wire ?? port())
        let log = path("\(data)-\(running.count).log")
        let process = try Command.spawn(
            program, ["--data", path(data), "--http-port", "\(http)", "--wire-port", "\(wire)"] + arguments,
            environment: environment.merging(more) { $1 }, log: log)
        running.append(process)
        return Service(name: log, process: process, http: "127.0.0.1:\(http)", wire: "127.0.0.1:\(wire)")
    }

    /// SIGTERM, and waits.
    func stop(_ services: Service...) async {
        for service in services {
            service.process.terminate()
            await Command.wait(service.process)
        }
    }

    /// Waits until /readyz answers with this status.
    func until(_ service: Service, answers status: Int) async throws {
        var last = ""
        for _ in 0..<800 {
            if let answer = try? await HTTP.call("GET", service.http, "/readyz") {
                if answer.status == status { return }
                last = answer.text
            }
            try await Task.sleep(for: .milliseconds(25))
        }
        throw Trouble("\(service.name) does not answer \(status): \(last)\n\(service.log)")
    }
}

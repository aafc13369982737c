import ArgumentParser
import Foundation
import FunnelModel
import ServiceRuntime
import Synchronization

struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a cluster on this machine.",
        discussion: """
            Starts one ingest, the shards and a coordinator. Each service is a process of its own, with a log file in DATA/logs. A service \
            that ends is started again. SIGTERM, Ctrl-C or the end of the terminal stops all of them; SIGHUP makes them read \
            their TLS certificates again. API keys and the cluster secret come from the environment: SLUICE_WRITE_KEYS, \
            SLUICE_READ_KEYS, SLUICE_ADMIN_KEYS, SLUICE_CLUSTER_SECRET. Other SLUICE_ \
            variables are settings of the services.

            Examples:
              sluice up
              sluice up --shards 4 --data /var/lib/sluice
              sluice up --any-port --info ./cluster.json
            """)

    @Option(help: ArgumentHelp("Number of shards, 1 to 256. It cannot be changed once the cluster has data.", valueName: "number"))
    var shards = 2
    @Option(help: ArgumentHelp("Directory of the cluster: data and logs.", valueName: "directory"), completion: .directory)
    var data = "./sluice-data"
    @Option(
        help: ArgumentHelp("Write addresses and process ids to this file as JSON, once all services are ready.", valueName: "file"),
        completion: .file())
    var info: String?
    @Option(help: ArgumentHelp("HTTP port of ingest; 0 takes any free port.", valueName: "port")) var ingestHttp = 8080
    @Option(help: ArgumentHelp("Wire port of ingest; 0 takes any free port.", valueName: "port")) var ingestWire = 8081
    @Option(help: ArgumentHelp("HTTP port of the coordinator; 0 takes any free port.", valueName: "port")) var coordinatorHttp = 8090
    @Option(help: ArgumentHelp("Wire port of the coordinator; 0 takes any free port.", valueName: "port")) var coordinatorWire = 8091
    @Option(help: ArgumentHelp("Wire port of shard 0; shard N has port + N; 0 takes any free ports.", valueName: "port"))
    var shardWire = 8100
    @Option(help: ArgumentHelp("HTTP port of shard 0; shard N has port + N; 0 takes any free ports.", valueName: "port"))
    var shardHttp = 8200
    @Flag(help: "Take any free port for every service; --info writes which.") var anyPort = false
    @Option(
        help: ArgumentHelp(
            "Rows in memory at which a shard writes a segment file: 1,000 to 10,000,000; 500,000 by default.", valueName: "rows"))
    var sealRows: Int?
    @Option(help: ArgumentHelp("Seconds to wait until all services are ready.", valueName: "seconds")) var patience = 120
    @Flag(
        help: """
            Start shards whose data directory is missing, or is not the one that the coordinator knows. They continue with what is \
            there, and answers lack the rest.
            """)
    var newShards = false

    func validate() throws {
        try checkNumber("--shards", shards, in: 1...Limits.shards)
        for (option, port) in [
            ("--ingest-http", ingestHttp), ("--ingest-wire", ingestWire), ("--coordinator-http", coordinatorHttp),
            ("--coordinator-wire", coordinatorWire), ("--shard-wire", shardWire), ("--shard-http", shardHttp),
        ] { try checkNumber(option, port, in: 0...65_535) }
    }

    func run() async throws {
        let environment = ProcessInfo.processInfo.environment
        for warning in KnownVariables.warnings(environment) { Terminal.note("Warning: \(warning)") }
        let ignored = ["HOST", "SHARD", "SHARDS", "DATA", "COORDINATOR", "HTTP_PORT", "WIRE_PORT", "NEW_SHARDS", "CONFIG"].map {
            "SLUICE_" + $0
        }
        for name in ignored where environment[name]?.isEmpty == false {
            Terminal.note("Warning: \(name) is for the single services and is ignored; see sluice up --help")
        }
        let directory = URL(fileURLWithPath: data).path
        let logs = directory + "/logs"
        try Self.make(logs, in: directory)
        let lock: DirectoryLock
        do throws(DirectoryLock.Fault) {
            lock = try DirectoryLock(directory)
        } catch {
            throw Failure("\(error): a cluster runs there already")
        }
        defer { withExtendedLifetime(lock) {} }
        if let info { try? FileManager.default.removeItem(atPath: info) }
        let earlier = EarlierData(directory, shards: shards)
        if let problem = await earlier.problem(newShards: newShards) { throw Failure(problem) }
        let isReady = Mutex(false)
        let plan = try ClusterPlan(
            shards: shards, data: directory, ports: ports, newShards: newShards ? await earlier.others() : [],
            extra: sealRows.map { ["--seal-rows", "\($0)"] } ?? [])
        try await Self.awaitPorts(of: plan, directory)
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let supervisor = Supervisor(plan, programs: URL(fileURLWithPath: own).deletingLastPathComponent(), logs: logs) { pids in
            if isReady.withLock({ $0 }) { Self.write(plan, pids, to: info) }
        }
        let hasTLS = environment["SLUICE_TLS_CERT"]?.isEmpty == false
        let stop = StopSignals { supervisor.hangUp() }
        try supervisor.start()
        let patience = Duration.seconds(patience)
        guard let problem = await stop.unlessStopped({ await supervisor.waitUntilReady(patience: patience) }) else {
            await supervisor.stop()
            Terminal.note("stopped before it was ready")
            return
        }
        if let problem {
            await supervisor.stop()
            throw Failure(problem)
        }
        isReady.withLock { $0 = true }
        Self.write(plan, supervisor.pids, to: info)
        let origin = (hasTLS ? "https" : "http") + "://127.0.0.1"
        Terminal.note("ready: dashboard \(origin):\(plan.coordinator.http)/, events to \(origin):\(plan.ingest.http)/v1/events")
        await stop.wait()
        await supervisor.stop()
        if let info { try? FileManager.default.removeItem(atPath: info) }
        Terminal.note("stopped")
    }

    private static func make(_ logs: String, in directory: String) throws {
        do {
            try FileManager.default.createDirectory(atPath: logs, withIntermediateDirectories: true)
        } catch {
            var isDirectory: ObjCBool = false
            if FileManager.default.fileExists(atPath: directory, isDirectory: &isDirectory), !isDirectory.boolValue {
                throw Failure("\(directory) is not a directory")
            }
            let cause = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
            let words = cause.flatMap { $0.domain == NSPOSIXErrorDomain ? String(cString: strerror(Int32($0.code))) : nil }
            throw Failure("cannot make \(logs): \(words ?? error.localizedDescription)")
        }
    }

    /// Throws if a port is in use. Waits for services of an earlier run that was killed: they end within seconds.
    private static func awaitPorts(of plan: ClusterPlan, _ directory: String) async throws {
        let end = ContinuousClock.now + .seconds(15)
        while let problem = plan.portProblem() {
            let isEnding = plan.members.contains { isLocked("\(directory)/\($0.name)") }
            guard isEnding, ContinuousClock.now < end else { throw Failure(problem) }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Whether a service has the data directory open.
    private static func isLocked(_ directory: String) -> Bool {
        guard FileManager.default.fileExists(atPath: directory) else { return false }
        do throws(DirectoryLock.Fault) {
            _ = try DirectoryLock(directory)
            return false
        } catch {
            guard case .held = error else { return false }
            return true
        }
    }

    private var ports: ClusterPlan.Ports {
        if anyPort { return .init(ingestHTTP: 0, ingestWire: 0, coordinatorHTTP: 0, coordinatorWire: 0, shardHTTP: 0, shardWire: 0) }
        return .init(
            ingestHTTP: ingestHttp, ingestWire: ingestWire, coordinatorHTTP: coordinatorHttp, coordinatorWire: coordinatorWire,
            shardHTTP: shardHttp, shardWire: shardWire)
    }

    private static func write(_ plan: ClusterPlan, _ pids: [String: Int32], to path: String?) {
        guard let path else { return }
        do {
            try DurableFile.replace(path, with: plan.info(pids: pids).encode() + [10])
        } catch {
            Terminal.note("cannot write --info: \(error)")
        }
    }
}

import ArgumentParser
import Foundation
import FunnelModel
import ServiceRuntime
import Synchronization

struct Up: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a whole cluster on this machine: ingest, shards and coordinator, as processes of their own.",
        discussion: """
            Members that die are started again. SIGTERM or Ctrl-C stops all of them. Keys and the cluster secret are taken \
            from the environment: SLUICE_WRITE_KEYS, SLUICE_READ_KEYS, SLUICE_ADMIN_KEYS, SLUICE_CLUSTER_SECRET.

            Example:
              sluice up --shards 2 --data ./sluice-data --info ./cluster.json
            """)

    @Option(help: "Number of shards; fixed for the life of the data.") var shards = 2
    @Option(help: "Directory for everything that is kept.") var data = "./sluice-data"
    @Option(help: "Write addresses and process ids to this file, as JSON, once everything is ready.") var info: String?
    @Option(help: "Ingest's HTTP port; 0 = any.") var ingestHttp = 8080
    @Option(help: "Ingest's wire port; 0 = any.") var ingestWire = 8081
    @Option(help: "The coordinator's HTTP port; 0 = any.") var coordinatorHttp = 8090
    @Option(help: "The coordinator's wire port; 0 = any.") var coordinatorWire = 8091
    @Option(help: "The first shard's wire port, the others follow; 0 = any.") var shardWire = 8100
    @Option(help: "The first shard's HTTP port, the others follow; 0 = any.") var shardHttp = 8200
    @Flag(help: "Any free port for everything; see --info.") var anyPort = false
    @Option(help: "Rows in memory that a shard seals into a segment.") var sealRows: Int?
    @Option(help: "Seconds to wait until everything is ready.") var patience = 120
    @Flag(help: "Shards whose data are missing, or not those that the coordinator knows, start with what is there.") var newShards = false

    func run() async throws {
        guard (1...256).contains(shards) else { throw ValidationError("--shards must be from 1 to 256") }
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
        let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let supervisor = Supervisor(plan, programs: URL(fileURLWithPath: own).deletingLastPathComponent(), logs: logs) { pids in
            if isReady.withLock({ $0 }) { Self.write(plan, pids, to: info) }
        }
        let stop = StopSignals()
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
        Terminal.note(
            "ready: dashboard http://127.0.0.1:\(plan.coordinator.http)/, events to http://127.0.0.1:\(plan.ingest.http)/v1/events")
        await stop.wait()
        await supervisor.stop()
        if let info { try? FileManager.default.removeItem(atPath: info) }
        Terminal.note("stopped")
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
            try DurableFile.replace(path, with: plan.info(pids: pids).encoded + [10])
        } catch {
            Terminal.note("cannot write --info: \(error)")
        }
    }
}

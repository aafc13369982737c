import Foundation
import FunnelModel
import FunnelRuntime
import Synchronization

/// Starts the members, starts those again that die, and stops all of them.
final class Supervisor: Sendable {
    private struct State {
        var processes: [String: Process] = [:]
        var stopping = false
        var refused: String?
    }

    private let plan: ClusterPlan
    private let programs: URL
    private let logs: String
    private let state = Mutex(State())
    private let onChange: @Sendable ([String: Int32]) -> Void
    /// Given to members where the environment has none, so that other users of the machine can't pass for a service.
    private let secret = (0..<32).map { _ in String(UInt8.random(in: 16...255), radix: 16) }.joined()

    /// - Parameter onChange: told all process ids whenever one was started again.
    init(_ plan: ClusterPlan, programs: URL, logs: String, onChange: @escaping @Sendable ([String: Int32]) -> Void) {
        self.plan = plan
        self.programs = programs
        self.logs = logs
        self.onChange = onChange
    }

    var pids: [String: Int32] { state.withLock { $0.processes.mapValues(\.processIdentifier) } }

    /// The words of a member that refuses its settings; it is not started again.
    var refusal: String? { state.withLock { $0.refused } }

    func start() throws {
        for member in plan.members { try start(member) }
    }

    private func start(_ member: ClusterPlan.Member) throws {
        let path = "\(logs)/\(member.name).log"
        if !FileManager.default.fileExists(atPath: path), !FileManager.default.createFile(atPath: path, contents: nil) {
            throw Failure("cannot write \(path)")
        }
        let log = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try log.seekToEnd()
        let process = Process()
        process.executableURL = programs.appendingPathComponent(member.program)
        process.arguments = member.arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = log
        process.standardError = log
        var environment = ProcessInfo.processInfo.environment
        // Should this process be killed, its members must not stay behind.
        environment["SLUICE_PARENT_PID"] = "\(getpid())"
        environment["SLUICE_CONFIG"] = nil
        if (environment["SLUICE_CLUSTER_SECRET"] ?? "").isEmpty { environment["SLUICE_CLUSTER_SECRET"] = secret }
        process.environment = environment
        process.terminationHandler = { [weak self] process in self?.ended(member, process) }
        try process.run()
        state.withLock { $0.processes[member.name] = process }
    }

    private func ended(_ member: ClusterPlan.Member, _ process: Process) {
        let stopping = state.withLock { $0.stopping }
        if stopping { return }
        if process.terminationReason == .exit, process.terminationStatus == 2 {
            let words = lastWords(member)
            state.withLock { $0.refused = words }
            return
        }
        let how = process.terminationReason == .exit ? "ended with \(process.terminationStatus)" : "was ended by signal \(process.terminationStatus)"
        Terminal.note("\(member.name) \(how); starting it again (log: \(logs)/\(member.name).log)")
        Thread.sleep(forTimeInterval: 0.3)
        if state.withLock({ $0.stopping }) { return }
        do {
            try start(member)
            onChange(pids)
        } catch {
            Terminal.note("\(member.name) can't be started: \(error.localizedDescription)")
        }
    }

    private func lastWords(_ member: ClusterPlan.Member) -> String {
        let bytes = DurableFile.read("\(logs)/\(member.name).log") ?? []
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        return lines.suffix(8).filter { $0.hasPrefix(member.program) }.joined(separator: "\n")
    }

    /// True once every member says that it is ready.
    func waitUntilReady(patience: Duration) async -> Bool {
        let end = ContinuousClock.now + patience
        for member in plan.members {
            while await !Readiness.ask(port: member.http) {
                if ContinuousClock.now > end || refusal != nil { return false }
                try? await Task.sleep(for: .milliseconds(30))
            }
        }
        return true
    }

    /// SIGTERM to all, ingest first; SIGKILL to what is left after a while.
    func stop() async {
        let processes = state.withLock { state in
            state.stopping = true
            return state.processes
        }
        let order = plan.members.reversed().compactMap { processes[$0.name] }
        for process in order where process.isRunning { kill(process.processIdentifier, SIGTERM) }
        let end = ContinuousClock.now + .seconds(15)
        while order.contains(where: \.isRunning), ContinuousClock.now < end { try? await Task.sleep(for: .milliseconds(20)) }
        for process in order where process.isRunning { kill(process.processIdentifier, SIGKILL) }
    }
}

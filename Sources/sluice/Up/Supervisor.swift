import EventFiles
import Foundation
import FunnelModel
import ServiceRuntime
import Synchronization

/// Starts the members of a cluster, restarts those that end, and stops all of them.
final class Supervisor: Sendable {
    private struct State {
        var processes: [String: Process] = [:]
        /// By member, the id with which its process was started; see `Readiness`.
        var instances: [String: String] = [:]
        var restarts: [String: Restarts] = [:]
        /// By member, the offset in its log at which the lines of its process begin.
        var logStarts: [String: UInt64] = [:]
        var stopping = false
        /// All members have been ready at once.
        var wasReady = false
        var refused: String?
    }

    /// The backoff before a member is restarted: doubled each time, up to 30 s, and reset once the member has run for 60 s.
    private struct Restarts {
        static let first = 0.3
        private static let most = 30.0

        /// A member that has ended this often before all were ready is not restarted.
        static let startsMax = 3

        var started = ContinuousClock.now
        var ended = 0
        private var pause = first / 2

        mutating func next() -> Double {
            ended += 1
            pause = ContinuousClock.now - started > .seconds(60) ? Self.first : min(Self.most, pause * 2)
            return pause
        }
    }

    private let plan: ClusterPlan
    private let programs: URL
    private let logs: String
    private let state = Mutex(State())
    private let onChange: @Sendable ([String: Int32]) -> Void
    /// The cluster secret, from the environment or random for this run: other users of the machine can't pass for a service.
    private let secret: String

    /// `onChange` is called with all process ids after each restart.
    init(_ plan: ClusterPlan, programs: URL, logs: String, onChange: @escaping @Sendable ([String: Int32]) -> Void) {
        self.plan = plan
        self.programs = programs
        self.logs = logs
        self.onChange = onChange
        let given = ProcessInfo.processInfo.environment["SLUICE_CLUSTER_SECRET"] ?? ""
        secret = given.isEmpty ? Self.random(32) : given
    }

    private static func random(_ bytes: Int) -> String {
        (0..<bytes).map { _ in String(UInt8.random(in: 16...255), radix: 16) }.joined()
    }

    var pids: [String: Int32] { state.withLock { $0.processes.mapValues(\.processIdentifier) } }

    /// The last messages of a member that rejects its settings or ends at every start; it is not restarted.
    var refusal: String? { state.withLock { $0.refused } }

    func start() throws {
        for member in plan.members { try start(member) }
    }

    private func start(_ member: ClusterPlan.Member) throws {
        let program = programs.appendingPathComponent(member.program)
        guard FileManager.default.isExecutableFile(atPath: program.path) else {
            throw Failure("\(program.path) is missing or cannot be run: all programs must be in the directory of sluice")
        }
        let path = "\(logs)/\(member.name).log"
        // A running member rotates its own log; one that keeps ending does not get to it.
        _ = LogFile.rotateIfLarge(path)
        let logStart = (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? UInt64) ?? 0
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw Failure("cannot write \(path): \(SystemWords.last)") }
        let log = FileHandle(fileDescriptor: file, closeOnDealloc: true)
        let process = Process()
        process.executableURL = program
        process.arguments = member.arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = log
        process.standardError = log
        var environment = ProcessInfo.processInfo.environment
        // If this process is killed, its members must stop too.
        environment["SLUICE_PARENT_PID"] = "\(getpid())"
        environment["SLUICE_LOG_FILE"] = path
        for name in ["SLUICE_CONFIG", "SLUICE_NEW_SHARDS"] { environment[name] = nil }
        // The coordinator alone needs API keys; others get their hashes from it.
        if member.name != "coordinator" {
            for name in ["SLUICE_WRITE_KEYS", "SLUICE_READ_KEYS", "SLUICE_ADMIN_KEYS", "SLUICE_KEY"] { environment[name] = nil }
        }
        environment["SLUICE_CLUSTER_SECRET"] = secret
        let instance = Self.random(16)
        environment["SLUICE_INSTANCE"] = instance
        process.environment = environment
        process.terminationHandler = { [weak self] process in self?.ended(member, process) }
        state.withLock { state in
            state.instances[member.name] = instance
            state.logStarts[member.name] = logStart
            state.restarts[member.name, default: Restarts()].started = .now
        }
        try process.run()
        state.withLock { $0.processes[member.name] = process }
    }

    private func ended(_ member: ClusterPlan.Member, _ process: Process) {
        let words = lastWords(member)
        let refuses = process.terminationReason == .exit && process.terminationStatus == 2
        let pause = state.withLock { state -> Double? in
            if state.stopping { return nil }
            // SIGKILL comes from outside, so it does not count as a failed start.
            if process.terminationReason == .uncaughtSignal, process.terminationStatus == SIGKILL { return Restarts.first }
            let pause = state.restarts[member.name, default: Restarts()].next()
            // Another start would end the same way. In a running cluster the member is restarted all the same, since the others go
            // on.
            let isHopeless = refuses || state.restarts[member.name, default: Restarts()].ended >= Restarts.startsMax
            guard isHopeless, !state.wasReady else { return pause }
            state.refused = "\(member.name) can't be started (log: \(logs)/\(member.name).log)" + (words.isEmpty ? "" : "\n" + words)
            return nil
        }
        guard let pause else { return }
        let how =
            process.terminationReason == .exit
            ? "ended with \(process.terminationStatus)" : "was ended by signal \(process.terminationStatus)"
        Terminal.note(
            "\(member.name) \(how); starting it again in \((pause * 10).rounded() / 10) s (log: \(logs)/\(member.name).log)"
                + (words.isEmpty ? "" : "\n" + words))
        DispatchQueue.global().asyncAfter(deadline: .now() + pause) { [weak self] in self?.startAgain(member) }
    }

    private func startAgain(_ member: ClusterPlan.Member) {
        if state.withLock({ $0.stopping }) { return }
        do {
            try start(member)
            onChange(pids)
        } catch {
            // A full disk or a program that is being replaced: the cluster goes on without it meanwhile.
            let pause = state.withLock { $0.restarts[member.name, default: Restarts()].next() }
            Terminal.note("\(member.name) can't be started: \(error); trying again in \((pause * 10).rounded() / 10) s")
            DispatchQueue.global().asyncAfter(deadline: .now() + pause) { [weak self] in self?.startAgain(member) }
        }
    }

    /// The lines of the member's log, since its last start, that say why it ended.
    private func lastWords(_ member: ClusterPlan.Member) -> String {
        let start = state.withLock { $0.logStarts[member.name] } ?? 0
        let tail = (try? FileHandle(forReadingFrom: URL(fileURLWithPath: "\(logs)/\(member.name).log"))).flatMap { file -> Data? in
            let size = (try? file.seekToEnd()) ?? 0
            // The member may have begun a new file.
            try? file.seek(toOffset: max(size - min(size, 16 << 10), start <= size ? start : 0))
            return try? file.readToEnd()
        }
        let lines = String(decoding: tail ?? Data(), as: UTF8.self).split(separator: "\n").suffix(8)
        return lines.filter { $0.hasPrefix(member.program) || $0.contains(" level=critical ") }.joined(separator: "\n")
    }

    /// Waits until all members are ready, and prints every 10 s which are not.
    /// - Returns: why a member is not ready after `patience`, or can't be started; nil once all are ready.
    func waitUntilReady(patience: Duration) async -> String? {
        let asking = plan.members.map { ($0, Readiness($0, secret: secret)) }
        let start = ContinuousClock.now
        var told = start
        var problems: [String] = []
        while !Task.isCancelled {
            problems = []
            for (member, readiness) in asking {
                let instance = state.withLock { $0.instances[member.name] }
                if let problem = await readiness.problem(instance: instance) { problems.append("\(member.name): \(problem)") }
            }
            if problems.isEmpty || refusal != nil || ContinuousClock.now - start > patience { break }
            if ContinuousClock.now - told > .seconds(10) {
                told = .now
                Terminal.note("waiting for " + problems.joined(separator: "\n            "))
            }
            try? await Task.sleep(for: .milliseconds(30))
        }
        for (_, readiness) in asking { await readiness.shutdown() }
        if let refusal { return refusal }
        if problems.isEmpty { state.withLock { $0.wasReady = true } }
        return problems.isEmpty ? nil : "not ready after \(patience.components.seconds) s; see \(logs)\n" + problems.joined(separator: "\n")
    }

    /// Passes SIGHUP on: members read their TLS files again. A member that is only starting would end, and reads them anyway.
    func hangUp() {
        let processes = state.withLock { $0.wasReady ? Array($0.processes.values) : [] }
        for process in processes where process.isRunning { kill(process.processIdentifier, SIGHUP) }
    }

    /// Sends SIGTERM to all members, ingest first, and SIGKILL after 9.7 s. Members end on their own after 9.5 s.
    func stop() async {
        let processes = state.withLock { state in
            state.stopping = true
            return state.processes
        }
        let order = plan.members.reversed().compactMap { processes[$0.name] }
        for process in order where process.isRunning { kill(process.processIdentifier, SIGTERM) }
        let end = ContinuousClock.now + .milliseconds(9_700)
        while order.contains(where: \.isRunning), ContinuousClock.now < end { try? await Task.sleep(for: .milliseconds(20)) }
        for process in order where process.isRunning { kill(process.processIdentifier, SIGKILL) }
    }
}

import FunnelModel
import Logging
import RPC
import ServiceRuntime
import Synchronization

/// Keeps rejected events in files, on a thread of its own: a caller only puts a line into a queue. What the queue or the disk does not
/// take is counted, and nobody waits for it.
final class DeadLetters: Sendable {
    private struct Queue {
        var lines: [UInt32: [[UInt8]]] = [:]
        var bytes: [UInt32: Int] = [:]
        var total = 0
        var isDraining = false
    }

    /// Max bytes of lines that wait; one project may have half of them.
    private static let queueMax = 8 << 20

    private let queue = Mutex(Queue())
    private let files: Mutex<DeadLetterFiles>
    private let fileBytes: Atomic<Int>
    private let threads = WorkThreads(isBackground: true)
    private let kept: Counter
    private let left: Counter
    private let limit = LogLimit()
    private let logger: Logger

    init(_ files: DeadLetterFiles, metrics: Metrics, logger: Logger) {
        self.logger = logger
        fileBytes = Atomic(files.bytes)
        self.files = Mutex(files)
        kept = metrics.counter("sluice_ingest_rejected_kept_total", "rejected events that were written to the files of rejected events")
        left = metrics.counter(
            "sluice_ingest_rejected_not_kept_total", "rejected events that are in no file: too many at once, or the disk did not take them")
        metrics.gauge("sluice_ingest_rejected_file_bytes", "bytes of the files of rejected events") { [weak self] in
            Double(self?.fileBytes.load(ordering: .relaxed) ?? 0)
        }
    }

    /// The last lines of each project's newest file.
    func lastLines(projectsMax: Int, bytesMax: Int) -> [(project: UInt32, lines: [[UInt8]])] {
        files.withLock { files in files.projects.prefix(projectsMax).map { ($0, files.lastLines($0, bytesMax: bytesMax)) } }
    }

    func countLeftOut(_ events: Int) { left.add(events) }

    /// Takes a line, unless too many wait.
    func offer(_ line: [UInt8], project: UInt32) {
        enum Step { case full, wait, start }
        let step = queue.withLock { queue -> Step in
            let own = queue.bytes[project, default: 0]
            guard queue.total + line.count <= Self.queueMax, own + line.count <= Self.queueMax / 2 else { return .full }
            queue.lines[project, default: []].append(line)
            queue.bytes[project] = own + line.count
            queue.total += line.count
            if queue.isDraining { return .wait }
            queue.isDraining = true
            return .start
        }
        switch step {
        case .full: left.add()
        case .wait: break
        case .start: Task { try? await threads.run(0) { [self] in drain() } }
        }
    }

    /// Writes what waits, until nothing does.
    private func drain() {
        while let lines = take() {
            for (project, lines) in lines {
                let (done, fault, bytes) = files.withLock { files in
                    let (done, fault) = files.append(lines, project: project)
                    return (done, fault, files.bytes)
                }
                fileBytes.store(bytes, ordering: .relaxed)
                kept.add(done)
                left.add(lines.count - done)
                guard let fault else { continue }
                limit.log(
                    logger, .error, "rejected", "rejected events could not be kept",
                    ["project": "\(project)", "events": "\(lines.count - done)", "error": "\(fault)"])
            }
        }
    }

    private func take() -> [UInt32: [[UInt8]]]? {
        queue.withLock { queue in
            guard queue.total > 0 else {
                queue.isDraining = false
                return nil
            }
            defer { (queue.lines, queue.bytes, queue.total) = ([:], [:], 0) }
            return queue.lines
        }
    }

    /// Writes what waits. To be called when no more requests come.
    func finish() async {
        await threads.shutdown()
        drain()
    }
}

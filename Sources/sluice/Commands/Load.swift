import ArgumentParser
import Foundation
import FunnelModel
import FunnelRuntime

struct Load: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Load CSV or NDJSON files, gzip too, over the binary protocol.",
        discussion: """
            Events without an id get <sha256 of the file>/<row>, so loading a file again adds nothing. Columns other than \
            user, event, timestamp and id become properties. Rejected rows go to FILE.rejected.ndjson with their reason.

            Examples:
              sluice load orders.csv.gz --user-id customer --event status --timestamp changed_at
              zcat events.ndjson.gz | sluice load -
            """)

    @Argument(help: "Files; - reads standard input.") var files: [String]
    @Option(help: "Column or member with the user id.") var userID = "user_id"
    @Option(help: "Column or member with the event name.") var event = "event"
    @Option(help: "Column or member with the timestamp.") var timestamp = "timestamp"
    @Option(help: "Column or member with the event id; \"\" ignores the file's ids.") var eventID = "event_id"
    @Option(help: "Events without an id get KEY/<row> instead of the file's hash.") var idempotencyKey: String?
    @Option(help: "Ingest's wire address.") var to = "127.0.0.1:8081"
    @OptionGroup var key: KeyOptions

    func run() async throws {
        let client = try WireClient(to, key, connections: 2)
        var random = SystemRandomNumberGenerator()
        let loader = Loader(client: client, producer: random.next())
        var failed = false
        var sequence: UInt64 = 1
        for file in files {
            do {
                let rejected = try await load(file, loader, &sequence)
                failed = failed || rejected > 0
            } catch {
                await client.shutdown()
                throw error
            }
        }
        await client.shutdown()
        if failed { throw ExitCode(3) }
    }

    private func load(_ file: String, _ loader: Loader, _ sequence: inout UInt64) async throws -> Int {
        guard file == "-" || FileManager.default.isReadableFile(atPath: file) else { throw ValidationError("cannot read \(file)") }
        let prefix = try idempotencyKey ?? (file == "-" ? UUID().uuidString : try EventSource.hash(file))
        let columns = EventSource.Columns(
            user: ByteString(userID), event: ByteString(event), timestamp: ByteString(timestamp),
            id: eventID.isEmpty ? ByteString("\u{0}none") : ByteString(eventID))
        let source = try EventSource(path: file, columns: columns, idPrefix: prefix, now: WallClock.now())
        let bar = ProgressBar(file == "-" ? "stdin" : (file as NSString).lastPathComponent)
        let rejects = RejectedRows(path: file == "-" ? "stdin.rejected.ndjson" : "\(file).rejected.ndjson")
        var totals = (accepted: 0, rejected: 0, rows: 0)
        let start = ContinuousClock.now
        try await withThrowingTaskGroup(of: Loader.Done.self) { group in
            func take(_ done: Loader.Done) throws {
                totals.accepted += done.accepted
                totals.rejected += done.rejected.count
                totals.rows += done.rows
                for (row, reason) in done.rejected { try rejects.write(row: row, reason: reason) }
                bar.show(rows: totals.rows, fraction: source.size.map { Double(source.bytesRead) / Double(max(1, $0)) })
            }
            var running = 0
            while let batch = try nextBatch(source, sequence, rejects, &totals.rejected) {
                sequence += 1
                if running == Loader.inFlight, let done = try await group.next() {
                    try take(done)
                    running -= 1
                }
                group.addTask { try await loader.send(batch) }
                running += 1
            }
            for try await done in group { try take(done) }
            bar.show(rows: totals.rows, fraction: 1, force: true)
        }
        bar.end()
        let seconds = max(0.001, Double((ContinuousClock.now - start) / .seconds(1)))
        var line = "\(file): \(Terminal.number(totals.accepted)) accepted, \(Terminal.number(totals.rejected)) rejected"
        line += " (\(Terminal.number(Int(Double(totals.accepted) / seconds)))/s)"
        if totals.rejected > 0 { line += "; reasons in \(rejects.path)" }
        Terminal.note(line)
        return totals.rejected
    }

    private func nextBatch(
        _ source: EventSource, _ sequence: UInt64, _ rejects: RejectedRows, _ rejected: inout Int
    ) throws -> Loader.Batch? {
        var builder = EventBatchBuilder()
        var rows: [Int] = []
        while rows.count < Loader.rowsPerBatch, builder.approximateBytes < Loader.bytesPerBatch, let row = try source.next() {
            switch row.result {
            case .success(let event):
                builder.append(event)
                rows.append(row.number)
            case .failure(let fault):
                rejected += 1
                try rejects.write(row: row.number, reason: fault.reason)
            }
        }
        return rows.isEmpty ? nil : Loader.Batch(sequence: sequence, batch: builder.finish(), rows: rows)
    }
}

/// Rows that were not taken, with their reason; the file is made when the first one comes.
private final class RejectedRows {
    let path: String
    private var handle: FileHandle?

    init(path: String) { self.path = path }

    func write(row: Int, reason: String) throws {
        if handle == nil {
            guard FileManager.default.createFile(atPath: path, contents: nil) else { throw Failure("cannot write \(path)") }
            handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        }
        let line: JSONValue = ["row": .count(row), "reason": .text(reason)]
        try handle?.write(contentsOf: Data(line.encoded + [10]))
    }
}

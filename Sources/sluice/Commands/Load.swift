import ArgumentParser
import Crypto
import EventFiles
import EventShapes
import Foundation
import FunnelModel
import ServiceRuntime

struct Load: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Load events from CSV or NDJSON files, plain or gzip.",
        discussion: """
            Columns and members other than user, event, time and id become properties. A \
            cell is a number only if it prints back as the same text: 1.10 and 007 are text \
            unless --number names their column.

            An event without an id gets one from what was read: user, event, time and \
            properties. So loading a file again adds nothing, and a file that grew adds only \
            its new rows. Other reading options make other events.

            Rejected rows go to FILE.rejected.ndjson, each with its lines and the reason. \
            The exit status is 0 if all rows were stored, 3 if rows were rejected, and 1 if \
            a file failed.

            Examples:
              sluice load export.csv --dry-run
              sluice load orders.csv.gz --user-id customer --event status \\
                  --timestamp changed_at
              sluice load events.json --preset mixpanel-export
              zcat events.ndjson.gz | sluice load -
            """)

    enum RowIDs: String, ExpressibleByArgument, CaseIterable { case content, file }
    enum Format: String, ExpressibleByArgument, CaseIterable { case table, json }

    @Argument(help: ArgumentHelp("Files to load; - reads standard input.", valueName: "file"), completion: .file()) var files: [String]
    @OptionGroup(title: "Reading") var reading: ReadingOptions
    @Option(
        help: ArgumentHelp(
            "Ids of events without one: content makes them from what was read, file from the SHA-256 of the file and the row, as 0.1 did.",
            valueName: "rule"))
    var rowIds: RowIDs = .content
    @Option(
        help: ArgumentHelp("Ids of events without one are KEY/0, KEY/1 and so on, by row. At most 128 bytes.", valueName: "key"))
    var idempotencyKey: String?
    @Flag(help: "Show how the files are read, and send nothing. Needs no cluster.") var dryRun = false
    @Option(
        help: ArgumentHelp("Output of --dry-run: a table of the first rows, or json with one line for each record.", valueName: "format"))
    var format: Format = .table
    @Option(help: ArgumentHelp("Wire address of ingest.", valueName: "host:port")) var to = "127.0.0.1:8081"
    @OptionGroup(title: "Connection") var key: KeyOptions

    func validate() throws {
        guard !files.isEmpty else { throw ValidationError("no file is given: name one or more files, or - for standard input") }
        if format == .json, !dryRun { throw ValidationError("--format json needs --dry-run") }
        if let idempotencyKey {
            guard (1...Limits.idempotencyKeyBytes).contains(idempotencyKey.utf8.count) else {
                throw ValidationError(
                    "--idempotency-key must have 1 to \(Limits.idempotencyKeyBytes) bytes, not \(idempotencyKey.utf8.count)")
            }
            if rowIds == .file { throw ValidationError("--idempotency-key and --row-ids file exclude each other: give one of them") }
        }
        _ = try reading.fileOptions()
    }

    func run() async throws {
        let options = try reading.fileOptions()
        var outcome = Outcome.complete
        if dryRun {
            let dryRun = DryRun(options: options, format: format)
            for file in files { outcome = max(outcome, try attempt(file) { try dryRun.show(file, try identity(of: file)) }) }
        } else {
            let client = try WireClient(to, key, connections: 2)
            var random = SystemRandomNumberGenerator()
            let loader = Loader(client: client, producer: random.next(), address: to)
            var sequence: UInt64 = 1
            for file in files {
                do {
                    outcome = max(outcome, try await load(file, options, loader, &sequence))
                } catch let fault as FileFault {
                    Self.report(fault, of: file)
                    outcome = .failed
                } catch {
                    await client.shutdown()
                    throw error
                }
            }
            await client.shutdown()
        }
        if outcome != .complete { throw ExitCode(outcome == .failed ? 1 : 3) }
    }

    /// What became of a file, from good to bad.
    enum Outcome: Int, Comparable {
        case complete, rejectedRows, failed

        static func < (a: Outcome, b: Outcome) -> Bool { a.rawValue < b.rawValue }
    }

    /// A fault of one file costs no other.
    private func attempt(_ file: String, _ body: () throws -> Outcome) throws -> Outcome {
        do {
            return try body()
        } catch let fault as FileFault {
            Self.report(fault, of: file)
            return .failed
        }
    }

    private static func report(_ fault: FileFault, of file: String) {
        let words = fault.description
        Terminal.note("Error: \((file == "-" || words.contains(file) ? words : "\(file): \(words)").printable)")
    }

    private func identity(of file: String) throws -> RowIdentity {
        if let idempotencyKey { return try RowIdentity(.numbered(prefix: ByteString(idempotencyKey))) }
        guard rowIds == .file else { return try RowIdentity(.content) }
        return try RowIdentity(.numbered(prefix: ByteString(file == "-" ? UUID().uuidString : try Self.hash(file))))
    }

    /// SHA-256 of a file's bytes, in hex.
    private static func hash(_ path: String) throws -> String {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw FileFault("\(path): --row-ids file needs a file that can be read twice")
        }
        guard let handle = FileHandle(forReadingAtPath: path) else { throw FileFault("\(path) cannot be read: \(SystemWords.last)") }
        var hasher = SHA256()
        do {
            while let chunk = try handle.read(upToCount: 1 << 20), !chunk.isEmpty { hasher.update(data: chunk) }
        } catch {
            throw FileFault("\(path) cannot be read: \(SystemWords.last)")
        }
        return hasher.finalize().map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private func load(_ file: String, _ options: FileOptions, _ loader: Loader, _ sequence: inout UInt64) async throws -> Outcome {
        let source = try EventFile(path: file, options: options, now: WallClock.now())
        var identity = try identity(of: file)
        let rejects = RejectedRows(of: file)
        let bar = ProgressBar(file == "-" ? "stdin" : (file as NSString).lastPathComponent.printable)
        var totals = LoadTotals()
        var fault: FileFault?
        try await withThrowingTaskGroup(of: Loader.Done.self) { group in
            func take(_ done: Loader.Done) {
                totals.accepted += done.accepted
                totals.rejected += done.rejected.count
                totals.rows += done.rows
                for (lines, reason) in done.rejected { rejects.write(lines, reason) }
                bar.show(rows: totals.rows, fraction: source.fractionRead)
            }
            var running = 0
            do {
                while var read = try source.next(rows: Loader.rowsPerBatch, bytes: Loader.bytesPerBatch) {
                    totals.note(read.outcomes, rejects)
                    if read.batch.count == 0 { continue }
                    try identity.complete(&read)
                    let batch = Loader.Batch(sequence: sequence, batch: read.batch, lines: read.lines)
                    sequence += 1
                    if running == Loader.inFlight, let done = try await group.next() {
                        take(done)
                        running -= 1
                    }
                    group.addTask { try await loader.send(batch) }
                    running += 1
                }
            } catch let found as FileFault {
                // What stands before the damage is stored, and said so.
                fault = found
            }
            for try await done in group { take(done) }
            bar.show(rows: totals.rows, fraction: 1, force: true)
        }
        bar.end()
        Terminal.note(totals.line(file, rejects))
        for note in ColumnNotes.notes(source, isSent: true) { Terminal.note(note) }
        if let fault { throw fault }
        if totals.rejected > 0, rejects.fault != nil { return .failed }
        return totals.rejected > 0 ? .rejectedRows : .complete
    }
}

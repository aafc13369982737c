import ArgumentParser
import EventFiles
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
            its new rows: rows that were stored before are accepted, and counted once. Other \
            reading options make other events.

            If ingest cannot store events, for example because a shard is down, the command \
            retries for 120 s and then fails. Run it again, also after Ctrl-C: it loads the rest.

            Rejected rows go to FILE.rejected.ndjson, each with its lines, the reason and \
            the event. Repair the events in that file, then send them by the command that is \
            printed: `sluice load --retry-rejected FILE.rejected.ndjson` with the same options. \
            Repair a row of CSV that could not be read in the file itself. The files in which ingest \
            keeps the events that it has rejected are sent in the same way. Sending a file \
            twice counts its events once. The exit status is 0 if all rows were stored, 3 if rows were rejected, and 1 if \
            a file failed.

            Examples:
              sluice load export.csv --dry-run
              sluice load orders.csv.gz --user-id customer --event status \\
                  --timestamp changed_at
              sluice load events.json --preset mixpanel-export
              zcat events.ndjson.gz | sluice load -
              sluice load --retry-rejected export.csv.rejected.ndjson
            """)

    @Argument(help: ArgumentHelp("Files to load; - reads standard input.", valueName: "file"), completion: .file()) var files: [String]
    @OptionGroup(title: "Loading") var loading: LoadingOptions
    @OptionGroup(title: "Reading") var reading: ReadingOptions
    @OptionGroup(title: "Connection") var connection: Connection

    struct Connection: ParsableArguments {
        @Option(help: ArgumentHelp("Wire address of ingest.", valueName: "host:port")) var to = CalledService.ingest.wire
        @OptionGroup var key: KeyOptions

        /// The options, as a shell reads them.
        var words: [String] {
            (to == CalledService.ingest.wire ? [] : ["--to", shellWord(to)])
                + (key.base.keyFile.map { ["--key-file", shellWord($0)] } ?? []) + (key.base.allowPlainText ? ["--allow-plain-text"] : [])
                + (key.tlsCa.map { ["--tls-ca", shellWord($0)] } ?? [])
        }
    }

    /// How the files are read.
    /// - Parameter rejected: reads the lines of files of rejected events; nil for other files.
    private func fileOptions(_ rejected: RejectedLines? = nil) throws -> FileOptions {
        var options = try reading.fileOptions()
        if let rejected { options.unwrap = { line throws(EventFault) in try rejected.unwrap(line) } }
        return options
    }

    func validate() throws {
        guard !files.isEmpty else { throw ValidationError("no file is given: name one or more files, or - for standard input") }
        _ = try fileOptions()
    }

    func run() async throws {
        let rejected = loading.retryRejected ? RejectedLines() : nil
        let options = try fileOptions(rejected)
        var outcome = Outcome.complete
        if loading.dryRun {
            let dryRun = DryRun(options: options, format: loading.format)
            for file in files { outcome = max(outcome, try attempt(file) { try dryRun.show(file, try loading.identity(of: file)) }) }
        } else {
            let client = try WireClient(connection.to, of: .ingest, connection.key, connections: 2)
            var random = SystemRandomNumberGenerator()
            let loader = Loader(client: client, producer: random.next(), rejected: rejected)
            let watching = Task { await loader.progress.watch() }
            defer { watching.cancel() }
            do {
                outcome = try await load(options, loader)
            } catch {
                await client.shutdown()
                throw error
            }
            await client.shutdown()
        }
        if outcome != .complete { throw ExitCode(outcome == .failed ? 1 : 3) }
    }

    /// Loads one file after the other; a fault of one costs no other.
    private func load(_ options: FileOptions, _ loader: Loader) async throws -> Outcome {
        var outcome = Outcome.complete
        var sequence: UInt64 = 1
        var accepted = 0
        var advice: [String] = []
        for file in files {
            do {
                outcome = max(outcome, try await load(file, options, loader, &sequence, &accepted, &advice))
            } catch let fault as FileFault {
                Self.report(fault, of: file)
                outcome = .failed
            }
        }
        if accepted > 0 { Terminal.note("Rows that were stored before are counted once.") }
        for line in advice { Terminal.note(line) }
        return outcome
    }

    /// How the rejected rows of a file are repaired and sent again.
    private func advice(_ file: String, isTable: Bool, _ rejects: RejectedRows) -> [String] {
        guard rejects.fault == nil else { return [] }
        var lines: [String] = []
        let counts = rejects.counts
        if isTable, counts.texts > 0 {
            lines.append(
                "\(Terminal.count(counts.texts, "row")) could not be read. Repair them in \((file == "-" ? "the source" : file).printable), "
                    + "then load it again")
        }
        if counts.events > 0 || !isTable && counts.texts > 0 {
            let path = shellWord(rejects.path)
            let words =
                ["sluice load --retry-rejected", path] + (isTable ? [] : reading.jsonWords)
                + (loading.rowIds == .none ? ["--row-ids", "none"] : []) + connection.words
            lines.append("Repair the events in \(path), then send them: \(words.joined(separator: " "))".printable)
        }
        return lines
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
        if let hint = FormatHint.text(file) { Terminal.note(hint) }
    }

    private func load(
        _ file: String, _ options: FileOptions, _ loader: Loader, _ sequence: inout UInt64, _ accepted: inout Int,
        _ advice: inout [String]
    ) async throws -> Outcome {
        let source = try EventFile(path: file, options: options, now: WallClock.now())
        var identity = try loading.identity(of: file)
        let rejects = RejectedRows(of: file)
        let bar = ProgressBar(file == "-" ? "stdin" : (file as NSString).lastPathComponent.printable)
        var totals = LoadTotals()
        var fault: FileFault?
        try await withThrowingTaskGroup(of: Loader.Done.self) { group in
            func take(_ done: Loader.Done) {
                totals.accepted += done.accepted
                totals.rejected += done.rejected.count
                totals.rows += done.rows
                for (lines, reason, event) in done.rejected {
                    rejects.write(lines, reason, event.map { [.init("event", $0.json)] } ?? [])
                }
                bar.show(rows: totals.rows, fraction: source.fractionRead)
            }
            var running = 0
            do {
                while var read = try source.next(rows: Loader.rowsPerBatch, bytes: Loader.bytesPerBatch) {
                    totals.note(read.outcomes, rejects)
                    if read.batch.count == 0, read.claims.isEmpty { continue }
                    try identity.complete(&read)
                    let batch = Loader.Batch(read, sequence: sequence)
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
        accepted += totals.accepted
        advice += self.advice(file, isTable: source.isTable, rejects)
        // A file that could not be read at all has no totals.
        if fault == nil || totals.records > 0 { Terminal.note(totals.line(file, rejects)) }
        for note in ColumnNotes.notes(source, isSent: true) { Terminal.note(note) }
        if let fault { throw fault }
        if totals.records == totals.rejected, totals.rejected > 0, let hint = FormatHint.text(file) { Terminal.note(hint) }
        if totals.rejected > 0, rejects.fault != nil { return .failed }
        return totals.rejected > 0 ? .rejectedRows : .complete
    }
}

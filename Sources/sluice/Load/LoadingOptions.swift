import ArgumentParser
import Crypto
import EventFiles
import Foundation
import FunnelModel
import ServiceRuntime

/// What `sluice load` does with the records that it reads.
struct LoadingOptions: ParsableArguments {
    enum RowIDs: String, ExpressibleByArgument, CaseIterable { case content, file, none }
    enum Format: String, ExpressibleByArgument, CaseIterable { case table, json }

    @Flag(help: "Show how the files are read, and send nothing. Needs no cluster.") var dryRun = false
    @Flag(
        help: """
            The files hold rejected events: a FILE.rejected.ndjson of an earlier load, or a file of ingest's directory rejected. Sends \
            them again, with the API key of their project. Lines that are kept as text need the --preset and the other options of the \
            earlier load.
            """)
    var retryRejected = false
    @Option(
        help: ArgumentHelp("Output of --dry-run: a table of the first rows, or json with one line for each record.", valueName: "format"))
    var format: Format = .table
    @Option(
        help: ArgumentHelp(
            """
            Ids of events without one: content makes them from what was read, file from the SHA-256 of the file and the row, as 0.1 did. \
            none leaves them without: then a file that is loaded twice counts twice.
            """,
            valueName: "rule"))
    var rowIds: RowIDs = .content
    @Option(
        help: ArgumentHelp("Ids of events without one are KEY/0, KEY/1 and so on, by row. At most 128 bytes.", valueName: "key"))
    var idempotencyKey: String?

    func validate() throws {
        if format == .json, !dryRun { throw ValidationError("--format json needs --dry-run") }
        if retryRejected, rowIds == .file || idempotencyKey != nil {
            throw ValidationError("--retry-rejected keeps the ids of events, so it takes neither --row-ids file nor --idempotency-key")
        }
        if let idempotencyKey {
            guard (1...Limits.idempotencyKeyBytes).contains(idempotencyKey.utf8.count) else {
                throw ValidationError(
                    "--idempotency-key must have 1 to \(Limits.idempotencyKeyBytes) bytes, not \(idempotencyKey.utf8.count)")
            }
            if rowIds != .content {
                throw ValidationError("--idempotency-key and --row-ids \(rowIds.rawValue) exclude each other: give one of them")
            }
        }
    }

    func identity(of file: String) throws -> RowIdentity {
        if let idempotencyKey { return try RowIdentity(.numbered(prefix: ByteString(idempotencyKey))) }
        guard rowIds == .file else { return try RowIdentity(rowIds == .content ? .content : .none) }
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
        return Hex.text(hasher.finalize())
    }
}

import Codec
import EventFiles
import Foundation
import FunnelModel

/// A file that an export is written to, page by page, and beside it `FILE.cursor`, which says how many bytes of the file are whole and
/// where the export goes on. A page is synced before the cursor that follows it is written, and the file is cut to these bytes when an
/// export goes on. So a kill at any moment costs at most the page that was being written.
final class ExportFile {
    /// What `FILE.cursor` holds.
    struct State: Equatable {
        /// The query of the URL without cursor and limit: what is exported.
        var query: String
        var cursor: String
        var asOf: String
        var bytes: Int
        var events: Int
    }

    private let path: String
    private let descriptor: Int32
    private let isCompressed: Bool
    /// Of an export that was interrupted; nil at the beginning.
    private(set) var state: State?

    /// Where the export goes on; nil at the beginning.
    var cursor: String? { state.flatMap { $0.cursor.isEmpty ? nil : $0.cursor } }

    /// Opens the file for an export, and takes it up where an earlier one of the same query ended.
    init(_ path: String, query: String) throws {
        self.path = path
        isCompressed = path.hasSuffix(".gz")
        let found = try Self.read(Self.cursorPath(path))
        if found == nil {
            if access(path, F_OK) == 0 {
                throw Failure("\(path.printable) exists and no export of it was interrupted: remove it, or name another file")
            }
            // First, so that a kill right behind it leaves a file that an export can take up.
            try Self.store(State(query: query, cursor: "", asOf: "", bytes: 0, events: 0), path)
        }
        descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure("\(path.printable) cannot be written: \(SystemWords.last)") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { throw Failure("another export writes \(path.printable)") }
        state = found
        guard let state = found else { return }
        guard state.query == query else {
            throw Failure(
                "\(Self.cursorPath(path).printable) is of an export with other options: give the same ones, or remove it and \(path.printable)"
            )
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, Int(status.st_size) >= state.bytes else {
            throw Failure("\(path.printable) is shorter than \(Self.cursorPath(path).printable) says: remove both and begin anew")
        }
        // What is behind them may be a part of a page.
        guard ftruncate(descriptor, off_t(state.bytes)) == 0, lseek(descriptor, 0, SEEK_END) >= 0 else { throw fault() }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }

    private static func cursorPath(_ path: String) -> String { path + ".cursor" }

    private func fault() -> Failure { Failure("\(path.printable) cannot be written: \(SystemWords.last)") }

    /// Appends a page, and keeps where the export goes on.
    /// - Parameter cursor: of the next page; nil at the end, which removes `FILE.cursor`.
    func append(_ page: [UInt8], events: Int, next cursor: String?, asOf: String, query: String) throws {
        let bytes = isCompressed && !page.isEmpty ? Gzip.encode(page) : page
        guard let bytes else { throw Failure("\(path.printable): a page cannot be compressed") }
        try Self.write(bytes, descriptor) { fault() }
        guard fsync(descriptor) == 0 else { throw fault() }
        var next = State(query: query, cursor: cursor ?? "", asOf: asOf, bytes: bytes.count, events: events)
        next.bytes += state?.bytes ?? 0
        next.events += state?.events ?? 0
        state = next
        if cursor == nil {
            if unlink(Self.cursorPath(path)) != 0, errno != ENOENT { throw fault() }
        } else {
            try Self.store(next, path)
        }
    }

    private static func write(_ bytes: [UInt8], _ descriptor: Int32, _ fault: () -> Failure) throws {
        var start = 0
        while start < bytes.count {
            let written = bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress?.advanced(by: start), bytes.count - start) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { throw fault() }
            start += written
        }
    }

    // MARK: - FILE.cursor

    private static func store(_ state: State, _ path: String) throws {
        let document: JSONValue = [
            "query": .text(state.query), "cursor": .text(state.cursor), "as_of": .text(state.asOf), "bytes": .count(state.bytes),
            "events": .count(state.events),
        ]
        let target = cursorPath(path)
        let temporary = target + ".tmp"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Failure("\(temporary.printable) cannot be written: \(SystemWords.last)") }
        defer { close(file) }
        try write(document.encode() + [10], file) { Failure("\(temporary.printable) cannot be written: \(SystemWords.last)") }
        guard fsync(file) == 0, rename(temporary, target) == 0 else {
            throw Failure("\(target.printable) cannot be written: \(SystemWords.last)")
        }
        let parent = (target as NSString).deletingLastPathComponent
        let directory = open(parent.isEmpty ? "." : parent, O_RDONLY)
        if directory >= 0 {
            fsync(directory)
            close(directory)
        }
    }

    private static func read(_ path: String) throws -> State? {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        guard let document = try? JSONParser.parse(Array(data)), let query = document["query"]?.asString?.string,
            let cursor = document["cursor"]?.asString?.string, let asOf = document["as_of"]?.asString?.string,
            let bytes = document["bytes"]?.asInteger, bytes >= 0, let events = document["events"]?.asInteger, events >= 0
        else { throw Failure("\(path.printable) is no cursor of an export: remove it and the file beside it") }
        return State(query: query, cursor: cursor, asOf: asOf, bytes: Int(bytes), events: Int(events))
    }
}

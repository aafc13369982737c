import EventFiles
import Foundation
import FunnelModel

/// The file of rejected records, with their lines, reasons and events, for its owner only; created when the first one comes. If it can't be
/// written, the load goes on and the first reasons are printed.
final class RejectedRows {
    let path: String
    private var handle: FileHandle?
    /// Why the file could not be written.
    private(set) var fault: String?
    /// Number of records with an event, and of those with their text alone.
    private(set) var counts = (events: 0, texts: 0)
    private var shown = 0
    private static let shownMax = 10

    /// Removes the file of an earlier load.
    init(of file: String) {
        path = file == "-" ? "stdin.rejected.ndjson" : "\(file).rejected.ndjson"
        // `unlink` does not remove a directory.
        if unlink(path) != 0, errno != ENOENT, errno != ENOTDIR { fault = SystemWords.last }
    }

    /// - Parameter record: the event, or the text of what could not be read; empty if neither is kept.
    func write(_ lines: FileLines, _ reason: String, _ record: [JSONValue.Member]) {
        if fault == nil, handle == nil {
            let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            if descriptor < 0 { fault = SystemWords.last } else { handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true) }
        }
        var members: [JSONValue.Member] = [
            .init("line", .count(lines.lowerBound)), .init("last_line", .count(lines.upperBound)), .init("reason", .text(reason)),
        ]
        members += record
        let hasEvent = record.contains { $0.key == "event" || $0.key == "record" }
        if hasEvent { counts.events += 1 } else if !record.isEmpty { counts.texts += 1 }
        let line = JSONValue.object(members)
        if fault == nil {
            do {
                try handle?.write(contentsOf: Data(line.encode() + [10]))
                return
            } catch {
                fault = SystemWords.last
            }
        }
        shown += 1
        if shown <= Self.shownMax { Terminal.note("line \(lines.lowerBound): \(reason.printable)") }
        if shown == Self.shownMax { Terminal.note("further reasons are not shown") }
    }
}

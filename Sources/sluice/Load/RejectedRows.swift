import EventFiles
import Foundation
import FunnelModel

/// The file of rejected records, with their lines and reasons; created when the first one comes. If it can't be written, the load
/// goes on and the first reasons are printed.
final class RejectedRows {
    let path: String
    private var handle: FileHandle?
    /// Why the file could not be written.
    private(set) var fault: String?
    private var shown = 0
    private static let shownMax = 10

    /// Removes the file of an earlier load.
    init(of file: String) {
        path = file == "-" ? "stdin.rejected.ndjson" : "\(file).rejected.ndjson"
        // `unlink` does not remove a directory.
        if unlink(path) != 0, errno != ENOENT, errno != ENOTDIR { fault = SystemWords.last }
    }

    func write(_ lines: FileLines, _ reason: String) {
        if fault == nil, handle == nil {
            let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
            if descriptor < 0 { fault = SystemWords.last } else { handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true) }
        }
        let line: JSONValue = ["line": .count(lines.lowerBound), "last_line": .count(lines.upperBound), "reason": .text(reason)]
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

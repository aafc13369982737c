import EventFiles
import Foundation
import FunnelModel

/// Records that were not taken, with their lines and the reason: a file that is made when the first one comes. Where it
/// cannot be written, the load goes on and the first reasons are shown.
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
        // Not a directory, whatever is in it.
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
                try handle?.write(contentsOf: Data(line.encoded + [10]))
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

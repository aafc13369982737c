import EventFiles
import Foundation
import FunnelModel

/// Records that were not taken, with their lines and the reason: a file that is made when the first one comes.
final class RejectedRows {
    let path: String
    private var handle: FileHandle?

    /// Removes the file of an earlier load.
    init(of file: String) throws {
        path = file == "-" ? "stdin.rejected.ndjson" : "\(file).rejected.ndjson"
        guard FileManager.default.fileExists(atPath: path) else { return }
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            throw FileFault("the file of rejected rows of an earlier load cannot be removed: \(path)")
        }
    }

    func write(_ lines: FileLines, _ reason: String) throws {
        if handle == nil {
            guard FileManager.default.createFile(atPath: path, contents: nil), let made = FileHandle(forWritingAtPath: path) else {
                throw FileFault("the file of rejected rows cannot be written: \(path)")
            }
            handle = made
        }
        let line: JSONValue = ["line": .count(lines.lowerBound), "last_line": .count(lines.upperBound), "reason": .text(reason)]
        try handle?.write(contentsOf: Data(line.encoded + [10]))
    }
}

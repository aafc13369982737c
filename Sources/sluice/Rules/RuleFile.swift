import EventFiles
import EventRules
import FunnelModel
import ServiceRuntime

/// A file with normalisation rules, YAML or JSON.
enum RuleFile {
    /// Reads a file; `-` is standard input. Throws `Failure` with all faults, one a line.
    static func read(_ path: String) throws -> RuleList {
        let shown = path == "-" ? "the rules" : path.printable
        var bytes: [UInt8] = []
        do {
            let source = try TextSource(path: path)
            while bytes.count <= YAMLDocument.textBytes, let piece = try source.next() { bytes += piece }
        } catch let fault as FileFault {
            throw Failure(fault.description.printable)
        }
        guard isValidUTF8(bytes) else { throw Failure("\(shown): the text is not UTF-8") }
        do throws(InvalidDocument) {
            return try RuleList.parse(try YAMLDocument.json(String(decoding: bytes[ByteOrderMark.length(in: bytes)...], as: UTF8.self)))
        } catch {
            throw Failure(([shown + ":"] + error.faults.map { "  " + "\($0.field): \($0.reason)".printable }).joined(separator: "\n"))
        }
    }
}

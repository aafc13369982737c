import EventRules
import FunnelModel

/// A file with normalisation rules, YAML or JSON.
enum RuleFile {
    /// Reads a file; `-` is standard input. Throws `Failure` with all faults, one a line.
    static func read(_ path: String) throws -> RuleList {
        let document = try DocumentFile.read(path)
        return try DocumentFile.checking(path == "-" ? "the rules" : path.printable) { () throws(InvalidDocument) in
            try RuleList.parse(document)
        }
    }
}

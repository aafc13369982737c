import FunnelModel
import FunnelProtocol

extension ProtocolError {
    /// Every fault on a line of its own.
    var lines: String {
        ([message.printable] + faults.map { "  " + "\($0.field): \($0.reason)".printable }).joined(separator: "\n")
    }
}

/// Ends the command with a message and exit code 1.
struct Failure: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }

    init(_ error: ProtocolError) { description = error.lines }
}

import FunnelModel
import FunnelProtocol

extension ProtocolError {
    /// Every fault on a line of its own.
    var lines: String {
        ([message.printable] + faults.map { "  " + "\($0.field): \($0.reason)".printable }).joined(separator: "\n")
    }

    /// The message, after the address of the service that it is about, unless the message has the address.
    func text(from address: String) -> String { message.contains(address) ? message : "\(address): \(message)" }
}

/// Ends the command with a message and exit code 1.
struct Failure: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }

    init(_ error: ProtocolError) { description = error.lines }
}

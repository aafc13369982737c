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
    /// Of the HTTP answer that it is about.
    var status: Int?

    init(_ description: String, status: Int? = nil) {
        self.description = description
        self.status = status
    }

    init(_ error: ProtocolError) { description = error.lines }
}

/// An error's text for people and logs.
package func words(_ error: any Error) -> String { error is CancellationError ? "cancelled" : "\(error)" }

extension ByteError: CustomStringConvertible {
    @usableFromInline package var description: String { "\(reason), at byte \(offset)" }
}

extension JSONError: CustomStringConvertible {
    package var description: String { field.isEmpty ? "malformed JSON at byte \(offset): \(reason)" : "\(field): \(reason)" }
}

extension Timestamp.Fault: CustomStringConvertible {
    package var description: String { reason }
}

extension EventFault: CustomStringConvertible {
    package var description: String { reason }
}

extension EventBodyError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .json(let error): "\(error)"
        case .noList: "the body has no list of events"
        case .tooMany(let limit): "more than \(limit) events"
        }
    }
}

extension InvalidDocument: CustomStringConvertible {
    package var description: String { faults.map { "\($0.field): \($0.reason)" }.joined(separator: "; ") }
}

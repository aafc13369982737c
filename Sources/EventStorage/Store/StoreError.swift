import FunnelModel
import Glibc

/// An error of the store.
package struct StoreError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Kinds of errors; `SEGMENT.md` says which of them an opening throws.
    package enum Code: String, Sendable {
        case foreignCluster, foreignShard, foreignLayout, newerFormat, olderFormat, olderEpoch, locked, corrupt, noSpace, poisoned
        case io, sequenceExpired, sequenceReused, overloaded, invalid, tooLarge, cancelled, tooManyRows

        /// The code in words, such as "sequence expired".
        var words: String {
            self == .io ? "disk" : rawValue.reduce(into: "") { $0 += $1.isUppercase ? " \($1.lowercased())" : String($1) }
        }
    }

    package var code: Code
    package var message: String
    /// Whether the same call may succeed later on the same open store.
    package var retryable: Bool { code == .noSpace || code == .overloaded }
    package var description: String { "\(code.words): \(message)" }

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    init(_ error: FileError) {
        self.init(error.isNoSpace ? .noSpace : .io, error.description)
    }

    static func corrupt(_ file: String, offset: Int, expected: String, found: String) -> StoreError {
        StoreError(.corrupt, "\(file) at offset \(offset): expected \(expected), found \(found)")
    }
}

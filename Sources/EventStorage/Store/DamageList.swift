import FunnelModel
import Synchronization

/// A file of the store that is missing, cut short, or fails a check.
package struct DamagedFile: Equatable, Sendable {
    package var name: String
    package var project: UInt32
    /// `12 * year + month - 1`; nil for a user file.
    package var month: Int?
    /// The error text: file, offset, what was expected and what was found.
    package var reason: String
}

/// A problem that a store reports to its operator.
package enum StoreNote: Equatable, Sendable {
    /// Reported once per file.
    case damaged(DamagedFile)
    /// A seal, merge or append failed and will be tried again. Reported about once in ten minutes per reason.
    case failed(Work, reason: String)
    /// A project has 80 % or more of the names or keys that it may have on this shard. Reported once per opening.
    case nearLimit(project: UInt32, Limit, count: Int, most: Int)

    package enum Limit: String, Sendable {
        case eventNames = "event names"
        case propertyKeys = "property keys"
    }

    package enum Work: String, Sendable { case seal, merge, append }
}

/// Files found damaged since the store was opened, by file number. Merges leave them out; everything else goes on.
final class DamageList: Sendable {
    private struct State {
        var files: [UInt64: DamagedFile] = [:]
        var failures: [String: ContinuousClock.Instant] = [:]
    }

    private let state = Mutex(State())
    private let onNote: @Sendable (StoreNote) -> Void

    init(onNote: @escaping @Sendable (StoreNote) -> Void) { self.onNote = onNote }

    var files: [UInt64: DamagedFile] { state.withLock { $0.files } }
    var count: Int { state.withLock { $0.files.count } }

    /// Adds a file, and reports it if it is new.
    func report(_ number: UInt64, _ file: DamagedFile) {
        let isNew = state.withLock { state in
            defer { state.files[number] = state.files[number] ?? file }
            return state.files[number] == nil
        }
        if isNew { onNote(.damaged(file)) }
    }

    /// Drops a file that a merge has replaced.
    func forget(_ number: UInt64) { state.withLock { $0.files[number] = nil } }

    /// Reports failed work, about once in ten minutes per reason.
    func failed(_ work: StoreNote.Work, _ error: StoreError) {
        // Texts that differ only in numbers, such as free bytes, are one reason.
        let key = work.rawValue + error.description.filter { !$0.isNumber }
        let isDue = state.withLock { state in
            let now = ContinuousClock.now
            if let last = state.failures[key], now - last < .seconds(600) { return false }
            if state.failures.count >= 100 { state.failures.removeAll() }
            state.failures[key] = now
            return true
        }
        if isDue { onNote(.failed(work, reason: error.description)) }
    }
}

import FunnelModel
import Synchronization

/// A file that was found to hold other bytes than were written.
package struct DamagedFile: Equatable, Sendable {
    package var name: String
    package var project: UInt32
    /// `12 * year + month - 1`; nil for users.
    package var month: Int?
    /// With file and offset, and what was expected.
    package var reason: String
}

/// What a store tells its operator.
package enum StoreNote: Equatable, Sendable {
    /// Told once for each file.
    case damaged(DamagedFile)
    /// A seal, a merge or an append did not succeed and will be tried again; told once in a while for each reason.
    case failed(Work, reason: String)
    /// A project has 80 % or more of the names or keys that it may have on this shard; reported once after an opening.
    case nearLimit(project: UInt32, Limit, count: Int, most: Int)

    package enum Limit: String, Sendable {
        case eventNames = "event names"
        case propertyKeys = "property keys"
    }

    package enum Work: String, Sendable { case seal, merge, append }
}

/// Files found damaged since the store was opened, by the numbers of files. Merges go around them, everything else goes on.
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

    func report(_ number: UInt64, _ file: DamagedFile) {
        let isNew = state.withLock { state in
            defer { state.files[number] = state.files[number] ?? file }
            return state.files[number] == nil
        }
        if isNew { onNote(.damaged(file)) }
    }

    /// A file that is gone for good, its rows being elsewhere.
    func forget(_ number: UInt64) { state.withLock { $0.files[number] = nil } }

    func failed(_ work: StoreNote.Work, _ error: StoreError) {
        // Numbers, such as bytes that are free, don't make another reason.
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

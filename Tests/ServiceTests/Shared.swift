import Synchronization

/// A value that several tasks change.
final class Shared<Value: Sendable>: Sendable {
    private let state: Mutex<Value>

    init(_ value: Value) { state = Mutex(value) }

    var value: Value { state.withLock { $0 } }

    func change<T: Sendable>(_ body: (inout Value) -> T) -> T { state.withLock { body(&$0) } }
}

extension Shared<Int> {
    func add(_ more: Int = 1) { change { $0 += more } }
}

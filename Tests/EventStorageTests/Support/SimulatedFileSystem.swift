import EventStorage
import Synchronization

/// A repeatable source of numbers (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// A disk in memory. It keeps a trace of everything written and synced, from which any state that a crash may leave can
/// be made, and fails calls on demand.
struct SimulatedFileSystem: FileSystem {
    enum Step {
        case create(String, Int)
        /// An inode, a place in it and what goes there.
        case write(Int, Int, [UInt8])
        case truncate(Int, Int)
        case sync(Int)
        /// A sync of the inode failed, and what had been written by then is taken for clean: no later sync writes it.
        case forget(Int)
        case rename(String, String)
        case remove(String)
        case syncDirectory
        /// Not the store's: tells how much the script had been promised by then.
        case mark(Int)
    }

    enum Fault {
        /// From the n-th write on, writes fail, each leaving this many bytes.
        case fullFromWrite(Int, partial: Int)
        /// The n-th write alone fails so.
        case fullAtWrite(Int, partial: Int)
        case failedWrite(Int)
        case failedSync(Int)
        /// The n-th sync fails as on Linux: what it should have written never gets to the disk, though it can be read.
        case forgettingSync(Int)
        case failedTruncate
        /// Nothing can be opened, made or listed, nor a directory synced, as with EMFILE; files that are open go on.
        case noDescriptors
        /// The same for the n-th such call alone.
        case noDescriptorsAtOpen(Int)
    }

    struct State {
        var names: [String: Int] = [:]
        var contents: [Int: [UInt8]] = [:]
        var nextInode = 1
        var locked: Set<Int> = []
        var trace: [Step] = []
        var faults: [Fault] = []
        var writes = 0
        var syncs = 0
        var opens = 0
        var free: UInt64 = 1 << 40
    }

    final class Disk: Sendable {
        let state: Mutex<State>
        init(_ state: State = State()) { self.state = Mutex(state) }
    }

    let disk: Disk

    init(_ state: State = State()) { disk = Disk(state) }

    /// A disk with these files, all durable.
    init(files: [String: [UInt8]]) {
        var state = State()
        for (name, bytes) in files.sorted(by: { $0.key < $1.key }) {
            state.names[name] = state.nextInode
            state.contents[state.nextInode] = bytes
            state.trace.append(.create(name, state.nextInode))
            state.trace.append(.write(state.nextInode, 0, bytes))
            state.trace.append(.sync(state.nextInode))
            state.nextInode += 1
        }
        state.trace.append(.syncDirectory)
        self.init(state)
    }

    var files: [String: [UInt8]] {
        disk.state.withLock { state in state.names.mapValues { state.contents[$0] ?? [] } }
    }
    var trace: [Step] { disk.state.withLock { $0.trace } }
    var writes: Int { disk.state.withLock { $0.writes } }
    var syncs: Int { disk.state.withLock { $0.syncs } }
    /// Calls that take a descriptor, if only for a while.
    var opens: Int { disk.state.withLock { $0.opens } }

    func mark(_ promised: Int) { disk.state.withLock { $0.trace.append(.mark(promised)) } }
    func inject(_ fault: Fault) { disk.state.withLock { $0.faults.append(fault) } }
    func heal() { disk.state.withLock { $0.faults = [] } }
    /// Changes a file behind the store's back.
    func change(_ name: String, _ body: (inout [UInt8]) -> Void) {
        disk.state.withLock { state in
            guard let inode = state.names[name] else { return }
            body(&state.contents[inode, default: []])
        }
    }
    func setFree(_ bytes: UInt64) { disk.state.withLock { $0.free = bytes } }

    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> SimulatedFile {
        try takeDescriptor("open", path)
        let name = base(path)
        let inode: Int? = disk.state.withLock { state in
            if let inode = state.names[name] {
                if mode == .replace {
                    state.contents[inode] = []
                    state.trace.append(.truncate(inode, 0))
                }
                return inode
            }
            if mode == .read { return nil }
            let inode = state.nextInode
            state.nextInode += 1
            state.names[name] = inode
            state.contents[inode] = []
            state.trace.append(.create(name, inode))
            return inode
        }
        guard let inode else { throw FileError(operation: "open", path: path, code: 2) }
        return SimulatedFile(disk: disk, inode: inode, path: path)
    }

    func list(_ directory: String) throws(FileError) -> [String] {
        try takeDescriptor("list", directory)
        return disk.state.withLock { Array($0.names.keys) }
    }

    func rename(_ source: String, to target: String) throws(FileError) {
        let (a, b) = (base(source), base(target))
        let done = disk.state.withLock { state in
            guard let inode = state.names.removeValue(forKey: a) else { return false }
            state.names[b] = inode
            state.trace.append(.rename(a, b))
            return true
        }
        if !done { throw FileError(operation: "rename", path: source, code: 2) }
    }

    func remove(_ path: String) throws(FileError) {
        let name = base(path)
        let done = disk.state.withLock { state in
            state.trace.append(.remove(name))
            return state.names.removeValue(forKey: name) != nil
        }
        if !done { throw FileError(operation: "remove", path: path, code: 2) }
    }

    func createDirectory(_ path: String) throws(FileError) {}

    func syncDirectory(_ path: String) throws(FileError) {
        try takeDescriptor("open", path)
        try synced(nil, path)
    }

    func size(_ path: String) -> Int? {
        disk.state.withLock { state in state.names[base(path)].map { state.contents[$0]?.count ?? 0 } }
    }

    func freeBytes(_ directory: String) throws(FileError) -> UInt64 { disk.state.withLock { $0.free } }

    private func takeDescriptor(_ operation: String, _ path: String) throws(FileError) {
        let fails = disk.state.withLock { state in
            state.opens += 1
            return state.faults.contains {
                switch $0 {
                case .noDescriptors: true
                case .noDescriptorsAtOpen(let n): state.opens == n
                default: false
                }
            }
        }
        if fails { throw FileError(operation: operation, path: path, code: 24, isNoSpace: true) }
    }

    private func synced(_ inode: Int?, _ path: String) throws(FileError) { try disk.sync(inode, path) }

    private func base(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }
}

extension SimulatedFileSystem.Disk {
    func sync(_ inode: Int?, _ path: String) throws(FileError) {
        let fails = state.withLock { state in
            state.syncs += 1
            let forgets = state.faults.contains {
                if case .forgettingSync(let n) = $0 { return n == state.syncs }
                return false
            }
            if forgets, let inode { state.trace.append(.forget(inode)) }
            let fails =
                forgets
                || state.faults.contains {
                    if case .failedSync(let n) = $0 { return n == state.syncs }
                    return false
                }
            if !fails { state.trace.append(inode.map { .sync($0) } ?? .syncDirectory) }
            return fails
        }
        if fails { throw FileError(operation: "sync", path: path, code: 5) }
    }

    func write(_ bytes: [UInt8], _ inode: Int, _ path: String) throws(FileError) {
        let error: FileError? = state.withLock { state in
            state.writes += 1
            var written = bytes
            var error: FileError?
            for fault in state.faults {
                switch fault {
                case .fullFromWrite(let n, let partial) where state.writes >= n,
                    .fullAtWrite(let n, let partial) where state.writes == n:
                    written = Array(bytes.prefix(partial))
                    error = FileError(operation: "write", path: path, code: 28, isNoSpace: true)
                case .failedWrite(let n) where state.writes == n:
                    written = Array(bytes.prefix(bytes.count / 2))
                    error = FileError(operation: "write", path: path, code: 5)
                default: break
                }
            }
            state.trace.append(.write(inode, state.contents[inode]?.count ?? 0, written))
            state.contents[inode, default: []] += written
            return error
        }
        if let error { throw error }
    }
}

final class SimulatedFile: StorageFile {
    private let disk: SimulatedFileSystem.Disk
    private let inode: Int
    private let path: String
    private let holds = Mutex(false)

    init(disk: SimulatedFileSystem.Disk, inode: Int, path: String) {
        self.disk = disk
        self.inode = inode
        self.path = path
    }

    deinit {
        let inode = inode
        if holds.withLock({ $0 }) { disk.state.withLock { _ = $0.locked.remove(inode) } }
    }

    func size() throws(FileError) -> Int { disk.state.withLock { $0.contents[inode]?.count ?? 0 } }

    func read(at offset: Int, count: Int) throws(FileError) -> [UInt8] {
        guard count > 0, offset >= 0 else { return [] }
        return disk.state.withLock { Array(($0.contents[inode] ?? []).dropFirst(offset).prefix(count)) }
    }

    func append(_ bytes: [UInt8]) throws(FileError) { try disk.write(bytes, inode, path) }

    func map() throws(FileError) -> FileBytes { FileBytes(disk.state.withLock { $0.contents[inode] ?? [] }) }

    func truncate(to size: Int) throws(FileError) {
        let fails = disk.state.withLock { state in
            if state.faults.contains(where: { if case .failedTruncate = $0 { true } else { false } }) { return true }
            state.contents[inode] = Array((state.contents[inode] ?? []).prefix(size))
            state.trace.append(.truncate(inode, size))
            return false
        }
        if fails { throw FileError(operation: "truncate", path: path, code: 5) }
    }

    func sync() throws(FileError) { try disk.sync(inode, path) }

    func lock() throws(FileError) -> Bool {
        let got = disk.state.withLock { $0.locked.insert(inode).inserted }
        if got { holds.withLock { $0 = true } }
        return got
    }
}

/// What a crash makes of what was not synced.
enum CrashMode {
    /// The process alone dies: all is there to be read, and what was not synced can still be lost by a later crash.
    case killed
    case allLost
    case allKept
    /// Each write, cut and change of a name is lost, kept or torn at random.
    case mixed(UInt64)
}

extension SimulatedFileSystem {
    /// The disk after a crash behind the first `steps` of a trace, and the last promise made before it.
    static func crashed(
        _ trace: some Collection<Step>, _ mode: CrashMode
    ) -> (files: SimulatedFileSystem, promised: Int) {
        if case .killed = mode { return killed(trace) }
        var durable: [Int: [UInt8]] = [:]
        var pending: [Int: [Step]] = [:]
        var names: [String: Int] = [:]
        var pendingNames: [Step] = []
        var promised = 0
        for step in trace {
            switch step {
            case .create, .rename, .remove: pendingNames.append(step)
            case .write(let inode, _, _), .truncate(let inode, _): pending[inode, default: []].append(step)
            case .sync(let inode):
                for step in pending.removeValue(forKey: inode) ?? [] { apply(step, &durable[inode, default: []]) }
            case .forget(let inode): pending[inode] = nil
            case .syncDirectory:
                for step in pendingNames { apply(step, &names) }
                pendingNames = []
            case .mark(let n): promised = n
            }
        }
        var random = SeededGenerator(0)
        if case .mixed(let seed) = mode { random = SeededGenerator(seed) }
        for (inode, steps) in pending.sorted(by: { $0.key < $1.key }) {
            for step in steps {
                switch mode {
                case .allLost, .killed: break
                case .allKept: apply(step, &durable[inode, default: []])
                case .mixed: tear(step, &durable[inode, default: []], &random)
                }
            }
        }
        for step in pendingNames {
            switch mode {
            case .allLost, .killed: break
            case .allKept: apply(step, &names)
            case .mixed: if Bool.random(using: &random) { apply(step, &names) }
            }
        }
        return (SimulatedFileSystem(files: names.mapValues { durable[$0] ?? [] }), promised)
    }

    /// The disk as the page cache shows it, with the trace so far, so that syncs from here on make the old writes durable.
    private static func killed(_ trace: some Collection<Step>) -> (files: SimulatedFileSystem, promised: Int) {
        var state = State()
        var promised = 0
        for step in trace {
            switch step {
            case .create(let name, let inode):
                state.names[name] = inode
                state.contents[inode] = []
                state.nextInode = max(state.nextInode, inode + 1)
            case .rename, .remove: apply(step, &state.names)
            case .write(let inode, _, _), .truncate(let inode, _): apply(step, &state.contents[inode, default: []])
            case .sync, .forget, .syncDirectory: break
            case .mark(let n): promised = n
            }
        }
        state.trace = Array(trace)
        return (SimulatedFileSystem(state), promised)
    }

    private static func apply(_ step: Step, _ bytes: inout [UInt8]) {
        switch step {
        case .write(_, let place, let more):
            if bytes.count < place + more.count {
                bytes += [UInt8](repeating: 0, count: place + more.count - bytes.count)
            }
            bytes.replaceSubrange(place..<(place + more.count), with: more)
        case .truncate(_, let size): bytes = Array(bytes.prefix(size))
        default: break
        }
    }

    private static func apply(_ step: Step, _ names: inout [String: Int]) {
        switch step {
        case .create(let name, let inode): names[name] = inode
        case .rename(let a, let b): if let inode = names.removeValue(forKey: a) { names[b] = inode }
        case .remove(let name): names[name] = nil
        default: break
        }
    }

    private static func tear(_ step: Step, _ bytes: inout [UInt8], _ random: inout SeededGenerator) {
        guard case .write(let inode, let place, let more) = step else {
            if Bool.random(using: &random) { apply(step, &bytes) }
            return
        }
        switch Int.random(in: 0..<4, using: &random) {
        case 0: break
        case 1: apply(step, &bytes)
        case 2: apply(.write(inode, place, Array(more.prefix(.random(in: 0...more.count, using: &random)))), &bytes)
        default:
            // The length got through, but some sectors did not.
            var holed = more
            for start in stride(from: 0, to: more.count, by: 64) where Bool.random(using: &random) {
                for i in start..<min(more.count, start + 64) { holed[i] = 0 }
            }
            apply(.write(inode, place, holed), &bytes)
        }
    }
}

import Glibc

/// Files of rejected events in one directory, two for each project: `N.ndjson` and, before it, `N.old.ndjson`. Not for several threads.
///
/// A project may use half of the bytes, a quarter in each file. If all projects together would use more than all bytes, the project that
/// uses most gives up its older file first. Lines are written, not synced: they outlive the process, but perhaps not the machine.
package struct DeadLetterFiles {
    private struct Sizes {
        var newest = 0
        var older = 0
        var total: Int { newest + older }
    }

    private let directory: String
    private let bytesMax: Int
    private var sizes: [UInt32: Sizes] = [:]
    /// Bytes of all files.
    package private(set) var bytes = 0

    private var fileMax: Int { bytesMax / 4 }

    /// Uses the files that are there, and cuts a line without an end off each.
    package init(directory: String, bytesMax: Int) {
        self.directory = directory
        self.bytesMax = bytesMax
        guard let folder = opendir(directory) else { return }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let dot = name.firstIndex(of: "."), let project = UInt32(name[..<dot]) else { continue }
            if name == Self.name(project, isOlder: true) {
                sizes[project, default: Sizes()].older = Self.size(path(project, isOlder: true))
            } else if name == Self.name(project) {
                sizes[project, default: Sizes()].newest = Self.cutTail(path(project))
            }
        }
        bytes = sizes.values.reduce(0) { $0 + $1.total }
    }

    package var projects: [UInt32] { sizes.keys.sorted() }

    private static func name(_ project: UInt32, isOlder: Bool = false) -> String { "\(project)\(isOlder ? ".old" : "").ndjson" }

    private func path(_ project: UInt32, isOlder: Bool = false) -> String { "\(directory)/\(Self.name(project, isOlder: isOlder))" }

    private static func size(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }

    // MARK: - Writing

    /// Appends lines, each with its line feed.
    /// - Returns: the number of lines that were written, and why the others were not.
    package mutating func append(_ lines: [[UInt8]], project: UInt32) -> (kept: Int, fault: String?) {
        var kept = 0
        var waiting: [UInt8] = []
        var waitingLines = 0
        var fault: String?
        func isFull(_ more: Int) -> Bool { (sizes[project]?.newest ?? 0) + waiting.count + more > fileMax }
        for line in lines {
            guard line.count <= fileMax else {
                fault = "the event has \(line.count) bytes; a file may have \(fileMax)"
                continue
            }
            if isFull(line.count) {
                if let found = write(waiting, project) { return (kept, found) }
                kept += waitingLines
                (waiting, waitingLines) = ([], 0)
                if isFull(line.count), let found = rotate(project) { return (kept, found) }
            }
            waiting += line
            waitingLines += 1
        }
        if let found = write(waiting, project) { return (kept, found) }
        return (kept + waitingLines, fault)
    }

    /// Appends to the newest file. Nothing remains of lines that could not be written as a whole.
    private mutating func write(_ lines: [UInt8], _ project: UInt32) -> String? {
        if lines.isEmpty { return nil }
        makeRoom(lines.count)
        let path = path(project)
        _ = mkdir(directory, 0o700)
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0o600)
        guard file >= 0 else { return Self.fault("open", path) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { return Self.fault("read the size of", path) }
        guard status.st_mode & S_IFMT == S_IFREG else { return "\(path) is no regular file" }
        // Somebody may have changed the file.
        let before = Int(status.st_size)
        bytes += before - (sizes[project]?.newest ?? 0)
        sizes[project, default: Sizes()].newest = before
        var done = 0
        while done < lines.count {
            let wrote = lines.withUnsafeBytes { Glibc.write(file, $0.baseAddress?.advanced(by: done), lines.count - done) }
            guard wrote > 0 else {
                let found = Self.fault("write", path)
                if done > 0 { _ = ftruncate(file, before) }
                return found
            }
            done += wrote
        }
        sizes[project]?.newest = before + lines.count
        bytes += lines.count
        return nil
    }

    private mutating func rotate(_ project: UInt32) -> String? {
        guard var own = sizes[project], own.newest > 0 else { return nil }
        guard rename(path(project), path(project, isOlder: true)) == 0 else { return Self.fault("rename", path(project)) }
        bytes -= own.older
        own = Sizes(newest: 0, older: own.newest)
        sizes[project] = own
        return nil
    }

    private mutating func makeRoom(_ more: Int) {
        while bytes + more > bytesMax, let (project, own) = sizes.max(by: { $0.value.total < $1.value.total }), own.total > 0 {
            let isOlder = own.older > 0
            unlink(path(project, isOlder: isOlder))
            bytes -= isOlder ? own.older : own.newest
            if isOlder { sizes[project]?.older = 0 } else { sizes[project]?.newest = 0 }
        }
    }

    private static func fault(_ verb: String, _ path: String) -> String { "cannot \(verb) \(path): \(String(cString: strerror(errno)))" }

    // MARK: - Reading

    /// The last lines of a project's newest file, without their line feeds.
    /// - Parameter bytesMax: of the file's end that is read.
    package func lastLines(_ project: UInt32, bytesMax: Int) -> [[UInt8]] {
        let tail = Self.tail(path(project), bytesMax: bytesMax)
        // The first line may have begun before.
        let lines = tail.start > 0 ? tail.bytes.drop { $0 != 10 } : tail.bytes[...]
        return lines.split(separator: 10, omittingEmptySubsequences: true).map(Array.init)
    }

    /// The end of a file, and where it begins.
    private static func tail(_ path: String, bytesMax: Int) -> (bytes: [UInt8], start: Int) {
        let file = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { return ([], 0) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return ([], 0) }
        let start = max(0, Int(status.st_size) - bytesMax)
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size) - start)
        let got = bytes.withUnsafeMutableBytes { pread(file, $0.baseAddress, $0.count, start) }
        return (Array(bytes.prefix(max(0, got))), start)
    }

    /// Max bytes of a line.
    private static let lineMax = 1 << 20

    /// Cuts bytes behind the last line feed off a file, which a process that was killed can leave. A file whose end is longer than any
    /// line is left as it is: this program has not written it.
    /// - Returns: the bytes that remain.
    private static func cutTail(_ path: String) -> Int {
        let size = size(path)
        let tail = tail(path, bytesMax: lineMax)
        guard let last = tail.bytes.last, last != 10 else { return size }
        guard let end = tail.bytes.lastIndex(of: 10).map({ tail.start + $0 + 1 }) ?? (tail.start == 0 ? 0 : nil) else { return size }
        return truncate(path, end) == 0 ? end : size
    }
}

import CShims
import Glibc

/// The lock of a service's data directory: the file `service.lock`, held with `flock` as long as this object lives. It also detects
/// a copied directory: the file contains its own inode and birth time, which differ in a copy.
package final class DirectoryLock: Sendable {
    private let file: Int32
    private let path: String
    /// True if the directory was copied, or moved to another disk, since a service last held the lock.
    package let isCopy: Bool

    /// Why a directory can't be locked.
    package enum Fault: Error, Equatable, CustomStringConvertible {
        /// Another process holds the lock; `pid` is nil if the file does not contain it.
        case held(directory: String, pid: Int32?)
        case system(String)

        package var description: String {
            switch self {
            case .held(let directory, let pid): "\(directory) is in use by \(pid.map { "process \($0)" } ?? "another process")"
            case .system(let message): message
            }
        }
    }

    private static let name = "service.lock"

    /// Creates the directory if it is missing, readable by its owner only, and takes its lock.
    /// - Parameter patience: how long to wait for another process to release the lock.
    package static func take(_ directory: String, patience: Duration) async throws(Fault) -> DirectoryLock {
        let end = ContinuousClock.now + patience
        while true {
            do throws(Fault) {
                return try DirectoryLock(directory)
            } catch .held(let held, let pid) {
                if ContinuousClock.now >= end || Task.isCancelled { throw .held(directory: held, pid: pid) }
                try? await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// Takes the lock or fails at once.
    package init(_ directory: String) throws(Fault) {
        guard mkdir(directory, 0o700) == 0 || errno == EEXIST else { throw Self.fault("create", directory) }
        var status = stat()
        if stat(directory, &status) == 0, status.st_mode & S_IFMT != S_IFDIR { throw .system("\(directory) is not a directory") }
        path = directory + "/" + Self.name
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw Self.fault("open", path) }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            let reason = errno
            defer { close(file) }
            guard reason == EWOULDBLOCK else { throw Self.fault("lock", path) }
            throw .held(directory: directory, pid: Self.words(of: file).last.flatMap { Int32($0) })
        }
        self.file = file
        let stored = Self.words(of: file)
        isCopy = stored.count >= 2 && stored.prefix(2) != Self.birth(of: file)[...]
        // A copy keeps the old text until the caller has handled it and calls `claim`.
        if !isCopy { claim() }
    }

    deinit { close(file) }

    /// Whether this is the lock of `directory`.
    package func isOf(_ directory: String) -> Bool { path == directory + "/" + Self.name }

    /// Writes the inode and birth time of the lock file into it, and the process id: from now on the directory is not a copy.
    package func claim() {
        let text = (Self.birth(of: file) + ["\(getpid())"]).joined(separator: " ") + "\n"
        // If this fails, the next start treats the directory as new or as a copy; both are safe.
        _ = ftruncate(file, 0)
        _ = text.withCString { pwrite(file, $0, strlen($0), 0) }
    }

    /// The inode, and the birth time in nanoseconds if the file system stores it.
    private static func birth(of file: Int32) -> [String] {
        var inode: UInt64 = 0
        let nanoseconds = sluice_file_birth(file, &inode)
        return ["\(inode)", "\(nanoseconds)"]
    }

    private static func words(of file: Int32) -> [String] {
        var bytes = [UInt8](repeating: 0, count: 128)
        let got = pread(file, &bytes, bytes.count, 0)
        guard got > 0 else { return [] }
        return String(decoding: bytes[..<got], as: UTF8.self).split(whereSeparator: \.isWhitespace).map(String.init)
    }

    private static func fault(_ verb: String, _ path: String) -> Fault {
        .system("cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }
}

import FunnelModel
import Glibc

/// A log file that is not to grow without bound: at its limit it is put aside under the name `FILE.1`, and what was there before
/// under `FILE.2`; what was there goes.
package enum LogFile {
    package static let bytesMax = 16 << 20

    /// Puts the file aside where it has reached its limit.
    /// - Returns: whether it has.
    package static func rotateIfLarge(_ path: String, bytesMax: Int = bytesMax) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size >= bytesMax else { return false }
        _ = rename(path + ".1", path + ".2")
        return rename(path, path + ".1") == 0
    }

    /// The same for a file that this process's standard output and error go to, which then go to a new one.
    static func rotateOwn(_ path: String) {
        guard rotateIfLarge(path) else { return }
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard file >= 0 else { return }
        // Lines of other threads go to one of both files, whole.
        _ = dup2(file, STDOUT_FILENO)
        _ = dup2(file, STDERR_FILENO)
        close(file)
    }
}

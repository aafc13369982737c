import FunnelModel
import Glibc

/// Rotation of a log file. At its size limit `FILE` becomes `FILE.1` and `FILE.1` becomes `FILE.2`; the old `FILE.2` is deleted.
package enum LogFile {
    package static let bytesMax = 16 << 20

    /// Rotates the file if it has `bytesMax` bytes or more.
    /// - Returns: whether it was rotated.
    package static func rotateIfLarge(_ path: String, bytesMax: Int = bytesMax) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size >= bytesMax else { return false }
        _ = rename(path + ".1", path + ".2")
        return rename(path, path + ".1") == 0
    }

    /// Rotates the file that standard output and standard error go to, and redirects both to the new file.
    static func rotateOwn(_ path: String) {
        guard rotateIfLarge(path) else { return }
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard file >= 0 else { return }
        // Each line of another thread goes to one of the two files as a whole.
        _ = dup2(file, STDOUT_FILENO)
        _ = dup2(file, STDERR_FILENO)
        close(file)
    }
}

import Dispatch
import Glibc

/// Appends lines to a file of the directory for file channels.
enum NoticeFile {
    static func append(_ line: [UInt8], to name: String, in directory: String) async -> DeliveryOutcome {
        await withCheckedContinuation { continuation in
            DispatchQueue.global().async { continuation.resume(returning: appendBlocking(line, to: name, in: directory)) }
        }
    }

    private static func appendBlocking(_ line: [UInt8], to name: String, in directory: String) -> DeliveryOutcome {
        let path = "\(directory)/\(name)"
        // No link, which could lead out of the directory; and no wait for the reader of a pipe.
        let file = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o600)
        guard file >= 0 else { return fault("opened", path) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { return fault("examined", path) }
        guard status.st_mode & S_IFMT == S_IFREG else { return .refused("\(path) is no regular file") }
        guard Int64(status.st_size) + Int64(line.count) < NoticeLimits.fileBytes else {
            return .failed("\(path) would have more than \(NoticeLimits.fileBytes) bytes; move it away")
        }
        // A line of which a full disk took only a part ends here.
        var bytes = line + [10]
        var last: UInt8 = 10
        if status.st_size > 0, pread(file, &last, 1, status.st_size - 1) == 1, last != 10 { bytes.insert(10, at: 0) }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            guard count > 0 || errno == EINTR else { return fault("written", path) }
            written += max(0, count)
        }
        return fsync(file) == 0 ? .delivered : fault("synced", path)
    }

    private static func fault(_ what: String, _ path: String) -> DeliveryOutcome {
        let code = errno
        return .failed("\(path) cannot be \(what): \(String(cString: strerror(code)))")
    }
}

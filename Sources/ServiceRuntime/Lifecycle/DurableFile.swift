import Glibc

/// Small files that are replaced atomically and durably.
package enum DurableFile {
    package struct Fault: Error, Sendable, CustomStringConvertible {
        package var message: String
        package var description: String { message }
    }

    /// Writes `path.tmp`, syncs it, renames it to `path` and syncs the directory. After a crash `path` has the old or the new
    /// bytes.
    package static func replace(_ path: String, with bytes: [UInt8]) throws(Fault) {
        let temporary = path + ".tmp"
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw fault("open", temporary) }
        var done = 0
        while done < bytes.count {
            let wrote = bytes.withUnsafeBytes { write(file, $0.baseAddress?.advanced(by: done), bytes.count - done) }
            guard wrote > 0 else {
                close(file)
                throw abandon(temporary, "write", temporary)
            }
            done += wrote
        }
        let synced = fsync(file)
        close(file)
        guard synced == 0 else { throw abandon(temporary, "fsync", temporary) }
        guard rename(temporary, path) == 0 else { throw abandon(temporary, "rename", path) }
        let slash = path.lastIndex(of: "/")
        // The slash is kept, since the directory of `/file` is `/`.
        let folder = open(slash.map { String(path[...$0]) } ?? ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw fault("open the folder of", path) }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw fault("fsync the folder of", path) }
    }

    /// The bytes of a file; nil if it does not exist, can't be read, or is larger than 1 MiB.
    package static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: (1 << 20) + 1)
        let got = fread(&bytes, 1, bytes.count, file)
        return ferror(file) == 0 && got <= 1 << 20 ? Array(bytes[..<got]) : nil
    }

    /// The bytes of a file that a service keeps; nil if it does not exist. Throws if it is no regular file, can't be read, or is larger
    /// than `bytesMax`: then its contents are not known.
    package static func readKept(_ path: String, bytesMax: Int = 1 << 20) throws(Fault) -> [UInt8]? {
        // Opening a FIFO would wait for a writer.
        let file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw fault("open", path)
        }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw fault("read the size of", path) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw Fault(message: "\(path) is no regular file") }
        guard status.st_size <= bytesMax else { throw Fault(message: "\(path) has \(status.st_size) bytes; the limit is \(bytesMax)") }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var done = 0
        while done < bytes.count {
            let got = bytes.withUnsafeMutableBytes { pread(file, $0.baseAddress?.advanced(by: done), $0.count - done, off_t(done)) }
            guard got >= 0 else { throw fault("read", path) }
            if got == 0 { break }
            done += got
        }
        return Array(bytes[..<done])
    }

    /// The error of the last system call; the temporary file is removed.
    private static func abandon(_ temporary: String, _ verb: String, _ path: String) -> Fault {
        defer { unlink(temporary) }
        return fault(verb, path)
    }

    private static func fault(_ verb: String, _ path: String) -> Fault {
        Fault(message: "cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }
}

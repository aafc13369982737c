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

    /// The error of the last system call; the temporary file is removed.
    private static func abandon(_ temporary: String, _ verb: String, _ path: String) -> Fault {
        defer { unlink(temporary) }
        return fault(verb, path)
    }

    private static func fault(_ verb: String, _ path: String) -> Fault {
        Fault(message: "cannot \(verb) \(path): \(String(cString: strerror(errno)))")
    }
}

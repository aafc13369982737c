import CShims
import Glibc

/// The file system of the operating system.
package struct POSIXFileSystem: FileSystem {
    package init() {}

    package func open(_ path: String, _ mode: OpenMode) throws(FileError) -> POSIXFile {
        let flags: CInt
        switch mode {
        case .read: flags = O_RDONLY
        case .append: flags = O_RDWR | O_CREAT | O_APPEND
        case .replace: flags = O_RDWR | O_CREAT | O_APPEND | O_TRUNC
        }
        let descriptor = unsafe Glibc.open(path, flags | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw FileError(errno: errno, "open", path) }
        return POSIXFile(descriptor: descriptor, path: path)
    }

    package func list(_ directory: String) throws(FileError) -> [String] {
        guard let stream = unsafe opendir(directory) else { throw FileError(errno: errno, "list", directory) }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = unsafe readdir(stream) else { break }
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                unsafe String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        if errno != 0 { throw FileError(errno: errno, "list", directory) }
        return names
    }

    package func rename(_ source: String, to target: String) throws(FileError) {
        if unsafe Glibc.rename(source, target) != 0 { throw FileError(errno: errno, "rename", source) }
    }

    package func remove(_ path: String) throws(FileError) {
        if unsafe unlink(path) != 0 { throw FileError(errno: errno, "remove", path) }
    }

    package func createDirectory(_ path: String) throws(FileError) {
        // If it exists already, the process that made it may have been killed before the name was synced.
        if unsafe mkdir(path, 0o750) != 0, errno != EEXIST { throw FileError(errno: errno, "create directory", path) }
        var parent = path[...]
        while parent.count > 1 && parent.hasSuffix("/") { parent.removeLast() }
        let slash = parent.lastIndex(of: "/")
        let above = slash.map { $0 == parent.startIndex ? "/" : String(parent[..<$0]) } ?? "."
        try syncDirectory(above)
    }

    package func syncDirectory(_ path: String) throws(FileError) {
        let descriptor = unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileError(errno: errno, "open", path) }
        defer { close(descriptor) }
        if fsync(descriptor) != 0 { throw FileError(errno: errno, "sync", path) }
    }

    package func size(_ path: String) -> Int? {
        var status = stat()
        return unsafe stat(path, &status) == 0 ? Int(status.st_size) : nil
    }

    package func freeBytes(_ directory: String) throws(FileError) -> UInt64 {
        var status = statvfs()
        if unsafe statvfs(directory, &status) != 0 { throw FileError(errno: errno, "free space of", directory) }
        return UInt64(status.f_bavail) &* UInt64(status.f_frsize)
    }
}

extension POSIXFileSystem {
    /// Number of files that this process has mapped now.
    package static var mappings: Int { sluice_mapping_count() }
}

/// A file descriptor, closed with its last reference.
package final class POSIXFile: StorageFile {
    private let descriptor: CInt
    private let path: String

    init(descriptor: CInt, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    package func size() throws(FileError) -> Int {
        var status = stat()
        if unsafe fstat(descriptor, &status) != 0 { throw FileError(errno: errno, "size of", path) }
        return Int(status.st_size)
    }

    package func read(at offset: Int, count: Int) throws(FileError) -> [UInt8] {
        guard count > 0, offset >= 0 else { return [] }
        var failure: CInt = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = 0
            while filled < count {
                let base = unsafe buffer.baseAddress?.advanced(by: filled)
                let got = unsafe pread(descriptor, base, count - filled, off_t(offset + filled))
                if got > 0 {
                    filled += got
                } else if got == 0 {
                    return
                } else if errno != EINTR {
                    failure = errno
                    return
                }
            }
        }
        if failure != 0 { throw FileError(errno: failure, "read", path) }
        return bytes
    }

    package func append(_ bytes: [UInt8]) throws(FileError) {
        var failure: CInt = 0
        unsafe bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let put = unsafe write(descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done)
                if put >= 0 {
                    done += put
                } else if errno != EINTR {
                    failure = errno
                    return
                }
            }
        }
        if failure != 0 { throw FileError(errno: failure, "write", path) }
    }

    package func truncate(to size: Int) throws(FileError) {
        while ftruncate(descriptor, off_t(size)) != 0 {
            if errno != EINTR { throw FileError(errno: errno, "truncate", path) }
        }
    }

    package func sync() throws(FileError) {
        if fdatasync(descriptor) != 0 { throw FileError(errno: errno, "sync", path) }
    }

    package func map() throws(FileError) -> FileBytes {
        let count = try size()
        if count == 0 { return FileBytes([]) }
        guard let mapping = unsafe sluice_map(descriptor, count), let base = unsafe sluice_mapping_base(mapping) else {
            throw FileError(errno: errno, "map", path)
        }
        return unsafe FileBytes(unsafeBase: base, count: count) {
            unsafe sluice_mapping_is_damaged(mapping) != 0
        } release: {
            unsafe sluice_unmap(mapping)
        }
    }

    package func lock() throws(FileError) -> Bool {
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno == EWOULDBLOCK { return false }
            if errno != EINTR { throw FileError(errno: errno, "lock", path) }
        }
        return true
    }
}

extension FileError {
    fileprivate init(errno code: CInt, _ operation: String, _ path: String) {
        self.init(operation: operation, path: path, code: code, isNoSpace: [ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM].contains(code))
    }
}

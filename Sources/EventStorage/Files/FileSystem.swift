import Glibc

/// A system call that failed, with its errno.
package struct FileError: Error, Equatable, Sendable, CustomStringConvertible {
    package var operation: String
    package var path: String
    package var code: Int32
    /// Space, quota, descriptors or memory are used up, so a later try may succeed.
    package var isNoSpace: Bool

    package init(operation: String, path: String, code: Int32, isNoSpace: Bool = false) {
        self.operation = operation
        self.path = path
        self.code = code
        self.isNoSpace = isNoSpace
    }

    package var description: String { "\(operation) \(path): \(unsafe String(cString: strerror(code)))" }
}

/// How a file is opened.
package enum OpenMode: Sendable {
    /// An existing file, for reading only.
    case read
    /// For reading and appending; created if it does not exist.
    case append
    /// For reading and appending; created, or emptied if it exists.
    case replace
}

/// An open file; the last reference closes it.
package protocol StorageFile: AnyObject, Sendable {
    func size() throws(FileError) -> Int
    /// The bytes from `offset` on; fewer than `count` only at the end of the file.
    func read(at offset: Int, count: Int) throws(FileError) -> [UInt8]
    /// Writes at the end. After an error any prefix may be there; until `sync` a crash may lose or tear the bytes.
    func append(_ bytes: [UInt8]) throws(FileError)
    /// Cuts the file; not durable before `sync`.
    func truncate(to size: Int) throws(FileError)
    /// On return everything written is durable. After an error it is unknown what is durable, and the call must not be repeated.
    func sync() throws(FileError)
    /// The whole file for reading; it must not change any more. Pages may be read from disk only when they are used.
    func map() throws(FileError) -> FileBytes
    /// Takes the exclusive lock of the file; false if another holder has it. Closing releases it.
    func lock() throws(FileError) -> Bool
}

/// The file operations of a store. Tests implement it to lose, tear and refuse writes.
package protocol FileSystem: Sendable {
    associatedtype File: StorageFile

    /// Opens a file. A new file may be gone after a crash until `syncDirectory`.
    func open(_ path: String, _ mode: OpenMode) throws(FileError) -> File
    /// Names in the directory, without path, in any order.
    func list(_ directory: String) throws(FileError) -> [String]
    /// Replaces `target` at once for all readers; after a crash either file may be there until `syncDirectory`.
    func rename(_ source: String, to target: String) throws(FileError)
    func remove(_ path: String) throws(FileError)
    /// Makes the directory, durably, unless it exists.
    func createDirectory(_ path: String) throws(FileError)
    /// On return the names created, changed and removed in the directory are durable.
    func syncDirectory(_ path: String) throws(FileError)
    /// Bytes of a file; nil if they cannot be read.
    func size(_ path: String) -> Int?
    /// Bytes that this process may still use on the device.
    func freeBytes(_ directory: String) throws(FileError) -> UInt64
}

extension FileSystem {
    /// Writes a file and syncs it, not its name: after a crash the name may be missing, but with `syncDirectory` after
    /// this call the whole content is there.
    func writeDurably(_ bytes: [UInt8], to path: String) throws(FileError) -> File {
        let file = try open(path, .replace)
        try file.append(bytes)
        try file.sync()
        return file
    }

    /// Replaces a file. After a crash at any point the old or the new content is there, never a mixture; on return it is the new one.
    func replaceAtomically(_ name: String, in directory: String, with bytes: [UInt8]) throws(FileError) {
        try prepareReplacement(of: name, in: directory, with: bytes)
        try commitReplacement(of: name, in: directory)
    }

    /// The first half of `replaceAtomically`: an error here leaves the old content in force.
    func prepareReplacement(of name: String, in directory: String, with bytes: [UInt8]) throws(FileError) {
        _ = try writeDurably(bytes, to: "\(directory)/\(name)\(FileName.temporarySuffix)")
    }

    /// The second half: after an error here it is unknown which content a crash would leave.
    func commitReplacement(of name: String, in directory: String) throws(FileError) {
        let target = "\(directory)/\(name)"
        try rename(target + FileName.temporarySuffix, to: target)
        try syncDirectory(directory)
    }

    func readWhole(_ path: String) throws(FileError) -> [UInt8] {
        let file = try open(path, .read)
        return try file.read(at: 0, count: try file.size())
    }
}

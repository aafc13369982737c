import EventStorage
import Glibc

/// A directory that goes with its object.
final class TemporaryDirectory {
    let path: String

    init() throws {
        var template = Array("/tmp/sluice-storage-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw FileError(operation: "mkdtemp", path: "/tmp", code: errno) }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        let files = POSIXFileSystem()
        for name in (try? files.list(path)) ?? [] {
            if (try? files.remove("\(path)/\(name)")) == nil { remove("\(path)/\(name)") }
        }
        rmdir(path)
    }
}

extension SimulatedFileSystem {
    /// Another disk with the same files.
    func copy() -> SimulatedFileSystem { SimulatedFileSystem(files: files) }
}

import FunnelModel
import Synchronization

/// The files of a store's directory, by kind.
struct DirectoryListing {
    var hasIdentity = false
    var hasManifest = false
    var logs: [UInt64] = []
    var segments: [UInt64] = []
    var users: [UInt64] = []
    var temporary: [String] = []

    init<Files: FileSystem>(_ directory: String, _ files: Files) throws(StoreError) {
        let names = try io { () throws(FileError) in try files.list(directory) }
        hasIdentity = names.contains(FileName.identity)
        hasManifest = names.contains(FileName.manifest)
        logs = names.compactMap(FileName.logNumber).sorted()
        segments = names.compactMap(FileName.segmentNumber).sorted()
        users = names.compactMap(FileName.usersNumber).sorted()
        temporary = names.filter { name in
            guard name.hasSuffix(FileName.temporarySuffix) else { return false }
            let target = String(name.dropLast(FileName.temporarySuffix.count))
            return target == FileName.identity || target == FileName.manifest || FileName.logNumber(target) != nil
        }
    }

    /// Whether no file is there that is only ever written after `IDENTITY`.
    var isEmpty: Bool { !hasManifest && logs.isEmpty && segments.isEmpty && users.isEmpty }

    /// Owner and format version of the directory; nil if it has no `IDENTITY`.
    func identity<Files: FileSystem>(
        _ directory: String, _ files: Files
    ) throws(StoreError) -> (identity: StoreIdentity, version: UInt16)? {
        guard hasIdentity else { return nil }
        let bytes = try io { () throws(FileError) in try files.readWhole("\(directory)/\(FileName.identity)") }
        return try IdentityFile.decode(bytes)
    }
}

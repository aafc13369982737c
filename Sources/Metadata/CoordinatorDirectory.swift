import FunnelModel
import FunnelProtocol
import Glibc
import ServiceRuntime

/// A coordinator's data directory: the metadata database and the file `CLUSTER` with the cluster's id, which distinguishes a lost
/// database from a new directory. Locked as long as this object lives.
package final class CoordinatorDirectory: Sendable {
    package let store: SQLiteMetadataStore
    package let registry: ClusterRegistry
    /// The cluster id in the file `CLUSTER`; nil if there is no such file.
    package let marked: UInt64?
    private let lock: DirectoryLock
    private let path: String

    /// True if the directory was copied since a coordinator last ran on it.
    package var isCopy: Bool { lock.isCopy }

    /// Opens the directory, and creates the database if it is a new one.
    /// - Parameter isRecovered: the database may be lost.
    /// - Throws: `InvalidDocument` if the database can't be opened, is lost, or belongs to another cluster than `CLUSTER` names.
    package init(_ path: String, lock: DirectoryLock, isRecovered: Bool = false) async throws(InvalidDocument) {
        self.path = path
        self.lock = lock
        let database = path + "/metadata.sqlite"
        marked = Self.read(path)
        // Opening would create an empty database in the place of the right one.
        if let marked, !isRecovered, access(database, F_OK) != 0, errno == ENOENT { throw Self.lost(database, marked) }
        do {
            store = try SQLiteMetadataStore(path: database)
        } catch {
            throw Self.fault("cannot open \(database): \(error)")
        }
        registry = ClusterRegistry(store)
        let stored: UInt64?
        do {
            stored = try await registry.stored()?.map.clusterID
        } catch {
            throw Self.fault("cannot read \(database): \(error)")
        }
        guard let marked else { return }
        guard let stored else {
            if isRecovered { return }
            throw Self.lost(database, marked)
        }
        guard stored == marked else {
            throw Self.fault(
                "\(database) is of cluster \(idText(stored)), but \(path)/CLUSTER says \(idText(marked)): one of them is of another directory"
            )
        }
    }

    /// Writes the file `CLUSTER` and marks the directory as no copy. To be called once the database has this cluster id.
    package func claim(_ cluster: UInt64) throws {
        if Self.read(path) != cluster {
            try DurableFile.replace(path + "/CLUSTER", with: Array((idText(cluster) + "\n").utf8))
        }
        lock.claim()
    }

    private static func read(_ path: String) -> UInt64? {
        guard let bytes = DurableFile.read(path + "/CLUSTER") else { return nil }
        return UInt64(String(decoding: bytes, as: UTF8.self).trimmingSpaces, radix: 16)
    }

    private static func lost(_ database: String, _ cluster: UInt64) -> InvalidDocument {
        fault(
            """
            \(database) is missing or holds no cluster, and the file CLUSTER beside it names cluster \(idText(cluster)): the database was lost. \
            Put it back, or rebuild the directory from the shards with `sluice cluster recover`
            """)
    }

    private static func fault(_ reason: String) -> InvalidDocument { InvalidDocument([FieldFault("--data", reason)]) }
}

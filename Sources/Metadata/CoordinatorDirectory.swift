import FunnelModel
import FunnelProtocol
import Glibc
import ServiceRuntime

/// A coordinator's data directory: the database of metadata, and beside it the file `CLUSTER` with the id of the cluster, by
/// which a database that was lost is told from a new directory. Locked as long as this object lives.
package final class CoordinatorDirectory: Sendable {
    package let store: SQLiteMetadataStore
    package let registry: ClusterRegistry
    /// The cluster that the file `CLUSTER` names; nil where there is no such file.
    package let marked: UInt64?
    private let lock: DirectoryLock
    private let path: String

    /// The directory was copied since a coordinator last ran on it.
    package var isCopy: Bool { lock.isCopy }

    /// - Parameter isRecovered: the database may be lost.
    /// - Throws: `InvalidDocument` where the directory can't be opened, or does not hold what it should.
    package init(_ path: String, lock: DirectoryLock, isRecovered: Bool = false) async throws(InvalidDocument) {
        self.path = path
        self.lock = lock
        let database = path + "/metadata.sqlite"
        marked = Self.read(path)
        // To open it would make an empty one, in the way of the right one.
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
                "\(database) is of cluster \(Self.hex(stored)), but \(path)/CLUSTER says \(Self.hex(marked)): one of them is of another directory"
            )
        }
    }

    /// Notes that the directory is of this cluster, once the database says so.
    package func claim(_ cluster: UInt64) throws {
        if Self.read(path) != cluster {
            try DurableFile.replace(path + "/CLUSTER", with: Array((Self.hex(cluster) + "\n").utf8))
        }
        lock.claim()
    }

    private static func read(_ path: String) -> UInt64? {
        guard let bytes = DurableFile.read(path + "/CLUSTER") else { return nil }
        return UInt64(String(decoding: bytes, as: UTF8.self).trimmingSpaces, radix: 16)
    }

    package static func hex(_ cluster: UInt64) -> String { String(cluster, radix: 16) }

    private static func lost(_ database: String, _ cluster: UInt64) -> InvalidDocument {
        fault(
            """
            \(database) is missing or holds no cluster, and the file CLUSTER beside it names cluster \(hex(cluster)): the database was lost. \
            Put it back, or rebuild the directory from the shards with `sluice cluster recover`
            """)
    }

    private static func fault(_ reason: String) -> InvalidDocument { InvalidDocument([FieldFault("--data", reason)]) }
}

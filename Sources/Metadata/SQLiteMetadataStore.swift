import Foundation
import FunnelProtocol
import GRDB
import Glibc
import Synchronization

/// Metadata in one SQLite file, synced on every write. Between writes all data is in that file: there is no write-ahead log beside
/// it that could be lost.
package final class SQLiteMetadataStore: MetadataStore {
    private let database: DatabaseQueue
    private let revision: Mutex<UInt64>
    private let path: String

    /// Opens the file, and creates or migrates it if needed.
    /// - Parameter pagesMax: max pages of the file, after which the disk counts as full; nil for no limit.
    package init(path: String, pagesMax: Int? = nil) throws {
        self.path = path
        var configuration = Configuration()
        configuration.prepareDatabase { db in
            // Release 0.1 had a write-ahead log; this merges it into the file.
            try db.execute(sql: "PRAGMA journal_mode = DELETE")
            try db.execute(sql: "PRAGMA synchronous = EXTRA")
            if let pagesMax { try db.execute(sql: "PRAGMA max_page_count = \(pagesMax)") }
        }
        // It has hashes of keys; SQLite itself would make it readable by everybody.
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        if file >= 0 {
            _ = fchmod(file, 0o600)
            _ = Glibc.close(file)
        }
        database = try DatabaseQueue(path: path, configuration: configuration)
        try Self.migrator.migrate(database)
        let last = try database.read { try Int64.fetchOne($0, sql: "SELECT value FROM counter") ?? 0 }
        revision = Mutex(UInt64(last))
    }

    package func close() throws { try database.close() }

    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1: entries with revisions") { db in
            try db.execute(
                sql: """
                    CREATE TABLE entry (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL, revision INTEGER NOT NULL) STRICT;
                    CREATE TABLE counter (value INTEGER NOT NULL) STRICT;
                    INSERT INTO counter VALUES (0);
                    """)
        }
        return migrator
    }

    package func get(_ key: String) async throws -> Versioned? {
        try await database.read { db in
            try Row.fetchOne(db, sql: "SELECT revision, value FROM entry WHERE key = ?", arguments: [key]).map(Self.entry)
        }
    }

    package func list(prefix: String) async throws -> [(key: String, entry: Versioned)] {
        try await database.read { db in
            let rows = try Row.fetchAll(
                db, sql: "SELECT key, revision, value FROM entry WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key",
                arguments: [prefix])
            return rows.map { ($0["key"], Self.entry($0)) }
        }
    }

    package func compareAndSet(_ writes: [MetadataWrite]) async throws -> UInt64 {
        let written = try await onDisk {
            try await database.write { db -> UInt64 in
                try db.execute(sql: "UPDATE counter SET value = value + 1")
                let next = try Int64.fetchOne(db, sql: "SELECT value FROM counter") ?? 0
                for write in writes { try Self.apply(write, next, db) }
                return UInt64(next)
            }
        }
        revision.withLock { $0 = max($0, written) }
        return written
    }

    package func raise(above revision: UInt64) async throws {
        try await onDisk {
            try await database.write { db in
                try db.execute(sql: "UPDATE counter SET value = max(value, ?)", arguments: [Int64(clamping: revision)])
            }
        }
    }

    /// Runs a write. A disk that is full or fails is named in the error, which callers may retry.
    private func onDisk<T>(_ write: () async throws -> T) async throws -> T {
        do {
            return try await write()
        } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {
            throw ProtocolError(.storageFailed, "the disk of \(path) is full; nothing was changed")
        } catch let error as DatabaseError where error.resultCode == .SQLITE_IOERR {
            throw ProtocolError(.storageFailed, "\(path) cannot be written: \(error.message ?? "the disk failed")")
        }
    }

    /// Applies one write. An error rolls back the whole transaction.
    private static func apply(_ write: MetadataWrite, _ revision: Int64, _ db: Database) throws {
        let found = try Int64.fetchOne(db, sql: "SELECT revision FROM entry WHERE key = ?", arguments: [write.key]) ?? 0
        let current = UInt64(found)
        if let expected = write.expected, expected != current { throw RevisionConflict(key: write.key, current: current) }
        guard let value = write.value else {
            return try db.execute(sql: "DELETE FROM entry WHERE key = ?", arguments: [write.key])
        }
        try db.execute(
            sql: "INSERT INTO entry VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value, revision = excluded.revision",
            arguments: [write.key, Data(value), revision])
    }

    package func watch(after known: UInt64, patience: Duration) async -> UInt64 {
        // Writes come from people and restarts only, so polling ten times a second is cheap; and it can't miss one.
        let end = ContinuousClock.now + patience
        while revision.withLock({ $0 }) <= known, ContinuousClock.now < end, !Task.isCancelled {
            try? await Task.sleep(for: .milliseconds(100))
        }
        return revision.withLock { $0 }
    }

    private static func entry(_ row: Row) -> Versioned {
        let revision: Int64 = row["revision"]
        let value: Data = row["value"]
        return Versioned(revision: UInt64(revision), value: Array(value))
    }
}

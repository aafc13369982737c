import Foundation
import FunnelModel
import FunnelProtocol
import Metadata
import Testing

/// A metadata store in a real file, which is removed afterwards.
func withMetadataStore(_ body: (SQLiteMetadataStore) async throws -> Void) async throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-metadata-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    try await body(try SQLiteMetadataStore(path: folder.appendingPathComponent("metadata.sqlite").path))
}

/// API keys and the times of their uses as they are stored.
struct KeyStoreTests {
    private static func record(_ id: String, project: UInt32 = 1, name: String? = nil, full: Bool = false) -> KeyRecord {
        KeyRecord(
            key: CreatedKey(
                id: id, role: full ? .write : .admin, project: project, hash: (0..<32).map { UInt8($0) },
                expires: full ? 1_900_000_000 : nil,
                origins: full ? (0..<20).map { "https://\($0)." + String(repeating: "a", count: 240) } : []),
            name: name, created: 1_700_000_000, creator: full ? "abcdefghij" : KeyRecord.environment)
    }

    /// The error of a full disk is one that callers retry, and names the file.
    @Test func aFullDiskIsNamed() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-metadata-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("metadata.sqlite").path
        let keys = KeyStore(try SQLiteMetadataStore(path: path, pagesMax: 16))
        var stored = 0
        do {
            for number in 0..<1_000 {
                // Letters alone, which every id may have.
                let id = "aaaaaa" + String("\(1_000 + number)".utf8.map { Character(Unicode.Scalar($0 - 48 + 97)) })
                try await keys.add(Self.record(id, full: true), removing: [])
                stored += 1
            }
            Issue.record("the disk is not full")
        } catch let error as ProtocolError {
            #expect(error.code == .storageFailed && error.retryable && error.httpStatus == 503)
            #expect(error.message == "the disk of \(path) is full; nothing was changed")
        }
        #expect(stored > 0)
        #expect(try await keys.all().keys.count == stored)
    }

    @Test func keysAreReadAsTheyWereStored() async throws {
        try await withMetadataStore { store in
            let keys = KeyStore(store)
            let name = String(repeating: "\"\u{E9}", count: 33)
            let records = [Self.record("aaaaaaaaaa", full: true), Self.record("bbbbbbbbbb", project: .max, name: name)]
            for record in records { try await keys.add(record, removing: []) }
            let found = try await keys.all()
            #expect(found.keys == records && found.unreadable.isEmpty)
            for (_, entry) in try await store.list(prefix: "api-key/") { #expect(entry.value.count <= 8_192) }
            // An id is given once.
            await #expect(throws: RevisionConflict.self) { try await keys.add(Self.record("aaaaaaaaaa"), removing: ["bbbbbbbbbb"]) }
            #expect(try await keys.all().keys == records)
            try await keys.add(Self.record("cccccccccc"), removing: ["bbbbbbbbbb", "gone"])
            #expect(try await keys.all().keys.map(\.key.id) == ["aaaaaaaaaa", "cccccccccc"])
            try await keys.remove("aaaaaaaaaa")
            try await keys.remove("aaaaaaaaaa")
            #expect(try await keys.all().keys.map(\.key.id) == ["cccccccccc"])
        }
    }

    /// What a later release has stored, or what is damaged, must not open anything.
    @Test func aKeyThatCannotBeReadIsLeftOut() async throws {
        try await withMetadataStore { store in
            let keys = KeyStore(store)
            try await keys.add(Self.record("good"), removing: [])
            let good = String(decoding: try #require(try await store.get("api-key/good")).value, as: UTF8.self)
            let bad = [
                "a": "{", "b": "{}", "c": good.replacing("\"admin\"", with: "\"owner\""),
                "d": good.replacing("\"project\":1", with: "\"project\":0"),
                "e": good.replacing("0001", with: "01"), "f": good.replacing("\"created\"", with: "\"addresses\":[],\"created\""),
                "g": good.replacing("\"origins\":[]", with: "\"origins\":[\"https://a.example\"]"),
                "h": good.replacing("\"expires\":null", with: "\"expires\":0"), "UPPER": good,
            ]
            for (id, text) in bad { _ = try await store.compareAndSet("api-key/\(id)", expected: 0, value: Array(text.utf8)) }
            let found = try await keys.all()
            #expect(found.keys.map(\.key.id) == ["good"])
            #expect(found.unreadable.map(\.id).sorted() == bad.keys.sorted())
            for fault in found.unreadable { #expect("\(fault)".hasPrefix("API key \(fault.id): "), "\(fault)") }
        }
    }

    @Test func usesAreStoredByProject() async throws {
        try await withMetadataStore { store in
            let keys = KeyStore(store)
            try await keys.write(uses: [:])
            try await keys.write(uses: [1: [.init(id: "a", minute: 5), .init(id: "b", minute: 6)], 2: [.init(id: "c", minute: 7)]])
            #expect(try await keys.uses() == ["a": 5, "b": 6, "c": 7])
            try await keys.write(uses: [1: [.init(id: "b", minute: 9)], 2: []])
            #expect(try await keys.uses() == ["b": 9])
            #expect(try await store.list(prefix: "api-key-uses/").map(\.key) == ["api-key-uses/1"])
            // They are no keys.
            #expect(try await keys.all().keys.isEmpty)
            _ = try await store.compareAndSet("api-key-uses/3", expected: 0, value: Array("[".utf8))
            #expect(try await keys.uses() == ["b": 9])
        }
    }
}

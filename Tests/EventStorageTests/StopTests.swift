import EventStorage
import FunnelModel
import Testing

/// After a clean stop nothing of the log can be torn, so whatever is missing or wrong there is damage.
struct StopTests {
    private static let log = "log-00000002"

    private static func stopped() throws -> [String: [UInt8]] {
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        for number in 0..<4 {
            _ = try store.append([request([event("u", "a", Int64(number), p: 1)], sequence: UInt64(number))])
            if number == 0 { try store.seal() }
        }
        store.close()
        return files.files
    }

    private static func open(_ files: [String: [UInt8]]) throws(StoreError) -> Int {
        let store = try openStore(SimulatedFileSystem(files: files))
        do { return try store.view(project: 1).allEvents().count } catch { throw StoreError(.io, "\(error)") }
    }

    private func expectDamage(_ files: [String: [UInt8]], _ what: String) throws {
        let error = #expect(throws: StoreError.self, "\(what)") { try Self.open(files) }
        #expect(error?.code == .corrupt && error?.message.contains(Self.log) == true, "\(what): \(String(describing: error))")
        let kept = SimulatedFileSystem(files: files)
        _ = try? openStore(kept)
        #expect(kept.files.filter { $0.key != "LOCK" } == files.filter { $0.key != "LOCK" }, "\(what): evidence gone")
        #expect(!StoreVerifier.verify(directory: "data", files: kept) { _ in }, "\(what)")
    }

    @Test func everyCutIsDamage() throws {
        var files = try Self.stopped()
        #expect(try Self.open(files) == 4)
        #expect(try openStore(SimulatedFileSystem(files: files)).stats.tornBytesCut == 0)
        let whole = try #require(files[Self.log])
        for size in 0..<whole.count {
            files[Self.log] = Array(whole[..<size])
            try expectDamage(files, "\(size) bytes")
        }
        files[Self.log] = nil
        try expectDamage(files, "no file")
    }

    @Test func everyFlippedBitIsDamage() throws {
        var files = try Self.stopped()
        let whole = try #require(files[Self.log])
        for at in whole.indices {
            files[Self.log] = whole
            files[Self.log]?[at] ^= 1 << UInt8(at % 8)
            try expectDamage(files, "byte \(at)")
        }
    }

    /// What is written after the next opening can be torn, and what was there before still can't.
    @Test func theNoteHoldsForWhatItTellsOfAlone() throws {
        let disk = SimulatedFileSystem(files: try Self.stopped())
        let noted = try #require(disk.files[Self.log]).count
        let store = try openStore(disk)
        _ = try store.append([request([event("u", "a", 9)], sequence: 9)])
        let files = disk.files
        let whole = try #require(files[Self.log])
        #expect(whole.count > noted && disk.files.keys.filter { $0.hasPrefix("log-") } == [Self.log])
        for size in 0..<whole.count {
            var cut = files
            cut[Self.log] = Array(whole[..<size])
            if size < noted { try expectDamage(cut, "\(size) bytes") } else { #expect(try Self.open(cut) == 4, "\(size) bytes") }
        }
    }

    @Test func aStopThatCannotBeNotedIsAsACrash() throws {
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        _ = try store.append([request([event("u", "a", 1)], sequence: 1)])
        files.inject(.fullFromWrite(0, partial: 0))
        store.close()
        files.heal()
        #expect(try Self.open(files.files) == 1)
    }
}

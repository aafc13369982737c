import EventStorage
import FunnelModel
import Testing

/// Damaged files are told, never believed, and never a crash.
struct DamageTests {
    private static func batch(_ number: Int) -> AppendRequest {
        request(
            (0..<3).map { event("u\($0)", "e\($0)", Int64(number), id: "\(number)", p: 5) }, sequence: UInt64(number))
    }

    /// One segment of two batches, and three records in the log.
    private static func store() throws -> SimulatedFileSystem {
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        _ = try store.put([batch(0)])
        _ = try store.put([batch(1)])
        try store.suppress(project: 1, users: ["u1"])
        try store.seal()
        for number in 2..<5 { _ = try store.put([batch(number)]) }
        // Not closed, as after a crash: a clean stop would tell how long the log is.
        return files
    }

    private static func read(_ files: [String: [UInt8]]) throws(StoreError) -> [Event] {
        let store = try openStore(SimulatedFileSystem(files: files))
        do { return try store.view(project: 1).allEvents() } catch {
            throw (error as? StoreError) ?? StoreError(.io, "\(error)")
        }
    }

    private static func recordOffsets(_ log: [UInt8]) -> [Int] {
        let magic = Array("SLRC".utf8)
        return log.indices.filter { log[$0...].starts(with: magic) }
    }

    @Test(arguments: ["IDENTITY", "MANIFEST", "log-00000002", "usr-00000001", "seg-00000002"])
    func everyFlippedBitIsFoundOrHarmless(name: String) throws {
        let files = try Self.store().files
        let all = try Self.read(files)
        let bytes = try #require(files[name])
        let last = name.hasPrefix("log") ? try #require(Self.recordOffsets(bytes).last) : Int.max
        let withoutLast = all.filter { $0.id != "4" }
        var found = 0
        for at in bytes.indices {
            var damaged = files
            damaged[name]?[at] ^= 1 << UInt8(at % 8)
            do throws(StoreError) {
                let events = try Self.read(damaged)
                // Only the last record's flip may pass, for a record that a crash left unfinished.
                #expect(events == all || (at >= last && events == withoutLast), "\(name), byte \(at)")
            } catch {
                found += 1
                #expect(error.code == .corrupt && error.message.contains(name), "\(name), byte \(at): \(error)")
                let kept = SimulatedFileSystem(files: damaged)
                _ = try? openStore(kept)
                // What is found by a reader alone has let the store open, and begin a log.
                #expect(damaged.allSatisfy { $0.key == "LOCK" || kept.files[$0.key] == $0.value }, "evidence gone")
            }
        }
        #expect(found > (name.hasPrefix("log") ? last - 1 : bytes.count - 1))
    }

    @Test func theLastLogMayBeCutAnywhere() throws {
        let files = try Self.store().files
        let name = "log-00000002"
        let bytes = try #require(files[name])
        let offsets = Self.recordOffsets(bytes) + [bytes.count]
        for size in 0...bytes.count {
            var cut = files
            cut[name] = Array(bytes[..<size])
            let whole = offsets.dropFirst().filter { $0 <= size }.count
            let events = try Self.read(cut)
            #expect(Set(events.map(\.id.string)) == Set((0..<(2 + whole)).map(String.init)), "cut at \(size)")
            if whole > 0 {
                let store = try openStore(SimulatedFileSystem(files: cut))
                #expect(store.stats.tornBytesCut == size - offsets[whole], "cut at \(size)")
                // Every project's status has it.
                #expect(store.names(project: 1).tornBytes == UInt64(size - offsets[whole]))
                #expect(store.names(project: 77).tornBytes == UInt64(size - offsets[whole]))
            }
        }
    }

    /// A record is one only in its own place, so that what a client sends can't pass for the log's own.
    @Test func recordsInAnotherPlaceAreNone() throws {
        var files = try Self.store().files
        let name = "log-00000002"
        let bytes = try #require(files[name])
        let offsets = Self.recordOffsets(bytes)
        files[name] = Array(bytes[..<offsets[1]]) + [UInt8](repeating: 0, count: 40) + Array(bytes[offsets[2]...])
        #expect(Set(try Self.read(files).map(\.id.string)) == ["0", "1", "2"])
    }

    @Test func anOlderLogMayNotBeCut() throws {
        // A seal that fails after the new log was begun leaves two logs.
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        _ = try store.put([Self.batch(0)])
        _ = try store.put([Self.batch(1)])
        files.inject(.fullAtWrite(files.writes + 2, partial: 0))
        #expect(throws: StoreError.self) { try store.seal() }
        _ = try store.put([Self.batch(2)])
        store.close()
        let all = files.files
        #expect(Set(all.keys).isSuperset(of: ["log-00000001", "log-00000002"]))
        #expect(try Self.read(all).count == 9)
        let bytes = try #require(all["log-00000001"])
        let whole = Self.recordOffsets(bytes) + [bytes.count]
        for size in 0..<bytes.count {
            var cut = all
            cut["log-00000001"] = Array(bytes[..<size])
            let error = #expect(throws: StoreError.self, "cut at \(size), records at \(whole)") { try Self.read(cut) }
            #expect(error?.code == .corrupt)
        }
    }

    @Test(arguments: ["IDENTITY", "MANIFEST", "log-00000002", "usr-00000001", "seg-00000002"])
    func missingFilesAreFound(name: String) throws {
        var files = try Self.store().files
        files[name] = nil
        let error = #expect(throws: StoreError.self) { try Self.read(files) }
        #expect(error?.code == .corrupt || error?.code == .io, "\(String(describing: error))")
    }

    @Test func misplacedFilesAreFound() throws {
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        for number in 0..<2 {
            _ = try store.put([Self.batch(number)])
            try store.seal()
        }
        store.close()
        var swapped = files.files
        swapped["seg-00000002"] = files.files["seg-00000003"]
        swapped["seg-00000003"] = files.files["seg-00000002"]
        #expect(throws: StoreError.self) { try Self.read(swapped) }
        // The same shard of another cluster, with the same history.
        let other = SimulatedFileSystem()
        let foreign = try openStore(other, StoreIdentity(clusterID: 5, shard: 1, shardCount: 4, epoch: 7))
        for number in 0..<2 {
            _ = try foreign.append([Self.batch(number)])
            try foreign.seal()
        }
        foreign.close()
        for name in ["MANIFEST", "log-00000003", "usr-00000001", "seg-00000002"] {
            var mixed = files.files
            mixed[name] = other.files[name]
            let error = #expect(throws: StoreError.self, "\(name)") { try Self.read(mixed) }
            #expect(error?.code == .corrupt)
        }
    }

    @Test(arguments: ["IDENTITY", "MANIFEST", "log-00000002", "usr-00000001", "seg-00000002"])
    func randomBytesNeverTrap(name: String) throws {
        let files = try Self.store().files
        let whole = try #require(files[name])
        var random = SeededGenerator(11)
        for round in 0..<300 {
            var damaged = files
            if round % 3 == 0 {
                let size = Int.random(in: 0..<200, using: &random)
                damaged[name] = (0..<size).map { _ in .random(in: 0...255, using: &random) }
            } else {
                var bytes = whole
                for _ in 0..<Int.random(in: 1...20, using: &random) {
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
                }
                if round % 3 == 1 { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &random)) }
                damaged[name] = bytes
            }
            _ = try? Self.read(damaged)
            _ = StoreVerifier.verify(directory: "data", files: SimulatedFileSystem(files: damaged)) { _ in }
        }
    }

    @Test func theVerifierFindsEveryFlippedBitToo() throws {
        let files = try Self.store()
        for (name, bytes) in files.files where name != "LOCK" {
            let last = name.hasPrefix("log") ? try #require(Self.recordOffsets(bytes).last) : Int.max
            for at in bytes.indices where at < last {
                var damaged = files.files
                damaged[name]?[at] ^= 0x10
                var lines: [String] = []
                let isWell = StoreVerifier.verify(directory: "data", files: SimulatedFileSystem(files: damaged)) {
                    lines.append($0)
                }
                #expect(!isWell && lines.contains { $0.contains(name) }, "\(name), byte \(at): \(lines)")
            }
        }
    }
}

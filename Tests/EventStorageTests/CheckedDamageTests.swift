import Codec
import EventStorage
import FunnelModel
import Testing

/// Damage under checksums that hold, as a faulty writer or memory may leave it: whatever is read then, nothing traps.
struct CheckedDamageTests {
    /// Two projects, several names, months and pages, columns of every kind, users in files and suppressed ones.
    private static let files: [String: [UInt8]] = {
        let files = SimulatedFileSystem()
        var random = SeededGenerator(3)
        do {
            let store = try openStore(files)
            for round in 0..<2 {
                var events = randomEvents(120, users: 20, &random)
                for i in events.indices {
                    events[i].time += Int64(i % 3) * (i % 2 == 0 ? 3_000_000_000_000 : 4_000_000)
                    events[i].properties.append(.init("url", .string(ByteString("/page/\(i * 7_919 % 50)"))))
                    if i % 9 == 0 { events[i].properties.append(.init("weight", .double(Double(i) / 4))) }
                }
                events += (0..<300).map { event("many", "e", 1_700_000_000_000_000 + Int64($0) * 1_000_000) }
                _ = try store.put([request(events, sequence: UInt64(round)), request(events, sequence: UInt64(round), part: 1, project: 2)])
                try store.suppress(project: 1, users: ["longish-user-3"])
                try store.seal()
            }
            _ = try store.put([request(randomEvents(50, &random), sequence: 9)])
            store.close()
        } catch { Issue.record(error) }
        return files.files
    }()

    private static func read(_ files: [String: [UInt8]]) {
        let disk = SimulatedFileSystem(files: files)
        _ = StoreVerifier.verify(directory: "data", files: disk) { _ in }
        guard let store = try? openStore(disk) else { return }
        for project: UInt32 in [1, 2] {
            guard let view = try? store.view(project: project) else { continue }
            _ = try? view.histories()
            _ = try? view.histories(events: ["e"])
            _ = try? view.scan(user: "many") { $0.count >= 0 }
            let scan = view.selection(["e", "name1"])
            let keyReader = scan.reader(KeyLayout(unit: scan.unit, base: 0, timeBits: 40))
            for property: ByteString in ["url", "n", "weight"] {
                let conditions = RowConditions(scan, [Predicate(property: property, comparison: .greaterOrEqual, values: [.integer(1)])])
                var list = KeyList()
                for name in 0..<2 { _ = try? keyReader.load(name, places: 0..<view.places.users, where: conditions, into: &list) }
            }
            for place in 0..<min(50, view.places.users) { _ = view.place(of: view.ids(ofPlaces: [place])[0]) }
            for user in ["u", "v", "many"] { _ = view.place(of: ByteString(user)) }
        }
        _ = try? store.append([request([event("longish-user-1", "e", 1), event("new", "e", 2)], sequence: 77)])
        _ = try? store.seal()
        _ = try? store.compact(everything: true)
    }

    @Test func soundFilesPassTheMending() throws {
        for name in Self.files.keys {
            var files = Self.files
            var noise: SeededGenerator?
            var bytes = try #require(files[name])
            bytes.mend(as: name, in: &files, &noise)
            #expect(bytes == Self.files[name] && files == Self.files, "\(name)")
        }
    }

    @Test(arguments: ["MANIFEST", "usr-", "seg-"])
    func garbageUnderGoodChecksumsNeverTraps(kind: String) throws {
        let names = Self.files.keys.filter { $0.hasPrefix(kind) }.sorted()
        var random = SeededGenerator(12)
        for round in 0..<(kind == "seg-" ? 150 : 60) {
            var files = Self.files
            let name = names[round % names.count]
            var bytes = try #require(files[name])
            var noise: SeededGenerator? = SeededGenerator(random.next())
            bytes.mend(as: name, in: &files, &noise)
            files[name] = bytes
            Self.read(files)
        }
    }
}

extension CheckedDamageTests {
    /// One segment of one long-named run, a user file and an empty log.
    private static func small() throws -> [String: [UInt8]] {
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        _ = try store.put([
            request(
                [event("u", "aaaaaaaaaaaaaaaa", 1_700_000_000_000_000), event("v", "aaaaaaaaaaaaaaaa", 1_700_000_000_000_001)], sequence: 5)
        ])
        try store.seal()
        store.close()
        return files.files
    }

    private static func mended(_ name: String, _ bytes: [UInt8], _ files: [String: [UInt8]]) -> [String: [UInt8]] {
        var (files, bytes) = (files, bytes)
        var noise: SeededGenerator?
        bytes.mend(as: name, in: &files, &noise)
        files[name] = bytes
        return files
    }

    private func expectCorrupt(_ files: [String: [UInt8]], _ what: String) {
        let error = #expect(throws: StoreError.self, "\(what)") { try openStore(SimulatedFileSystem(files: files)).view(project: 1) }
        #expect(error?.code == .corrupt, "\(what)")
        #expect(!StoreVerifier.verify(directory: "data", files: SimulatedFileSystem(files: files)) { _ in }, "\(what)")
    }

    @Test func timesThatNoRowCanHaveAreDamage() throws {
        let files = try Self.small()
        var segment = try #require(files["seg-00000002"])
        let name = Array("aaaaaaaaaaaaaaaa".utf8)
        let at = try #require(segment.indices.last { segment[$0...].starts(with: name) })
        // The name gives up four bytes to two varints of ten bytes: the least and the greatest integer there is.
        let times: [UInt8] = [0xFF] + Array(repeating: 0xFF, count: 8) + [1] + [0xFE] + Array(repeating: 0xFF, count: 8) + [1]
        segment.replaceSubrange((at - 1)..<(at + 34), with: [12] + name.prefix(12) + segment[(at + 16)..<(at + 18)] + times)
        expectCorrupt(Self.mended("seg-00000002", segment, files), "times")
    }

    @Test func usersBeyondABucketsEndAreDamage() throws {
        let files = try Self.small()
        var users = try #require(files["usr-00000001"])
        // Behind the head and two entries of the directory: the first block.
        users.put(.max, at: 136)
        expectCorrupt(Self.mended("usr-00000001", users, files), "first user of a bucket")
    }

    /// Every number in the head, directory and blocks, and every bit of the tables.
    @Test func everyByteOfAUserFileMayBeWrong() throws {
        let files = try Self.small()
        let users = try #require(files["usr-00000001"])
        for at in 40..<(users.count - 16) {
            for value: UInt8 in [0, 1, 2, 3, 5, 0x7F, 0x80, 0xFF, users[at] ^ 0x10] {
                var wrong = users
                wrong[at] = value
                Self.read(Self.mended("usr-00000001", wrong, files))
            }
        }
    }

    @Test func tablesThatDoNotFitAreDamage() throws {
        let files = try Self.small()
        // Buckets, bits of a symbol; a block's size; users, entries, widths of offsets and forms.
        let wrong: [(Int, UInt32)] = [
            (40, 3), (40, .max), (44, 7), (124, 25), (124, .max), (140, 0), (140, 2), (140, .max), (144, 2), (156, 33), (157, 4),
        ]
        for (at, value) in wrong {
            var users = try #require(files["usr-00000001"])
            users.put(value, at: at)
            expectCorrupt(Self.mended("usr-00000001", users, files), "\(value) at \(at)")
        }
    }

    @Test func numbersThatCannotBeCountedOnAreDamage() throws {
        let files = try Self.small()
        for field in 0..<4 {
            var manifest = try #require(files["MANIFEST"])
            for i in 0..<8 { manifest[40 + 8 * field + i] = 0xFF }
            expectCorrupt(Self.mended("MANIFEST", manifest, files), "number \(field)")
        }
    }

    /// A merge takes a month's rows alone, so a wrong month would lose them.
    @Test func aSegmentOfAnotherMonthIsDamage() throws {
        let files = try Self.small()
        var manifest = try #require(files["MANIFEST"])
        // Behind the four numbers, the count, and the segment's number and project: the month as two bytes.
        manifest[40 + 32 + 1 + 12] ^= 1
        expectCorrupt(Self.mended("MANIFEST", manifest, files), "month")
    }
}

extension [UInt8] {
    /// Writes every checksum anew, after some random changes where `noise` is given, and tells the manifest in `files`.
    fileprivate mutating func mend(as name: String, in files: inout [String: [UInt8]], _ noise: inout SeededGenerator?) {
        switch name.prefix(4) {
        case "MANI":
            spoil(40..<count, &noise)
            put(CRC32C.checksum(self, range: 40..<count), at: 32)
            put(CRC32C.checksum(self, range: 0..<36), at: 36)
        case "usr-": mendUsers(&files, &noise)
        case "seg-": mendSegment(&files, &noise)
        default: break
        }
    }

    private mutating func mendUsers(_ files: inout [String: [UInt8]], _ noise: inout SeededGenerator?) {
        let end = count - 16
        let before = uint32(end + 8)
        // Mostly the tables' head, since what follows is long.
        spoil(40..<(noise != nil && Bool.random(using: &noise!) ? Swift.min(end, 200) : end), &noise)
        put(CRC32C.checksum(self, range: 0..<end), at: end + 8)
        put(CRC32C.checksum(self, range: end..<(end + 12)), at: end + 12)
        files.tell(uint32(end + 8), insteadOf: before)
    }

    private mutating func mendSegment(_ files: inout [String: [UInt8]], _ noise: inout SeededGenerator?) {
        let end = count - 32
        let footer = Int(uint32(end))
        let before = uint32(end + 16)
        var reader = ByteReader(self, range: footer..<end)
        if noise != nil, Int.random(in: 0..<3, using: &noise!) == 0 {
            spoil(footer..<end, &noise)
        } else if let chunks = try? reader.chunks() {
            let chosen = noise == nil ? chunks[0] : chunks[Int.random(in: 0..<chunks.count, using: &noise!)]
            // A page's head tells how to read the rest.
            let head = chosen.range.prefix(noise != nil && Bool.random(using: &noise!) ? 64 : chosen.range.count)
            spoil(head, &noise)
            put(CRC32C.checksum(self, range: chosen.range), at: chosen.checksumAt)
        }
        put(CRC32C.checksum(self, range: footer..<end, seed: uint32(36)), at: end + 16)
        put(CRC32C.checksum(self, range: end..<(end + 28)), at: end + 28)
        files.tell(uint32(end + 16), insteadOf: before)
    }

    /// Changes bytes of a range, or nothing without noise.
    private mutating func spoil(_ range: Range<Int>, _ noise: inout SeededGenerator?) {
        guard var random = noise, !range.isEmpty else { return }
        let extremes: [UInt8] = [0, 0xFF, 0x80, 0x7F, 1]
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let at = Int.random(in: range, using: &random)
            for i in at..<Swift.min(range.upperBound, at + Int.random(in: 1...9, using: &random)) {
                self[i] = Bool.random(using: &random) ? .random(in: 0...255, using: &random) : extremes.randomElement(using: &random) ?? 0
            }
        }
        noise = random
    }

    private func uint32(_ at: Int) -> UInt32 { (0..<4).reduce(0) { $0 | UInt32(self[at + $1]) << UInt32(8 * $1) } }

    fileprivate mutating func put(_ value: UInt32, at: Int) {
        for i in 0..<4 { self[at + i] = UInt8(truncatingIfNeeded: value >> UInt32(8 * i)) }
    }
}

extension [String: [UInt8]] {
    /// The manifest tells another checksum of a file.
    fileprivate mutating func tell(_ sum: UInt32, insteadOf before: UInt32) {
        guard sum != before, var manifest = self["MANIFEST"] else { return }
        let old = (0..<4).map { UInt8(truncatingIfNeeded: before >> UInt32(8 * $0)) }
        for at in 40..<(manifest.count - 3) where Array(manifest[at..<(at + 4)]) == old { manifest.put(sum, at: at) }
        var noise: SeededGenerator?
        manifest.mend(as: "MANIFEST", in: &self, &noise)
        self["MANIFEST"] = manifest
    }
}

extension ByteReader {
    /// Where the key pages and the columns' directories lie, and where their checksums stand, from a sound footer.
    fileprivate mutating func chunks() throws(ByteError) -> [(range: Range<Int>, checksumAt: Int)] {
        var found: [(range: Range<Int>, checksumAt: Int)] = []
        for _ in 0..<(try varint("runs")) {
            _ = try string(limit: 1_000, "name")
            _ = try varint("rows")
            _ = try integer("flags", as: UInt8.self)
            _ = try (zigzag("time"), zigzag("time"))
        }
        for _ in 0..<(try varint("pages")) {
            try append(&found)
            _ = try integer("first ordinal", as: UInt32.self)
            _ = try (zigzag("time"), zigzag("time"))
        }
        for _ in 0..<(try varint("columns")) {
            _ = try integer("kind", as: UInt8.self)
            _ = try string(limit: 1_000, "key")
            try append(&found)
        }
        return found
    }

    private mutating func append(_ found: inout [(range: Range<Int>, checksumAt: Int)]) throws(ByteError) {
        let start = Int(try varint("offset"))
        let length = Int(try varint("bytes"))
        found.append((start..<(start + length), offset))
        _ = try integer("checksum", as: UInt32.self)
    }
}

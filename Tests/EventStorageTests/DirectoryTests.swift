import EventStorage
import FunnelModel
import Testing

/// Whose directory it is.
struct DirectoryTests {
    private func code(_ files: SimulatedFileSystem, _ change: (inout StoreIdentity) -> Void) -> StoreError.Code? {
        var identity = testIdentity
        change(&identity)
        do throws(StoreError) {
            try openStore(files, identity).close()
            return nil
        } catch { return error.code }
    }

    @Test func othersAreRefusedByName() throws {
        let files = SimulatedFileSystem()
        try openStore(files).close()
        #expect(code(files) { $0.clusterID += 1 } == .foreignCluster)
        #expect(code(files) { $0.shard = 2 } == .foreignShard)
        #expect(code(files) { $0.shardCount = 5 } == .foreignLayout)
        #expect(code(files) { $0.epoch = 6 } == .olderEpoch)
        #expect(code(files) { $0.shard = 4 } == .invalid)
        #expect(code(files) { _ in } == nil)
    }

    /// People compare a cluster's id with that of `/v1/status`.
    @Test func clusterIDsAreHexadecimal() throws {
        let files = SimulatedFileSystem()
        try openStore(files).close()
        var other = testIdentity
        other.clusterID = 0xDECAF
        let error = #expect(throws: StoreError.self) { try openStore(files, other).close() }
        #expect(error?.message.hasSuffix("cluster c0ffee, not decaf") == true, "\(error?.message ?? "")")
        var lines: [String] = []
        #expect(StoreVerifier.verify(directory: "data", files: files) { lines.append($0) })
        #expect(lines.first?.hasPrefix("IDENTITY: cluster c0ffee, shard 1 of 4, epoch 7, ") == true, "\(lines)")
    }

    @Test func aHigherEpochIsKept() throws {
        let files = SimulatedFileSystem()
        try openStore(files).close()
        #expect(code(files) { $0.epoch = 8 } == nil)
        #expect(code(files) { _ in } == .olderEpoch)
    }

    @Test func oneHolderAtATime() throws {
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        #expect(code(files) { _ in } == .locked)
        #expect(!StoreVerifier.verify(directory: "data", files: files) { _ in })
        store.close()
        #expect(code(files) { _ in } == nil)
    }

    @Test func aClosedStoreTakesNoWrites() throws {
        let store = try openStore(SimulatedFileSystem())
        store.close()
        let error = #expect(throws: StoreError.self) { try store.put([request([event("u", "a", 1)], sequence: 1)]) }
        #expect(error?.code == .poisoned)
        #expect(throws: StoreError.self) { try store.seal() }
        #expect(throws: StoreError.self) { try store.suppress(project: 1, users: ["u"]) }
    }

    @Test(arguments: [("IDENTITY", 32), ("MANIFEST", 40), ("log-00000001", 44)])
    func aNewerFormatIsRefused(name: String, headerBytes: Int) throws {
        try check(name, headerBytes, version: 5, .newerFormat)
        try check(name, headerBytes, version: 2, .olderFormat)
    }

    private func check(_ name: String, _ headerBytes: Int, version: UInt8, _ expected: StoreError.Code) throws {
        let files = SimulatedFileSystem()
        try openStore(files).close()
        var newer = files.files
        var header = Array(try #require(newer[name])[..<headerBytes])
        header[8] = version
        let sum = testCRC32C(header[..<(headerBytes - 4)])
        for i in 0..<4 { header[headerBytes - 4 + i] = UInt8(truncatingIfNeeded: sum >> UInt32(8 * i)) }
        newer[name]?.replaceSubrange(..<headerBytes, with: header)
        #expect(code(SimulatedFileSystem(files: newer)) { _ in } == expected)
    }

    @Test func layoutIsAsTheSpecificationSays() throws {
        let files = SimulatedFileSystem()
        let store = try openStore(files)
        _ = try store.put([request([event("u", "a", 1)], sequence: 1)])
        store.close()
        let identity = try #require(files.files["IDENTITY"])
        var expected = Array("SLUICEID".utf8)
        expected += [4, 0, 1, 0, 4, 0, 0, 0] as [UInt8]
        expected += [0xEE, 0xFF, 0xC0, 0, 0, 0, 0, 0, 7, 0, 0, 0] as [UInt8]
        let sum = testCRC32C(expected[...])
        expected += (0..<4).map { UInt8(truncatingIfNeeded: sum >> UInt32(8 * $0)) }
        #expect(identity == expected)
        let log = try #require(files.files["log-00000001"])
        #expect(log.starts(with: Array("SLUICLOG".utf8)))
        #expect(Array(log[44..<48]) == Array("SLRC".utf8))
    }
}

/// CRC-32C bit by bit, apart from the store's own.
func testCRC32C(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    var crc: UInt32 = 0xFFFF_FFFF
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0x82F6_3B78 : crc >> 1 }
    }
    return ~crc
}

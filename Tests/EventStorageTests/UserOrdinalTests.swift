import EventStorage
import FunnelModel
import Testing

/// A user has one ordinal for ever, whatever becomes of the append that brought it.
struct UserOrdinalTests {
    /// Users of one bucket, so that each takes the next ordinal of it.
    private static let users: [String] = {
        let bucket = ClusterMap.bucket(ofUser: "user0")
        return Array((0..<20_000).map { "user\($0)" }.filter { ClusterMap.bucket(ofUser: ByteString($0)) == bucket }.prefix(6))
    }()

    enum Failure: CaseIterable { case full, reserve, suppression }

    /// The ordinal of a failed append is known in memory alone; later records may tell later ones first.
    @Test(arguments: Failure.allCases, [false, true])
    func ordinalsOfAFailedAppendDoNotContradictTheLog(failure: Failure, sealed: Bool) throws {
        let files = SimulatedFileSystem()
        var options = StoreOptions()
        options.reserveBytes = 1_000
        let store = try openStore(files, testIdentity, options)
        let events = Self.users.map { event($0, "a", 1, id: $0) }
        if failure == .reserve { files.setFree(1) } else { files.inject(.fullFromWrite(0, partial: 9)) }
        if failure == .suppression {
            #expect(throws: StoreError.self) { try store.suppress(project: 1, users: [ByteString(Self.users[0])]) }
        } else {
            #expect(throws: StoreError.self) { try store.append([request([events[0], events[3]], sequence: 1)]) }
        }
        files.heal()
        files.setFree(1 << 40)
        _ = try store.put([request([events[1], events[2]], sequence: 2)])
        if sealed { try store.seal() }
        _ = try store.put([request([events[4], events[0], events[3]], sequence: 3)])
        let stored = Array(events[..<5])
        #expect(try store.view(project: 1).histories() == StoreModel(rows: stored).histories())
        store.close()
        let again = try openStore(files)
        #expect(try again.view(project: 1).histories() == StoreModel(rows: stored).histories())
        _ = try again.put([request([events[5]], sequence: 4)])
        try again.seal()
        again.close()
        #expect(try openStore(files).view(project: 1).histories() == StoreModel(rows: events).histories())
    }

    /// A table of users may name some that no row is of, and some twice.
    @Test func aFullBucketsUserWithoutRowsDoesNotShiftTheOthers() throws {
        let files = SimulatedFileSystem()
        var options = StoreOptions()
        options.usersPerBucketMax = 1
        let store = try openStore(files, testIdentity, options)
        _ = try store.put([request([event(Self.users[0], "a", 1)], sequence: 1)])
        var batch = EventBatchBuilder([event("x", "a", 2), event("y", "a", 3), event("y", "a", 4)]).finish()
        batch.users = StringTable([ByteString(Self.users[1]), "x", "y"])
        batch.user = [1, 2, 2]
        let results = try store.put([AppendRequest(project: 1, producer: 9, sequence: 2, part: 0, batch: batch)])
        #expect(try results[0].get() == AppendResult(accepted: 3))
        batch.users = StringTable(["y", "x", "y"])
        batch.user = [0, 1, 2]
        batch.time = [5, 6, 7]
        _ = try store.put([AppendRequest(project: 1, producer: 9, sequence: 3, part: 0, batch: batch)])
        let wanted = [event(Self.users[0], "a", 1), event("x", "a", 2), event("x", "a", 6)] + [3, 4, 5, 7].map { event("y", "a", $0) }
        #expect(try store.view(project: 1).histories() == StoreModel(rows: wanted).histories())
        store.close()
        let again = try openStore(files, testIdentity, options)
        #expect(try again.view(project: 1).histories() == StoreModel(rows: wanted).histories())
        try again.seal()
        #expect(try again.view(project: 1).histories() == StoreModel(rows: wanted).histories())
    }
}

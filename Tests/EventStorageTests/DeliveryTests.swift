import EventStorage
import FunnelModel
import Synchronization
import Testing

/// What is remembered of deliveries, for how long, and what is said when there is no room.
struct DeliveryTests {
    /// A clock that tests turn.
    private final class Clock: Sendable {
        let seconds = Mutex<UInt64>(1_000_000)
        func go(_ more: UInt64) { seconds.withLock { $0 += more } }
        var now: UInt64 { seconds.withLock { $0 } }
    }

    private static func options(_ clock: Clock, producers: Int = 100_000, usual: Int = 1 << 16, most: Int = 1 << 20) -> StoreOptions {
        var options = StoreOptions()
        options.now = { clock.now }
        (options.producersMax, options.deliveriesUsual, options.deliveriesMax) = (producers, usual, most)
        return options
    }

    private static func one(_ producer: UInt64, _ sequence: UInt64 = 1, project: UInt32 = 1, isShort: Bool = false) -> AppendRequest {
        var request = request([event("u", "a", 1)], sequence: sequence, producer: producer, project: project)
        request.isShort = isShort
        return request
    }

    private static func told(_ store: SimulatedStore, _ group: [AppendRequest]) throws -> [String] {
        try store.append(group).map {
            switch $0 {
            case .success(let result): result.repeated ? "repeated" : "stored"
            case .failure(let error): error.code.rawValue
            }
        }
    }

    @Test(arguments: [false, true])
    func noProjectMakesAnotherForget(reopened: Bool) throws {
        let clock = Clock()
        let disk = SimulatedFileSystem()
        var store = try openStore(disk, testIdentity, Self.options(clock))
        #expect(try Self.told(store, [Self.one(1)]) == ["stored"])
        _ = try store.append((0..<5_000).map { Self.one(UInt64($0), project: 2) })
        _ = try store.append((10..<5_000).map { Self.one(UInt64($0)) })
        clock.go(3_600)
        if reopened {
            try store.seal()
            _ = try store.append([Self.one(70_000)])
            store = try openStore(disk.copy(), testIdentity, Self.options(clock))
        }
        #expect(try Self.told(store, [Self.one(1), Self.one(10), Self.one(4_999, project: 2)]) == ["repeated", "repeated", "repeated"])
    }

    @Test func whatCannotBeKeptIsRefused() throws {
        let clock = Clock()
        let disk = SimulatedFileSystem()
        var store = try openStore(disk, testIdentity, Self.options(clock, usual: 4, most: 10))
        #expect(
            try Self.told(store, (1...12).map { Self.one(1, $0) }) == Array(repeating: "stored", count: 10) + ["overloaded", "overloaded"])
        #expect(try store.append([Self.one(1, 11)])[0].errorCode == .overloaded)
        for round in 0..<2 {
            // What is known is answered all the same, and other projects have room.
            #expect(try Self.told(store, [Self.one(1, 3), Self.one(1, 1, project: UInt32(2 + round))]) == ["repeated", "stored"])
            #expect(try Self.told(store, [Self.one(1, 11)]) == ["overloaded"])
            store = try openStore(disk.copy(), testIdentity, Self.options(clock, usual: 4, most: 10))
        }
        clock.go(3_601)
        #expect(try Self.told(store, [Self.one(1, 11)]) == ["stored"])
        // The oldest are forgotten, down to what is usual, and a repeat of them is refused rather than stored again.
        #expect(
            try Self.told(store, (1...11).map { Self.one(1, $0) })
                == Array(repeating: "sequenceExpired", count: 7) + Array(repeating: "repeated", count: 4))
        #expect(try store.view(project: 1).allEvents().count == 11)
    }

    @Test func producersHaveRoomOfTheirOwn() throws {
        let clock = Clock()
        let store = try openStore(SimulatedFileSystem(), testIdentity, Self.options(clock, producers: 3, usual: 100))
        #expect(try Self.told(store, (1...4).map { Self.one($0) }) == ["stored", "stored", "stored", "overloaded"])
        clock.go(1_800)
        #expect(try Self.told(store, [Self.one(1, 2), Self.one(2, 1)]) == ["stored", "repeated"])
        clock.go(1_801)
        // Producer 1 was here within the hour, 2 and 3 only repeated or were silent.
        #expect(try Self.told(store, [Self.one(4)]) == ["stored"])
        #expect(try Self.told(store, [Self.one(1, 1), Self.one(1, 2), Self.one(3)]) == ["sequenceExpired", "repeated", "repeated"])
    }

    @Test func whatIngestNumbersItselfIsSoonForgotten() throws {
        let clock = Clock()
        let disk = SimulatedFileSystem()
        let store = try openStore(disk, testIdentity, Self.options(clock, usual: 4, most: 10))
        for round in 0..<100 {
            #expect(try Self.told(store, [Self.one(9, UInt64(round), isShort: true)]) == ["stored"], "\(round)")
            #expect(try Self.told(store, [Self.one(9, UInt64(round), isShort: true)]) == ["repeated"], "\(round)")
            clock.go(10)
        }
        try store.seal()
        let small = try #require(disk.files["MANIFEST"]).count
        #expect(small < 300)
    }

    @Test func aClockThatGoesBackMakesNothingOlder() throws {
        let clock = Clock()
        let store = try openStore(SimulatedFileSystem(), testIdentity, Self.options(clock, usual: 1, most: 2))
        #expect(try Self.told(store, [Self.one(1), Self.one(2)]) == ["stored", "stored"])
        clock.seconds.withLock { $0 = 5 }
        #expect(try Self.told(store, [Self.one(1), Self.one(3)]) == ["repeated", "overloaded"])
    }

    // MARK: - Buckets

    /// A user of a bucket.
    private static func user(_ bucket: Int) -> ByteString {
        (0...).lazy.map { ByteString("u\($0)") }.first { ClusterMap.bucket(ofUser: $0) == bucket } ?? ""
    }

    /// Rows of a request of many: two of each bucket, an "a" and a "b", numbered 2 x bucket and one more.
    private static func frame(
        _ buckets: [Int], covering: Range<Int>? = nil, fingerprint: UInt32 = 1, refused: Set<Int> = [], part: UInt32 = 0
    ) -> AppendRequest {
        let rows = buckets.flatMap { [$0 * 2, $0 * 2 + 1] }
        let events = rows.filter { !refused.contains($0) }.map {
            Event(user: user($0 / 2), name: $0 % 2 == 0 ? "a" : "b", time: Int64($0), id: ByteString("\($0)"))
        }
        var covered = covering.map { BucketSet($0) } ?? BucketSet()
        for bucket in buckets { covered.insert(bucket) }
        return AppendRequest(
            project: 1, producer: 7, sequence: 1, part: part, fingerprint: fingerprint, buckets: covered,
            numbers: RowNumbers(rows.filter { !refused.contains($0) }),
            refused: rows.filter(refused.contains).map { .init(RejectedRow(row: $0, code: .timeAhead), bucket: $0 / 2) },
            batch: EventBatchBuilder(events).finish())
    }

    @Test(arguments: [false, true])
    func ofAFrameWithKnownBucketsTheOthersAreStored(reopened: Bool) throws {
        let disk = SimulatedFileSystem()
        var options = StoreOptions()
        options.eventNamesMax = 1
        var store = try openStore(disk, testIdentity, options)
        func tooMany(_ rows: Int...) -> [RejectedRow] { rows.map { RejectedRow(row: $0, code: .tooManyEventNames) } }
        #expect(try store.append([Self.frame([3, 9])])[0].get() == AppendResult(accepted: 2, rejected: tooMany(7, 19)))
        if reopened {
            try store.seal()
            store = try openStore(disk.copy(), testIdentity, options)
        }
        // Another shard's buckets came along, as after a change of the map.
        #expect(try store.append([Self.frame([2, 3, 5, 9])])[0].get() == AppendResult(accepted: 4, rejected: tooMany(5, 7, 11, 19)))
        #expect(try store.view(project: 1).allEvents().count == 4)
        #expect(try store.append([Self.frame([2, 9])])[0].get() == AppendResult(accepted: 2, rejected: tooMany(5, 19), repeated: true))
        // Within one group too.
        let twice = try store.append([Self.frame([9, 11]), Self.frame([11, 12])]).map { try $0.get() }
        #expect(twice == [AppendResult(accepted: 2, rejected: tooMany(19, 23)), AppendResult(accepted: 2, rejected: tooMany(23, 25))])
        #expect(try store.view(project: 1).allEvents().count == 6)
        // Another request under the same name, and rows that nobody numbers by bucket.
        #expect(try store.append([Self.frame([9], fingerprint: 2)])[0].errorCode == .sequenceReused)
        #expect(try store.append([Self.frame([600], fingerprint: 2)])[0].errorCode == .sequenceReused)
        #expect(try store.append([request([event("u", "a", 1)], sequence: 1, producer: 7)])[0].errorCode == .sequenceExpired)
        // Another slice is another delivery.
        #expect(try store.append([Self.frame([9], part: 1 << 16)])[0].get().repeated == false)
        var wrong = Self.frame([3])
        wrong.numbers = RowNumbers([6])
        #expect(try store.append([wrong])[0].errorCode == .invalid)
    }

    @Test func aBucketWithoutRowsIsKnownToo() throws {
        let store = try openStore(SimulatedFileSystem())
        #expect(try store.append([Self.frame([3], covering: 0..<512)])[0].get().accepted == 2)
        #expect(try store.append([Self.frame([3, 4], covering: 0..<512)])[0].get().repeated)
        #expect(try store.view(project: 1).allEvents().count == 2)
        #expect(try store.append([Self.frame([3, 700])])[0].get() == AppendResult(accepted: 4))
    }

    /// Rows that ingest refuses because of its clock: the first answer holds, whatever the clock says later.
    @Test(arguments: [false, true])
    func aRepeatIsToldTheFirstAnswerWhateverTheClockSays(reopened: Bool) throws {
        let disk = SimulatedFileSystem()
        var store = try openStore(disk)
        let first = AppendResult(accepted: 3, rejected: [RejectedRow(row: 7, code: .timeAhead)])
        #expect(try store.append([Self.frame([3, 9], refused: [7])])[0].get() == first)
        if reopened {
            try store.seal()
            store = try openStore(disk.copy())
        }
        var again = first
        again.repeated = true
        for refused in [[], [7], [6, 7], [18]] as [Set<Int>] {
            #expect(try store.append([Self.frame([3, 9], refused: refused)])[0].get() == again, "\(refused)")
        }
        #expect(
            try store.append([Self.frame([3], refused: [6])])[0].get()
                == AppendResult(accepted: 1, rejected: first.rejected, repeated: true))
        #expect(try store.view(project: 1).allEvents().count == 3)
        // Nothing but refused rows.
        #expect(try store.append([Self.frame([5], refused: [10, 11])])[0].get().accepted == 0)
        #expect(
            try store.append([Self.frame([5])])[0].get()
                == AppendResult(
                    accepted: 0, rejected: [10, 11].map { RejectedRow(row: $0, code: .timeAhead) }, repeated: true))
    }

    /// What release 0.1 cut for a shard, under the client's part and a number above it.
    @Test func whatWasCutInAnotherWayIsNotStoredAgain() throws {
        let store = try openStore(SimulatedFileSystem())
        _ = try store.append([request([event("u", "a", 1)], sequence: 1, part: 2, producer: 7)])
        #expect(try store.append([Self.frame([3], part: 2)])[0].errorCode == .sequenceExpired)
        #expect(try store.append([Self.frame([3], part: 2 | 1 << 16)])[0].errorCode == .sequenceExpired)
        #expect(try store.append([Self.frame([3], part: 3 | 1 << 16)])[0].get().accepted == 2)
        // The same rows are known by how they were sent then.
        _ = try store.append([AppendRequest(project: 1, producer: 7, sequence: 1, part: 9, fingerprint: 77, batch: Self.frame([4]).batch)])
        var same = Self.frame([4], part: 9)
        same.fingerprintOfWhole = { 77 }
        #expect(try store.append([same])[0].get() == AppendResult(accepted: 2, repeated: true))
        same.fingerprintOfWhole = { 78 }
        #expect(try store.append([same])[0].errorCode == .sequenceExpired)
        // Such an ingest may still be at work.
        #expect(try store.append([request([event("u", "a", 1)], sequence: 1, part: 2 | 1 << 16, producer: 7)])[0].get().accepted == 1)
        #expect(try store.append([request([event("u", "a", 1)], sequence: 1, part: 2, producer: 7)])[0].get().repeated)
    }

    /// Frames of random buckets, in random company, against a plain set.
    @Test(arguments: 0..<10)
    func whateverTheMapEachBucketIsStoredOnce(seed: UInt64) throws {
        var random = SeededGenerator(seed)
        var disk = SimulatedFileSystem()
        var store = try openStore(disk)
        var known: Set<Int> = []
        var refusedFirst: Set<Int> = []
        let users = Array(0..<20)
        for step in 0..<60 {
            let buckets = users.filter { _ in Int.random(in: 0..<4, using: &random) == 0 }
            let refused = Set(buckets.flatMap { [$0 * 2, $0 * 2 + 1] }.filter { _ in Int.random(in: 0..<5, using: &random) == 0 })
            let fresh = buckets.filter { !known.contains($0) }
            for bucket in fresh { refusedFirst.formUnion(refused.intersection([bucket * 2, bucket * 2 + 1])) }
            known.formUnion(fresh)
            let result = try store.append([Self.frame(buckets, refused: refused)])[0].get()
            let rows = Set(buckets.flatMap { [$0 * 2, $0 * 2 + 1] })
            #expect(result.rejected.map(\.row) == rows.intersection(refusedFirst).sorted(), "step \(step)")
            #expect(result.accepted == rows.count - result.rejected.count && result.repeated == fresh.isEmpty, "step \(step)")
            if Int.random(in: 0..<10, using: &random) == 0 {
                if Bool.random(using: &random) { try store.seal() }
                disk = disk.copy()
                store = try openStore(disk)
            }
        }
        #expect(try store.view(project: 1).allEvents().count == known.count * 2 - refusedFirst.count)
    }

    /// Against a memory that forgets nothing.
    @Test(arguments: 0..<20)
    func randomDeliveriesAreStoredOnceAndKnownForAnHour(seed: UInt64) throws {
        struct Known {
            var time: UInt64
            var fingerprint: UInt32
            var result: AppendResult
        }
        struct Key: Hashable {
            var project: UInt32
            var producer: UInt64
            var sequence: UInt64
            var part: UInt32
        }
        var random = SeededGenerator(seed)
        let clock = Clock()
        var options = Self.options(clock, producers: 5, usual: 8, most: 30)
        options.eventNamesMax = 3
        var disk = SimulatedFileSystem()
        var store = try openStore(disk, testIdentity, options)
        var all: [Key: Known] = [:]
        var stored = 0
        for step in 0..<600 {
            if Int.random(in: 0..<4, using: &random) == 0 { clock.go(.random(in: 0...1_500, using: &random)) }
            if Int.random(in: 0..<60, using: &random) == 0 { try store.seal() }
            if Int.random(in: 0..<60, using: &random) == 0 {
                if Bool.random(using: &random) { store.close() }
                disk = disk.copy()
                store = try openStore(disk, testIdentity, options)
                continue
            }
            let key = Key(
                project: .random(in: 1...2, using: &random), producer: .random(in: 1...7, using: &random),
                sequence: .random(in: 1...12, using: &random), part: .random(in: 0...1, using: &random))
            let fingerprint = UInt32(Int.random(in: 0..<10, using: &random) == 0 ? 2 : 1)
            let events = (0..<2).map { event("u", "n\(($0 + Int(key.sequence)) % 5)", Int64(step)) }
            let result = try store.append([
                request(
                    events, sequence: key.sequence, part: key.part, producer: key.producer, project: key.project, fingerprint: fingerprint)
            ])[0]
            let known = all[key]
            let isPromised = known.map { clock.now - $0.time <= 3_600 } ?? false
            switch result {
            case .success(let result) where result.repeated:
                var first = try #require(known, "step \(step)").result
                first.repeated = true
                #expect(result == first && known?.fingerprint == fingerprint, "step \(step)")
            case .success(let result):
                #expect(!isPromised, "step \(step): stored again")
                all[key] = Known(time: clock.now, fingerprint: fingerprint, result: result)
                stored += result.accepted
            case .failure(let error):
                switch error.code {
                case .sequenceReused: #expect(known != nil && known?.fingerprint != fingerprint, "step \(step)")
                case .sequenceExpired: #expect(!isPromised, "step \(step)")
                case .overloaded:
                    #expect(known == nil || !isPromised, "step \(step)")
                    let promised = all.filter { $0.key.project == key.project && clock.now - $0.value.time <= 3_600 }
                    let weight = promised.reduce(0) { $0 + 1 + $1.value.result.rejected.count }
                    #expect(weight >= 30 || Set(promised.map(\.key.producer)).count >= 5, "step \(step): \(weight)")
                default: Issue.record("step \(step): \(error)")
                }
            }
        }
        let found = try store.view(project: 1).allEvents().count + store.view(project: 2).allEvents().count
        #expect(found == stored)
    }
}

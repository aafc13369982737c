import FunnelModel
import FunnelProtocol
import IngestService
import TestSupport
import Testing

/// How rows of a request are split over shards, and how the outcomes of shards become one.
@Suite(.timeLimit(.minutes(2)))
struct ShardRouterTests {
    /// Rows of a request of which some events were rejected before, so that indexes are not those of the batch.
    private static func rows(_ random: inout SplitMix64, _ count: Int, users: Int = 500) -> ShardRouter.Rows {
        var index: [Int] = []
        var next = 0
        let events = (0..<count).map { row -> Event in
            next += random.chance(20) ? 1 + random.below(3) : 0
            defer { next += 1 }
            index.append(next)
            return Event(
                user: ByteString("user \(random.below(users))"), name: ByteString("name \(random.below(5))"),
                time: Int64(1_700_000_000 + row), id: ByteString("id \(next)"),
                properties: random.chance(50) ? [] : [.init("key", .integer(Int64(row)))])
        }
        return .init(batch: EventBatchBuilder(events).finish(), index: index)
    }

    private static let delivery = ShardRouter.Delivery(
        of: Append(producer: 5, sequence: 9, part: 3, batch: EventBatch()), fingerprint: 0xABCD, project: 1)

    private static func append(
        _ shards: FakeShards, _ rows: ShardRouter.Rows, _ delivery: ShardRouter.Delivery? = nil, project: UInt32 = 1
    ) async throws -> AppendOutcome {
        try await shards.router.append(rows, delivery: delivery, sender: Sender(project: project), request: 1)
    }

    /// The index in the request of each row of an append that a shard got.
    private static func indexes(_ append: ShardAppend) -> [Int] {
        append.batch.events.map { Int($0.id.string.dropFirst("id ".count)) ?? -1 }
    }

    /// The rows of some shards, by their index in the request.
    private static func indexes(_ rows: ShardRouter.Rows, of shards: Set<Int>, in map: ClusterMap) -> [Int] {
        rows.batch.events.indices.filter { shards.contains(map.owner(ofBucket: ClusterMap.bucket(ofUser: rows.batch.event($0).user))) }
            .map { rows.index[$0] }
    }

    // MARK: The split

    @Test(arguments: [1, 2, 3, 7], [false, true])
    func everyRowReachesItsShardAndNoOther(count: Int, isNumbered: Bool) async throws {
        try await FakeShards.with(count) { shards in
            var random = SplitMix64(seed: UInt64(count))
            for size in [1, 3, 40, 1_000, 5_000] {
                let before = shards.sent.count
                let rows = Self.rows(&random, size)
                let outcome = try await Self.append(shards, rows, isNumbered ? Self.delivery : nil)
                #expect(outcome == AppendOutcome(accepted: size), "\(size) rows")
                let sent = shards.sent[before...]
                #expect(Set(sent.map(\.shard)).count == sent.count, "a shard got two appends of \(size) rows")
                var found: [Int: Event] = [:]
                for one in sent {
                    let own = BucketSet(ClusterMap.buckets(ofShard: one.shard, of: count))
                    #expect(one.append.buckets == own && one.project == 1)
                    #expect(one.append.batch.events.allSatisfy { own.contains(ClusterMap.bucket(ofUser: $0.user)) })
                    let indexes = Self.indexes(one.append)
                    #expect(indexes == indexes.sorted(), "shard \(one.shard) has the rows in another order")
                    for (index, event) in zip(indexes, one.append.batch.events) {
                        #expect(found.updateValue(event, forKey: index) == nil, "row \(index) was sent twice")
                    }
                    #expect(one.append.numbers == (isNumbered ? RowNumbers(indexes) : nil))
                }
                #expect(found == Dictionary(uniqueKeysWithValues: zip(rows.index, rows.batch.events)), "\(size) rows")
                #expect(shards.router.inFlightBytes == 0)
            }
        }
    }

    @Test func theSendersNumberGoesToEveryShardAsItIs() async throws {
        try await FakeShards.with(3) { shards in
            var random = SplitMix64(seed: 4)
            for project in 1...2 as ClosedRange<UInt32> {
                let delivery = ShardRouter.Delivery(
                    of: Append(producer: 5, sequence: 9, part: 3, batch: EventBatch()), fingerprint: 0xABCD, project: project)
                _ = try await Self.append(shards, Self.rows(&random, 200), delivery, project: project)
            }
            #expect(shards.sent.count == 6)
            for one in shards.sent {
                #expect(one.append.sequence == 9 && one.append.part == 3 && one.append.fingerprint == 0xABCD && !one.append.isShort)
            }
            // One producer for all shards, and another one for another project.
            let producers = Dictionary(grouping: shards.sent, by: \.project).mapValues { Set($0.map(\.append.producer)) }
            #expect(producers[1]?.count == 1 && producers[2]?.count == 1 && producers[1] != producers[2])
        }
    }

    @Test func rowsAheadOfTheClockGoAsRefusedOnes() async throws {
        try await FakeShards.with(2) { shards in
            var random = SplitMix64(seed: 5)
            var rows = Self.rows(&random, 300)
            rows.ahead = Set((0..<300).filter { _ in random.chance(30) })
            _ = try await Self.append(shards, rows, Self.delivery)
            let events = rows.batch.events
            let stored = shards.sent.flatMap { Self.indexes($0.append) }.sorted()
            #expect(stored == (0..<300).filter { !rows.ahead.contains($0) }.map { rows.index[$0] })
            let refused = shards.sent.flatMap { one in one.append.refused.map { (one.shard, $0) } }
            #expect(refused.map(\.1.row).sorted() == rows.ahead.sorted().map { rows.index[$0] })
            for (shard, row) in refused {
                let event = events[rows.index.firstIndex(of: row.row) ?? 0]
                #expect(row.bucket == ClusterMap.bucket(ofUser: event.user) && shards.map.owner(ofBucket: row.bucket) == shard)
            }
        }
    }

    // MARK: Numbers of our own

    @Test func aProducerNumberIsRetiredAfterAFixedNumberOfDeliveries() async throws {
        try await FakeShards.with(8) { shards in
            var random = SplitMix64(seed: 6)
            for _ in 0..<290 { _ = try await Self.append(shards, Self.rows(&random, 60)) }
            let appends = shards.sent.map(\.append)
            #expect((2_049..<4_096).contains(appends.count), "\(appends.count) deliveries")
            #expect(appends.allSatisfy { $0.isShort && $0.part == 0 && $0.numbers == nil })
            #expect(Set(appends.map(\.sequence)) == Set(1...UInt64(appends.count)), "a sequence was used twice or left out")
            let byProducer = Dictionary(grouping: appends, by: \.producer).values.map(\.count).sorted()
            #expect(byProducer == [appends.count - 2_048, 2_048])
        }
    }

    @Test(arguments: [false, true])
    func aRetryKeepsItsNumber(isNumbered: Bool) async throws {
        let failures = Shared(2)
        try await FakeShards.with(1) { sent in
            let left = failures.change { left in
                left -= 1
                return left
            }
            if left >= 0 { throw ProtocolError(left == 1 ? .overloaded : .storageFailed, "not now") }
            return AppendOutcome(accepted: sent.append.batch.count)
        } _: { shards in
            var random = SplitMix64(seed: 7)
            let outcome = try await Self.append(shards, Self.rows(&random, 20), isNumbered ? Self.delivery : nil)
            #expect(outcome == AppendOutcome(accepted: 20))
            let sent = shards.sent.map(\.append)
            #expect(sent.count == 3 && sent[1] == sent[0] && sent[2] == sent[0])
        }
    }

    @Test(arguments: [
        (ProtocolError.Code.overloaded, 3), (.storageFailed, 3), (.storageFull, 1), (.invalidMessage, 1), (.wrongBucket, 1), (.tooLarge, 1),
    ])
    func rowsAreHandedBackAfterTheLastRetry(code: ProtocolError.Code, sends: Int) async throws {
        try await FakeShards.with(1) { _ in
            throw ProtocolError(code, "no")
        } _: { shards in
            var random = SplitMix64(seed: 8)
            let rows = Self.rows(&random, 20)
            let outcome = try await Self.append(shards, rows)
            #expect(outcome == AppendOutcome(accepted: 0, retry: rows.index, shards: ["shard-0"]))
            #expect(shards.sent.count == sends && shards.router.inFlightBytes == 0)
        }
    }

    // MARK: Partial outcomes

    @Test(arguments: [[0], [1], [0, 2]] as [Set<Int>], [false, true])
    func aShardThatRefusesCostsItsOwnRowsAlone(failing: Set<Int>, isNumbered: Bool) async throws {
        try await FakeShards.with(3) { sent in
            if failing.contains(sent.shard) { throw ProtocolError(.storageFull, "the disk is full") }
            return AppendOutcome(accepted: sent.append.batch.count)
        } _: { shards in
            var random = SplitMix64(seed: 9)
            for size in [50, 2_000] {
                let rows = Self.rows(&random, size)
                let lost = Self.indexes(rows, of: failing, in: shards.map)
                #expect(!lost.isEmpty && lost.count < size)
                let outcome = try await Self.append(shards, rows, isNumbered ? Self.delivery : nil)
                #expect(outcome.accepted == size - lost.count && outcome.rejected.isEmpty && !outcome.repeated)
                #expect(outcome.retry == lost)
                #expect(outcome.shards == failing.sorted().map { "shard-\($0)" })
                #expect(shards.router.inFlightBytes == 0)
            }
        }
    }

    /// A shard reports a rejected row by its number in the request if it has the numbers, else by its index in the append.
    @Test(arguments: [false, true])
    func rejectedRowsAreNumberedAsInTheRequest(isNumbered: Bool) async throws {
        try await FakeShards.with(3) { sent in
            let places = (0..<sent.append.batch.count).filter { $0 % 5 == 2 }
            return AppendOutcome(
                accepted: sent.append.batch.count - places.count,
                rejected: places.map { .init(row: sent.append.numbers?[$0] ?? $0, reason: "no: \(sent.append.batch.event($0).id.string)") })
        } _: { shards in
            var random = SplitMix64(seed: 10)
            let rows = Self.rows(&random, 700)
            let outcome = try await Self.append(shards, rows, isNumbered ? Self.delivery : nil)
            #expect(outcome.rejected.count > 100 && outcome.accepted == 700 - outcome.rejected.count)
            #expect(outcome.rejected.map(\.row) == outcome.rejected.map(\.row).sorted())
            #expect(outcome.rejected.allSatisfy { $0.reason == "no: id \($0.row)" })
        }
    }

    @Test func aRequestIsARepeatWhereAllOfItIsOne() async throws {
        let repeating = Shared(Set([0, 1, 2]))
        try await FakeShards.with(3) { sent in
            AppendOutcome(accepted: sent.append.batch.count, repeated: repeating.value.contains(sent.shard))
        } _: { shards in
            var random = SplitMix64(seed: 11)
            let rows = Self.rows(&random, 100)
            let outcome = try await Self.append(shards, rows, Self.delivery)
            #expect(outcome == AppendOutcome(accepted: 100, repeated: true))
            repeating.change { $0 = [0, 2] }
            let mixed = try await Self.append(shards, rows, Self.delivery)
            #expect(mixed == AppendOutcome(accepted: 100, repeated: false))
        }
    }

    @Test(arguments: [ProtocolError.Code.sequenceReused, .sequenceExpired])
    func aFaultOfTheSendersNumberIsAnErrorOfTheRequest(code: ProtocolError.Code) async throws {
        try await FakeShards.with(3) { sent in
            if sent.shard == 1 { throw ProtocolError(code, "use a new sequence") }
            return AppendOutcome(accepted: sent.append.batch.count)
        } _: { shards in
            var random = SplitMix64(seed: 12)
            let rows = Self.rows(&random, 100)
            let error = await #expect(throws: ProtocolError.self) { try await Self.append(shards, rows, Self.delivery) }
            #expect(error?.code == code)
            #expect(shards.sent.count == 3 && shards.router.inFlightBytes == 0)
        }
    }

    // MARK: Slices

    /// Rows of more than one slice, which is 8 MiB, of two users on different shards.
    private static func large() -> ShardRouter.Rows {
        let users = [0, 1].map { shard in
            (0...).lazy.map { ByteString("user \($0)") }.first { ClusterMap.bucket(ofUser: $0) / 512 == shard } ?? ""
        }
        let text = PropertyValue.string(ByteString([UInt8](repeating: 120, count: 8_000)))
        let events = (0..<2_600).map { row in
            Event(user: users[row % 2], name: "e", time: 1_700_000_000, id: ByteString("id \(row)"), properties: [.init("text", text)])
        }
        return .init(batch: EventBatchBuilder(events).finish(), index: Array(0..<2_600))
    }

    @Test func slicesGoOneAfterTheOtherAndHaveNumbersOfTheirOwn() async throws {
        try await FakeShards.with(2) { shards in
            let outcome = try await Self.append(shards, Self.large(), Self.delivery)
            #expect(outcome == AppendOutcome(accepted: 2_600))
            for shard in 0...1 {
                let own = shards.sent.filter { $0.shard == shard }.map(\.append)
                #expect(own.map(\.part) == [3, 3 | 1 << 16, 3 | 2 << 16])
                #expect(own.flatMap { Self.indexes($0) } == (0..<2_600).filter { $0 % 2 == shard })
            }
        }
    }

    @Test func afterASliceThatFailsTheRestIsHandedBack() async throws {
        try await FakeShards.with(2) { sent in
            if sent.shard == 1, sent.append.part >> 16 == 1 { throw ProtocolError(.storageFull, "the disk is full") }
            return AppendOutcome(accepted: sent.append.batch.count)
        } _: { shards in
            let outcome = try await Self.append(shards, Self.large(), Self.delivery)
            let sent = shards.sent.filter { $0.shard == 1 }.map(\.append)
            #expect(sent.map(\.part) == [3, 3 | 1 << 16])
            let lost = (0..<2_600).filter { $0 % 2 == 1 && $0 > (Self.indexes(sent[0]).last ?? 0) }
            #expect(outcome == AppendOutcome(accepted: 2_600 - lost.count, retry: lost, shards: ["shard-1"]))
        }
    }

    @Test func allSlicesOfAShardHaveOneDeadline() async throws {
        let time = ManualTime()
        try await FakeShards.with(2, time: time) { sent in
            if sent.shard == 0, sent.append.part >> 16 == 0 { time.pass(.seconds(21)) }
            return AppendOutcome(accepted: sent.append.batch.count)
        } _: { shards in
            let outcome = try await Self.append(shards, Self.large(), Self.delivery)
            let sent = shards.sent.filter { $0.shard == 0 }
            #expect(sent.count == 1 && outcome.shards.contains("shard-0"))
            #expect(outcome.retry.filter { $0 % 2 == 0 }.count == 1_300 - (sent.first?.append.batch.count ?? 0))
        }
    }

    // MARK: Before anything is sent

    @Test func withoutAMapOrShardsNothingIsStored() async throws {
        var random = SplitMix64(seed: 13)
        let rows = Self.rows(&random, 3)
        let router = FakeShards.router()
        for _ in 0..<2 {
            let error = await #expect(throws: ProtocolError.self) {
                try await router.append(rows, delivery: nil, sender: Sender(project: 1), request: 1)
            }
            #expect(error?.code == .notReady && error?.message.contains("nothing was stored") == true)
            let gathered = Shared<AppendGatherer.Result?>(nil)
            let isTaken = router.gather(rows, sender: Sender(project: 1)) { result in gathered.change { $0 = result } }
            #expect(isTaken)
            #expect { try gathered.value?.get() } throws: { ($0 as? ProtocolError)?.code == .notReady }
            await router.use(ClusterMap(clusterID: 7, epoch: 1, shards: []))
        }
        await router.shutdown()
    }

    @Test func rowsOfAShardThatTakesNoneAreHandedBackUnsent() async throws {
        let problems = Shared([1: "its disk is full"])
        try await FakeShards.with(2, problems: problems) { shards in
            var random = SplitMix64(seed: 14)
            let rows = Self.rows(&random, 100)
            let lost = Self.indexes(rows, of: [1], in: shards.map)
            // Until the router has asked the shards how they are, it sends to all.
            try await eventually { try await Self.append(shards, rows).retry == lost }
            let before = shards.sent.count
            let outcome = try await Self.append(shards, rows)
            #expect(outcome == AppendOutcome(accepted: 100 - lost.count, retry: lost, shards: ["shard-1"]))
            #expect(shards.sent.dropFirst(before).map(\.shard) == [0])
            problems.change { $0[0] = "its disk is full" }
            var refused: ProtocolError?
            try await eventually {
                do { _ = try await Self.append(shards, rows) } catch { refused = error as? ProtocolError }
                return refused != nil
            }
            #expect(refused?.code == .unreachable && refused?.shards == ["shard-0", "shard-1"])
            #expect(refused?.message.contains("its disk is full") == true && refused?.message.contains("nothing was stored") == true)
            #expect(refused?.retryAfterMilliseconds == 1_000 && shards.router.inFlightBytes == 0)
        }
    }

    @Test func aShardThatNobodyAnswersForHandsItsRowsBack() async throws {
        try await FakeShards.with(1) { shards in
            var map = shards.map
            // A port that nobody listens on.
            map.shards.append(.init(id: 1, host: "127.0.0.1", port: 1))
            await shards.router.use(map)
            var random = SplitMix64(seed: 15)
            let rows = Self.rows(&random, 100)
            let lost = Self.indexes(rows, of: [1], in: map)
            let outcome = try await Self.append(shards, rows)
            #expect(outcome == AppendOutcome(accepted: 100 - lost.count, retry: lost, shards: ["shard-1"]))
        }
    }

    @Test func linksStayWhereTheAddressDoes() async throws {
        try await FakeShards.with(3) { shards in
            let before = shards.router.shards
            var map = shards.map
            await shards.router.use(map)
            #expect(zip(shards.router.shards, before).allSatisfy { $0 === $1 })
            map.epoch = 2
            map.shards[1].host = "localhost"
            await shards.router.use(map)
            let after = shards.router.shards
            #expect(after[0] === before[0] && after[1] !== before[1] && after[2] === before[2])
            #expect(after.map(\.name) == ["shard-0", "shard-1", "shard-2"])
        }
    }
}

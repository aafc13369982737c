import FunnelModel
import TestSupport
import Testing

struct SplitTests {
    private static func batch(_ random: inout SplitMix64, rows: Int) -> EventBatch {
        EventBatchBuilder(
            (0..<rows).map { row -> Event in
                let properties = (0..<random.below(4)).map { _ in
                    Event.Property(
                        ByteString("key \(random.below(6))"),
                        random.chance(50)
                            ? .string(ByteString([UInt8](repeating: 65, count: random.below(40)))) : .integer(Int64(random.below(9))))
                }
                return Event(
                    user: ByteString("user \(random.below(rows))"), name: ByteString("name \(random.below(5))"),
                    time: Int64(row), id: random.chance(50) ? "" : ByteString("id \(row)"), serverTimed: random.chance(10),
                    properties: properties)
            }
        ).finish()
    }

    private static func map(_ shards: Int) -> ClusterMap {
        ClusterMap(clusterID: 1, epoch: 1, shards: (0..<shards).map { .init(id: $0, host: "h", port: 1) })
    }

    private static func size(_ event: Event) -> Int {
        event.properties.reduce(16 + event.user.count + event.name.count + event.id.count) {
            guard case .string(let text) = $1.value else { return $0 + 10 + $1.key.count }
            return $0 + 10 + $1.key.count + text.count
        }
    }

    /// Slices closed as a plain loop closes them.
    private static func slices(_ batch: EventBatch, _ sliceBytes: Int) -> [Range<Int>] {
        var slices: [Range<Int>] = []
        var size = 0
        for (row, event) in batch.events.enumerated() {
            if slices.isEmpty || (size > 0 && size + Self.size(event) > sliceBytes) {
                slices.append(row..<row)
                size = 0
            }
            slices[slices.count - 1] = slices[slices.count - 1].lowerBound..<(row + 1)
            size += Self.size(event)
        }
        return slices
    }

    @Test(arguments: [1, 2, 3, 7, 256])
    func everyRowGoesToItsUsersOwnerInOrder(shards: Int) {
        var random = SplitMix64(seed: UInt64(shards))
        let map = Self.map(shards)
        for (rows, sliceBytes) in [(0, 100), (1, 1), (40, 1), (200, 300), (400, 4_000), (400, 1 << 20)] {
            let batch = Self.batch(&random, rows: rows)
            let split = batch.split(over: map, sliceBytes: sliceBytes)
            // Not of the map, so that a repeat is cut alike whoever owns the buckets by then.
            #expect(split.map(\.rows) == Self.slices(batch, sliceBytes))
            let events = batch.events
            for slice in split {
                let owners = Dictionary(grouping: slice.rows) { row in
                    map.shards.indices.first {
                        ClusterMap.buckets(ofShard: $0, of: shards).contains(ClusterMap.bucket(ofUser: events[row].user))
                    } ?? -1
                }
                #expect(slice.shards.map(\.shard) == owners.keys.sorted())
                for part in slice.shards {
                    #expect(part.rows == owners[part.shard])
                    #expect(part.bytes == part.rows.reduce(0) { $0 + Self.size(events[$1]) })
                }
            }
        }
    }

    /// Slices as those of another batch, of which some rows are left.
    @Test func slicesCanBeginWhereTheCallerSays() {
        var random = SplitMix64(seed: 21)
        let batch = Self.batch(&random, rows: 200)
        let map = Self.map(3)
        let own = batch.split(over: map, sliceBytes: 300)
        #expect(batch.sliceStarts(sliceBytes: 300) == own.map(\.rows.lowerBound))
        #expect(batch.split(over: map, sliceBytes: 1, starts: batch.sliceStarts(sliceBytes: 300)) == own)
        let some = batch.split(over: map, sliceBytes: 1, starts: [0, 0, 50, 200])
        #expect(some.map(\.rows) == [0..<0, 0..<50, 50..<200, 200..<200])
        #expect(some.map(\.shards.isEmpty) == [true, false, false, true])
        let one = batch.gather((0..<200).filter { batch.user[$0] == batch.user[0] })
        #expect(one.split(over: map, sliceBytes: 1, starts: [0]).map(\.rows) == [0..<one.count])
        #expect(one.split(over: map, sliceBytes: 1 << 20, starts: [0, 0]).map(\.rows) == [0..<0, 0..<one.count])
    }

    @Test func joinedBatchesAreTheSameEvents() {
        var random = SplitMix64(seed: 8)
        for _ in 0..<40 {
            let batches = (0..<random.below(5)).map { _ in Self.batch(&random, rows: random.below(20)) }
            let joined = EventBatch.joined(batches)
            #expect(joined.events == batches.flatMap(\.events))
            #expect(joined == EventBatchBuilder(joined.events).finish() || batches.count == 1)
            var appended = batches.first ?? EventBatch()
            for few in batches.dropFirst() { appended.append(few: few) }
            #expect(appended == joined)
        }
    }

    @Test func runsOfRowsAndBucketsReadBack() throws {
        var random = SplitMix64(seed: 9)
        for _ in 0..<200 {
            let numbers = (0..<300).filter { _ in random.chance(random.below(2) == 0 ? 90 : 20) }
            let rows = RowNumbers(numbers)
            #expect(rows.count == numbers.count && numbers.indices.allSatisfy { rows[$0] == numbers[$0] })
            #expect((0..<310).allSatisfy { rows.contains($0) == numbers.contains($0) })
            var out = ByteWriter()
            rows.encode(&out)
            var buckets = BucketSet()
            for number in numbers { buckets.insert(number * 3) }
            buckets.encode(&out)
            var reader = ByteReader(out.bytes)
            #expect(try RowNumbers(&reader) == rows && BucketSet(&reader) == buckets)
            try reader.finish("both")
            #expect((0..<1_024).allSatisfy { buckets.contains($0) == ($0 % 3 == 0 && numbers.contains($0 / 3)) })
            #expect(buckets.ranges.flatMap { Array($0) } == numbers.map { $0 * 3 })
        }
        #expect(BucketSet(0..<9).subtracting(BucketSet(3..<5)).ranges == [0..<3, 5..<9])
        for bytes in [[1, 0, 0], [1, 0, 0x81, 0x08], [2, 0, 1, 0, 2], [2, 0, 1, 0x80], [255]] as [[UInt8]] {
            var reader = ByteReader(bytes)
            #expect(throws: ByteError.self) { try BucketSet(&reader) }
        }
        for bytes in [[1, 0, 0], [1, 0xFF, 0xFF, 0xFF, 0x01, 1], [3, 0, 1]] as [[UInt8]] {
            var reader = ByteReader(bytes)
            #expect(throws: ByteError.self) { try RowNumbers(&reader) }
        }
    }

    @Test func aMapWithoutShardsTakesNothing() {
        var random = SplitMix64(seed: 2)
        #expect(Self.batch(&random, rows: 5).split(over: Self.map(0), sliceBytes: 100).isEmpty)
    }

    @Test func ownersAreThoseOfTheRanges() {
        for shards in 1...256 {
            let map = Self.map(shards)
            for shard in 0..<shards {
                for bucket in ClusterMap.buckets(ofShard: shard, of: shards) { #expect(map.owner(ofBucket: bucket) == shard) }
            }
        }
    }

    @Test func gatheredRowsAreTheSameEvents() {
        var random = SplitMix64(seed: 3)
        for _ in 0..<40 {
            let batch = Self.batch(&random, rows: 60)
            let rows = (0..<60).filter { _ in random.chance(40) }
            let gathered = batch.gather(rows)
            #expect(gathered.events == rows.map(batch.event))
            // Rebuilt from its events a batch has the same dictionaries: none holds a string that no row uses.
            #expect(gathered == EventBatchBuilder(gathered.events).finish())
        }
        #expect(Self.batch(&random, rows: 3).gather([]) == EventBatch())
    }

    @Test func columnsThatWereNotReadStayEmpty() {
        var random = SplitMix64(seed: 4)
        var bare = Self.batch(&random, rows: 20)
        bare.ids = StringTable()
        bare.keys = StringTable()
        bare.strings = StringTable()
        (bare.propertyStart, bare.propertyKey, bare.propertyTag, bare.propertyBits) = ([0], [], [], [])
        let gathered = bare.gather([3, 5])
        #expect(gathered.events == [bare.event(3), bare.event(5)] && gathered.ids.count == 0)
        #expect(bare.split(over: Self.map(2), sliceBytes: 1 << 20)[0].shards.reduce(0) { $0 + $1.rows.count } == 20)
    }

    @Test func tablesGatherLongAndShortStrings() {
        var random = SplitMix64(seed: 5)
        let strings = (0..<50).map { _ in ByteString((0..<random.below(40)).map { _ in UInt8(random.below(256)) }) }
        let table = StringTable(strings)
        for _ in 0..<200 {
            let picks = (0..<random.below(60)).map { _ in random.below(50) }
            #expect(table.gather(picks) == StringTable(picks.map { strings[$0] }))
        }
    }
}

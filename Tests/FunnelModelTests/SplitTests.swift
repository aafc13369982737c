import FunnelModel
import FunnelTestSupport
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

    /// Shards in order, each row at its user's owner, parts closed as a plain loop closes them.
    private static func expected(_ batch: EventBatch, _ map: ClusterMap, _ partBytes: Int) -> [[[Int]]?] {
        map.shards.indices.map { shard in
            let buckets = ClusterMap.buckets(ofShard: shard, of: map.shards.count)
            var parts: [[Int]] = []
            var size = 0
            for (row, event) in batch.events.enumerated() where buckets.contains(XXH64.bucket(ofUser: event.user)) {
                if parts.isEmpty || (size > 0 && size + Self.size(event) > partBytes) {
                    parts.append([])
                    size = 0
                }
                parts[parts.count - 1].append(row)
                size += Self.size(event)
            }
            return parts.isEmpty ? nil : parts
        }
    }

    @Test(arguments: [1, 2, 3, 7, 256])
    func everyRowGoesToItsUsersOwnerInOrder(shards: Int) {
        var random = SplitMix64(seed: UInt64(shards))
        let map = Self.map(shards)
        for (rows, partBytes) in [(0, 100), (1, 1), (40, 1), (200, 300), (400, 4_000), (400, 1 << 20)] {
            let batch = Self.batch(&random, rows: rows)
            let split = batch.split(over: map, partBytes: partBytes)
            let expected = Self.expected(batch, map, partBytes)
            #expect(split.map(\.shard) == expected.indices.filter { expected[$0] != nil })
            #expect(split.map { $0.parts.map(\.rows) } == expected.compactMap { $0 })
            let events = batch.events
            for rows in split {
                #expect(rows.parts.allSatisfy { $0.bytes == $0.rows.reduce(0) { $0 + Self.size(events[$1]) } })
                #expect(rows.bytes == rows.parts.reduce(0) { $0 + $1.bytes })
            }
        }
    }

    @Test func aMapWithoutShardsTakesNothing() {
        var random = SplitMix64(seed: 2)
        #expect(Self.batch(&random, rows: 5).split(over: Self.map(0), partBytes: 100).isEmpty)
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
        #expect(bare.split(over: Self.map(2), partBytes: 1 << 20).reduce(0) { $0 + $1.parts[0].rows.count } == 20)
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

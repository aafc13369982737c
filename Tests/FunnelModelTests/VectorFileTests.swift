import FunnelModel
import TestSupport
import Testing

/// `Protocol/vectors/hash.json` and `timestamps.json`, written by an independent program.
struct VectorFileTests {
    static let hashes = (try? Repository.json("Protocol/vectors/hash.json"))?.asArray ?? []
    static let timestamps = (try? Repository.json("Protocol/vectors/timestamps.json")) ?? .null

    @Test func hashesAndBucketsAreThoseOfTheFile() throws {
        #expect(Self.hashes.count >= 20)
        for row in Self.hashes {
            let text = try #require(row["text"]?.asString)
            let hash = try #require(UInt64(row["xxh64"]?.asString?.string ?? "", radix: 16))
            #expect(XXH64.hash(text.bytes) == hash, "\(text)")
            #expect(Int64(ClusterMap.bucket(ofUser: text)) == row["bucket"]?.asInteger, "\(text)")
        }
    }

    @Test func timestampsOfTheFileAreAcceptedOrRefused() throws {
        let accepted = try #require(Self.timestamps["accepted"]?.asArray)
        let refused = try #require(Self.timestamps["refused"]?.asArray)
        #expect(accepted.count >= 20 && refused.count >= 20)
        for row in accepted {
            let text = try #require(row["text"]?.asString)
            #expect(try Timestamp.parse(text) == row["microseconds"]?.asInteger, "\(text)")
        }
        for row in refused {
            let text = try #require(row.asString)
            #expect(throws: Timestamp.Fault.self, "\(text)") { try Timestamp.parse(text) }
        }
    }

    @Test func randomInstantsFormatToWhatParsesBack() throws {
        var random = SplitMix64(seed: 31)
        for _ in 0..<5_000 {
            let instant = Int64(random.below(253_402_300_800)) * 1_000_000 + Int64(random.pick([0, 5_000, 999_999, 1]))
            #expect(try Timestamp.parse(ByteString(Timestamp.format(instant))) == instant)
        }
    }

    @Test func mutatedTimestampsNeverTrap() throws {
        let texts = (Self.timestamps["accepted"]?.asArray ?? []).compactMap { $0["text"]?.asString?.bytes }
        try #require(!texts.isEmpty)
        var random = SplitMix64(seed: 32)
        var accepted = 0
        for _ in 0..<20_000 {
            var text = random.pick(texts)
            for _ in 0..<(1 + random.below(3)) where !text.isEmpty {
                text[random.below(text.count)] = random.pick(Array("0123456789:-+.TZ ,e".utf8) + [0, 0xFF])
            }
            guard let time = try? Timestamp.parse(ByteString(text)) else { continue }
            accepted += 1
            // Whatever text it was, it has become an instant that can be written and read.
            if time >= 0 { #expect(try Timestamp.parse(ByteString(Timestamp.format(time))) == time, "\(ByteString(text))") }
        }
        #expect((400..<19_600).contains(accepted), "\(accepted)")
    }
}

struct ClusterMapTests {
    @Test func ownerIsTheShardWhoseRangeHoldsTheBucket() {
        for count in 1...64 {
            let shards = (0..<count).map { ClusterMap.Shard(id: $0, host: "h", port: 1) }
            let map = ClusterMap(clusterID: 1, epoch: 1, shards: shards)
            var next = 0
            for shard in 0..<count {
                let range = ClusterMap.buckets(ofShard: shard, of: count)
                #expect(range.lowerBound == next && !range.isEmpty)
                next = range.upperBound
                #expect(range.allSatisfy { map.owner(ofBucket: $0) == shard })
            }
            #expect(next == Limits.buckets)
        }
    }
}

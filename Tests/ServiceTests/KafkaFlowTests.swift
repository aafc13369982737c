import IngestService
import ServiceRuntime
import Synchronization
import TestSupport
import Testing

/// What is committed and paused while messages of Kafka are on their way.
struct KafkaFlowTests {
    private static let one = KafkaPartition("t", 1)
    private static let two = KafkaPartition("t", 2)

    private static func message(_ partition: KafkaPartition, _ offset: Int64, bytes: Int = 10) -> KafkaMessage {
        KafkaMessage(partition, offset, payload: [UInt8](repeating: 65, count: bytes))
    }

    /// Takes a message and begins its batch.
    private static func batch(_ flow: inout KafkaFlow, _ partition: KafkaPartition, _ offsets: Int64...) throws -> KafkaFlow.Batch {
        for offset in offsets { #expect(flow.take(message(partition, offset)) == nil) }
        let batches = flow.flush()
        #expect(batches.count == 1)
        return try #require(batches.first)
    }

    private static func commits(_ flow: inout KafkaFlow) -> [String] { flow.commits().map { "\($0.partition):\($0.offset)" } }

    @Test func noOffsetBeforeAnOpenBatchIsPassed() throws {
        var flow = KafkaFlow()
        flow.assign([Self.one, Self.two])
        #expect(Self.commits(&flow).isEmpty)
        let first = try Self.batch(&flow, Self.one, 10, 11, 15)
        let second = try Self.batch(&flow, Self.one, 16)
        let third = try Self.batch(&flow, Self.two, 7)
        flow.end(second, isStored: true)
        // The first offset is committed as the place to begin at.
        #expect(Self.commits(&flow) == ["t/1:10", "t/2:7"])
        #expect(Self.commits(&flow).isEmpty)
        flow.end(third, isStored: true)
        #expect(Self.commits(&flow) == ["t/2:8"])
        flow.end(first, isStored: true)
        #expect(Self.commits(&flow) == ["t/1:17"])
        // A commit that failed is sent again.
        flow.forgetCommits()
        #expect(Self.commits(&flow) == ["t/1:17", "t/2:8"])
        #expect(flow.flyingBytes == 0)
    }

    /// Against a list of all messages: every offset below the committed one is stored.
    @Test func randomOrdersOfEndsCommitOnlyWhatIsStored() throws {
        var random = SplitMix64(seed: 5)
        var passed = 0
        for _ in 0..<300 {
            var flow = KafkaFlow()
            flow.assign([Self.one])
            var open: [KafkaFlow.Batch] = []
            var stored: Set<Int64> = []
            var taken: [Int64] = []
            var next: Int64 = 0
            for _ in 0..<40 {
                if random.chance(50) {
                    for _ in 0...random.below(3) {
                        // Brokers leave offsets out.
                        next += Int64(1 + random.below(3))
                        taken.append(next)
                        #expect(flow.take(Self.message(Self.one, next)) == nil)
                    }
                    open += flow.flush()
                } else if !open.isEmpty {
                    let batch = open.remove(at: random.below(open.count))
                    flow.end(batch, isStored: true)
                    stored.formUnion(batch.messages.map(\.offset))
                }
                guard let commit = flow.commits().first else { continue }
                passed += 1
                #expect(taken.allSatisfy { $0 >= commit.offset || stored.contains($0) }, "committed \(commit.offset)")
                // And everything that could be passed is.
                let firstOpen = taken.first { !stored.contains($0) }
                #expect(commit.offset == firstOpen ?? (taken.last ?? 0) + 1)
            }
        }
        #expect(passed > 1_000)
    }

    @Test func aPartitionThatWasGivenUpIsForgotten() throws {
        var flow = KafkaFlow()
        flow.assign([Self.one])
        let old = try Self.batch(&flow, Self.one, 1)
        #expect(flow.isBusy([Self.one]) && flow.isWanted(old))
        flow.revoke([Self.one])
        #expect(!flow.isWanted(old) && !flow.isBusy([Self.one]))
        // A message that comes late is another consumer's.
        #expect(flow.take(Self.message(Self.one, 2)) == nil && flow.flush().isEmpty)
        // The partition comes back while the old batch still runs.
        flow.assign([Self.one])
        let new = try Self.batch(&flow, Self.one, 1)
        flow.fail(old)
        #expect(flow.pauses().pause.isEmpty)
        flow.end(old, isStored: true)
        #expect(Self.commits(&flow) == ["t/1:1"] && flow.isWanted(new))
        #expect(flow.flyingBytes == new.bytes)
        flow.end(new, isStored: true)
        #expect(Self.commits(&flow) == ["t/1:2"])
    }

    @Test func aPartitionPausesUntilItsFailedBatchesAreStored() throws {
        var flow = KafkaFlow()
        flow.assign([Self.one, Self.two])
        let first = try Self.batch(&flow, Self.one, 1)
        let second = try Self.batch(&flow, Self.one, 2)
        flow.fail(first)
        flow.fail(first)
        #expect(flow.pauses().pause == [Self.one] && flow.isPaused(Self.one) && !flow.isPaused(Self.two))
        #expect(flow.pauses().pause.isEmpty)
        // One batch has not failed yet, so an end of the partition waits for it.
        #expect(flow.isBusy([Self.one]))
        flow.fail(second)
        #expect(!flow.isBusy([Self.one]))
        flow.end(first, isStored: true)
        #expect(flow.pauses().resume.isEmpty)
        flow.end(second, isStored: true)
        #expect(flow.pauses().resume == [Self.one])
    }

    @Test func memoryIsBounded() throws {
        var flow = KafkaFlow(bytes: 4_000, batches: 3)
        flow.assign([Self.one, Self.two])
        #expect(!flow.isFull)
        #expect(flow.take(Self.message(Self.one, 1, bytes: 5_000)) == nil)
        let flushed = flow.flush()
        let large = try #require(flushed.first)
        #expect(flow.isFull)
        flow.hold()
        #expect(flow.pauses().pause == [Self.one, Self.two])
        flow.end(large, isStored: true)
        #expect(!flow.isFull && flow.pauses().resume == [Self.one, Self.two] && !flow.isHeld)
        let small = try (1...3).map { try Self.batch(&flow, Self.two, Int64($0)) }
        #expect(flow.isFull)
        // A batch that has failed holds its bytes, but no place.
        flow.fail(small[1])
        #expect(!flow.isFull)
        let fourth = try Self.batch(&flow, Self.one, 2)
        #expect(flow.isFull)
        flow.end(fourth, isStored: true)
        // An abandoned batch gives its memory back, and is not committed.
        flow.end(small[0], isStored: false)
        #expect(!flow.isFull && Self.commits(&flow) == ["t/1:3", "t/2:1"])
    }

    @Test func batchesAreFullByMessagesAndBytes() throws {
        var flow = KafkaFlow()
        flow.assign([Self.one])
        for offset in 0..<KafkaFlow.messagesMax { #expect(flow.take(Self.message(Self.one, Int64(offset), bytes: 1)) == nil) }
        let takenfull = flow.take(Self.message(Self.one, 5_000, bytes: 1))
        let full = try #require(takenfull)
        #expect(full.messages.count == KafkaFlow.messagesMax)
        // A large message is alone.
        let takenbefore = flow.take(Self.message(Self.one, 5_001, bytes: 2 << 20))
        let before = try #require(takenbefore)
        #expect(before.messages.map(\.offset) == [5_000])
        let takenlarge = flow.take(Self.message(Self.one, 5_002))
        let large = try #require(takenlarge)
        #expect(large.messages.map(\.offset) == [5_001])
        #expect(flow.flush().map { $0.messages.map(\.offset) } == [[5_002]])
        #expect(flow.flyingBytes == full.bytes + before.bytes + large.bytes + 138)
    }

    @Test func figuresAreThoseOfATopic() throws {
        let metrics = Metrics()
        let figures = KafkaFigures(topics: ["t", "u"], metrics: metrics)
        let batch = try figures.flow.withLock { flow in
            flow.assign([Self.one, Self.two, KafkaPartition("u", 0)])
            flow.note(end: 50, of: Self.one)
            flow.note(end: 9, of: Self.two)
            let batch = try Self.batch(&flow, Self.one, 40)
            flow.fail(batch)
            _ = flow.pauses()
            return batch
        }
        func lines() -> [Substring] { metrics.exposition.split(separator: "\n").filter { !$0.hasPrefix("#") && $0.contains("kafka") } }
        #expect(lines().contains(#"sluice_ingest_kafka_lag_messages{topic="t"} 10"#))
        #expect(lines().contains(#"sluice_ingest_kafka_partitions{topic="t"} 2"#))
        #expect(lines().contains(#"sluice_ingest_kafka_paused_partitions{topic="t"} 1"#))
        #expect(lines().contains(#"sluice_ingest_kafka_paused_partitions{topic="u"} 0"#))
        #expect(lines().contains("sluice_ingest_kafka_in_flight_bytes \(batch.bytes)"))
        figures.flow.withLock { $0.end(batch, isStored: true) }
        figures.count(stored: 1, topic: "t")
        figures.count(.commit)
        #expect(lines().contains(#"sluice_ingest_kafka_lag_messages{topic="t"} 9"#))
        #expect(lines().contains(#"sluice_ingest_kafka_messages_total{topic="t"} 1"#))
        #expect(lines().contains(#"sluice_ingest_kafka_errors_total{kind="commit"} 1"#))
        #expect(lines().contains(#"sluice_ingest_kafka_errors_total{kind="store"} 0"#))
    }
}

/// The work of one consumer, as a value: messages become batches by partition, batches are on the way until they are stored, offsets may
/// be committed, partitions are paused. It does no I/O.
package struct KafkaFlow: Sendable {
    /// Messages of one partition that are stored together.
    package struct Batch: Equatable, Sendable {
        package var number: Int
        package var partition: KafkaPartition
        package var messages: [KafkaMessage]
        package var bytes: Int
    }

    private struct Lane {
        var ledger = OffsetLedger()
        /// Messages that are in no batch yet.
        var gathered: [KafkaMessage] = []
        var gatheredBytes = 0
        /// Batches that could not be stored at the first attempt.
        var failing: Set<Int> = []
        var isPaused = false
        /// The last offset that a commit was sent for.
        var committed: Int64?
        /// The offset after the partition's last message, as far as it is known.
        var end: Int64?
    }

    /// Figures of a topic, over the partitions that this consumer has.
    package struct Topic: Equatable, Sendable {
        package var partitions = 0
        package var paused = 0
        /// Messages that are not stored yet.
        package var lag: Int64 = 0

        package init(partitions: Int = 0, paused: Int = 0, lag: Int64 = 0) {
            (self.partitions, self.paused, self.lag) = (partitions, paused, lag)
        }
    }

    /// Max messages of a batch: of one request, as many rejected events are kept.
    package static let messagesMax = 1_000
    /// Bytes at which a batch is full. A longer message is a batch of its own.
    package static let batchBytes = 1 << 20

    private var lanes: [KafkaPartition: Lane] = [:]
    /// Batches on the way, also those of partitions that were given up since, with their bytes.
    private var flying: [Int: Int] = [:]
    private var nextNumber = 0
    private let flyingBytesMax: Int
    private let flyingMax: Int
    package private(set) var flyingBytes = 0
    /// Whether all partitions are paused until there is room.
    package private(set) var isHeld = false

    /// - Parameters:
    ///   - bytes: bytes of batches on the way at which no more messages are taken.
    ///   - batches: the same for the number of those that have not failed.
    package init(bytes: Int = 32 << 20, batches: Int = 64) {
        flyingBytesMax = bytes
        flyingMax = batches
    }

    // MARK: - Partitions

    package var partitions: [KafkaPartition] { lanes.keys.sorted() }

    package mutating func assign(_ partitions: [KafkaPartition]) {
        for partition in partitions { lanes[partition] = Lane() }
    }

    /// Gives partitions up. Batches of theirs that are on the way are no longer wanted.
    package mutating func revoke(_ partitions: [KafkaPartition]) {
        for partition in partitions { lanes[partition] = nil }
    }

    /// Whether batches of these partitions are on the way that have not failed yet.
    package func isBusy(_ partitions: [KafkaPartition]) -> Bool {
        partitions.contains { lanes[$0].map { $0.ledger.openCount > $0.failing.count } ?? false }
    }

    // MARK: - Messages and batches

    /// Takes a message. One of a partition that was given up is ignored: another consumer gets it.
    /// - Returns: the batch before it, if that is full.
    package mutating func take(_ message: KafkaMessage) -> Batch? {
        guard var lane = lanes.removeValue(forKey: message.partition) else { return nil }
        var full: Batch?
        let bytes = message.bytes
        if lane.gathered.count == Self.messagesMax || !lane.gathered.isEmpty && lane.gatheredBytes + bytes > Self.batchBytes {
            full = begin(&lane, message.partition)
        }
        lane.gathered.append(message)
        lane.gatheredBytes += bytes
        lanes[message.partition] = lane
        return full
    }

    /// The messages that wait, as batches.
    package mutating func flush() -> [Batch] {
        var batches: [Batch] = []
        for partition in lanes.keys where lanes[partition]?.gathered.isEmpty == false {
            guard var lane = lanes.removeValue(forKey: partition) else { continue }
            if let batch = begin(&lane, partition) { batches.append(batch) }
            lanes[partition] = lane
        }
        return batches
    }

    private mutating func begin(_ lane: inout Lane, _ partition: KafkaPartition) -> Batch? {
        guard let first = lane.gathered.first, let last = lane.gathered.last else { return nil }
        nextNumber += 1
        let batch = Batch(number: nextNumber, partition: partition, messages: lane.gathered, bytes: lane.gatheredBytes)
        (lane.gathered, lane.gatheredBytes) = ([], 0)
        lane.ledger.begin(batch.number, first: first.offset, last: last.offset)
        flying[batch.number] = batch.bytes
        flyingBytes += batch.bytes
        return batch
    }

    /// Whether a batch is still to be stored: its partition was not given up.
    package func isWanted(_ batch: Batch) -> Bool { lanes[batch.partition]?.ledger.isOpen(batch.number) ?? false }

    /// A batch could not be stored, and will be tried again: its partition pauses.
    package mutating func fail(_ batch: Batch) {
        if isWanted(batch) { lanes[batch.partition]?.failing.insert(batch.number) }
    }

    /// A batch is done.
    /// - Parameter isStored: false if it was abandoned, since nobody wants it any more.
    package mutating func end(_ batch: Batch, isStored: Bool) {
        if let bytes = flying.removeValue(forKey: batch.number) { flyingBytes -= bytes }
        guard isStored, isWanted(batch) else { return }
        lanes[batch.partition]?.ledger.end(batch.number)
        lanes[batch.partition]?.failing.remove(batch.number)
    }

    // MARK: - Pauses

    /// Whether as much is on the way as may be.
    package var isFull: Bool { flyingBytes >= flyingBytesMax || running >= flyingMax }

    /// Batches on the way that have not failed. Those that have do not keep other partitions from their work.
    private var running: Int { lanes.values.reduce(flying.count) { $0 - $1.failing.count } }

    /// Pauses all partitions until half of what may be on the way is free.
    package mutating func hold() { isHeld = true }

    /// The partitions to pause and to resume now.
    package mutating func pauses() -> (pause: [KafkaPartition], resume: [KafkaPartition]) {
        if isHeld, flyingBytes < flyingBytesMax / 2, running < max(1, flyingMax / 2) { isHeld = false }
        var (pause, resume): ([KafkaPartition], [KafkaPartition]) = ([], [])
        for (partition, lane) in lanes {
            let isToPause = isHeld || !lane.failing.isEmpty
            guard isToPause != lane.isPaused else { continue }
            if isToPause { pause.append(partition) } else { resume.append(partition) }
            lanes[partition]?.isPaused = isToPause
        }
        return (pause.sorted(), resume.sorted())
    }

    package func isPaused(_ partition: KafkaPartition) -> Bool { lanes[partition]?.isPaused ?? false }

    // MARK: - Commits

    /// The offsets to commit that no commit was sent for, and takes them as sent.
    /// - Parameter partitions: nil for all.
    package mutating func commits(of partitions: [KafkaPartition]? = nil) -> [(partition: KafkaPartition, offset: Int64)] {
        var offsets: [(partition: KafkaPartition, offset: Int64)] = []
        for partition in partitions ?? self.partitions {
            guard let lane = lanes[partition], let offset = lane.ledger.committable, offset != lane.committed else { continue }
            offsets.append((partition, offset))
            lanes[partition]?.committed = offset
        }
        return offsets
    }

    /// A commit failed: the next one has all offsets.
    package mutating func forgetCommits() {
        for partition in lanes.keys { lanes[partition]?.committed = nil }
    }

    // MARK: - Figures

    /// - Parameter end: the offset after the partition's last message.
    package mutating func note(end: Int64, of partition: KafkaPartition) { lanes[partition]?.end = end }

    package func topic(_ name: String) -> Topic {
        var topic = Topic()
        for (partition, lane) in lanes where partition.topic == name {
            topic.partitions += 1
            if lane.isPaused { topic.paused += 1 }
            if let end = lane.end, let done = lane.ledger.committable { topic.lag += max(0, end &- done) }
        }
        return topic
    }
}

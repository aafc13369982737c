import FunnelModel
import Glibc
import Logging
import RPC
import ServiceHost
import ServiceLifecycle
import ServiceRuntime
import Synchronization

/// Reads events from Kafka, as one consumer of a group.
enum KafkaSource {
    /// The service; none if no setting asks for it.
    /// - Parameter isReady: whether ingest takes events: before, the rules of the project are not known.
    static func services(
        _ settings: KafkaSettings?, _ intake: Intake, _ incoming: IncomingEvents, metrics: Metrics, logger: Logger,
        isReady: @escaping @Sendable () -> Bool
    ) throws(InvalidDocument) -> [any Service] {
        #if Kafka
            guard let settings else { return [] }
            let store = KafkaIntake(intake, incoming, project: settings.project, logger: logger)
            let figures = KafkaFigures(topics: settings.topics, metrics: metrics)
            return [try KafkaConsumer(settings, store, figures, logger: logger, isReady: isReady)]
        #else
            // `KafkaSettings` refuses the settings in such a build.
            return []
        #endif
    }
}

#if Kafka
    /// Polls librdkafka on a thread of its own, and stores the messages in tasks.
    private final class KafkaConsumer: Service {
        /// Why the consumer ended without being asked to.
        struct Fault: Error, CustomStringConvertible {
            var description: String
        }

        private let client: KafkaClient
        private let topics: [String]
        private let store: KafkaIntake
        private let figures: KafkaFigures
        private let isReady: @Sendable () -> Bool
        private let logger: Logger
        private let limit = LogLimit()
        private let threads = WorkThreads(isBackground: false)
        private let isStopping = Atomic<Bool>(false)
        private let hasEnded = Atomic<Bool>(false)

        /// Messages and bytes that are read before their batches start.
        private static let roundMessages = 1_000
        private static let roundBytes = 1 << 20
        /// Wait for room before all partitions pause. Meanwhile the consumer does not poll, which the group allows for minutes.
        private static let roomPatience = Duration.seconds(1)
        /// Wait for batches on the way before partitions are given up, and for the commit of their offsets. The stop of the process
        /// has 7 s for all services.
        private static let endPatience = Duration.seconds(2)
        private static let commitMilliseconds: Int32 = 1_500
        private static let stopPatience = Duration.seconds(5)

        init(
            _ settings: KafkaSettings, _ store: KafkaIntake, _ figures: KafkaFigures, logger: Logger,
            isReady: @escaping @Sendable () -> Bool
        ) throws(InvalidDocument) {
            client = try KafkaClient(settings, logger: logger)
            topics = settings.topics
            self.store = store
            self.figures = figures
            self.isReady = isReady
            self.logger = logger
        }

        func run() async throws {
            let work = Task { [self] in
                defer { hasEnded.store(true, ordering: .relaxed) }
                try await threads.run(0) { [self] in try consume() }
            }
            // It ends by itself only by a fault, which ends the process.
            await cancelWhenGracefulShutdown { [self] in
                while !hasEnded.load(ordering: .relaxed), !Task.isCancelled { try? await Task.sleep(for: .milliseconds(200)) }
            }
            isStopping.store(true, ordering: .relaxed)
            let end = ContinuousClock.now + Self.stopPatience
            while !hasEnded.load(ordering: .relaxed), ContinuousClock.now < end, !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(20))
            }
            guard hasEnded.load(ordering: .relaxed) else {
                // Offsets that are not committed are read again, and add nothing.
                return logger.warning("the Kafka consumer did not leave its group in time")
            }
            await threads.shutdown()
            try await work.value
        }

        // MARK: - The thread

        private func consume() throws {
            client.callbacks = KafkaClient.Callbacks(
                assigned: { [self] in assigned($0) }, revoked: { [self] in revoked($0, isLost: $1) },
                commitFailed: { [self] in commitFailed($0) }, brokerFailed: { [self] in brokerFailed($0) })
            defer { client.callbacks = nil }
            while !isReady(), !isEnding { usleep(50_000) }
            if let reason = client.subscribe(topics) { throw Fault(description: "cannot subscribe to topics of Kafka: \(reason)") }
            logger.info("reading from Kafka", metadata: ["topics": "\(topics.joined(separator: ","))", "project": "\(store.project)"])
            var nextSecond = ContinuousClock.now
            while !isEnding {
                waitForRoom()
                readRound()
                let (pause, resume) = figures.flow.withLock { $0.pauses() }
                client.pause(pause)
                client.resume(resume)
                if ContinuousClock.now >= nextSecond {
                    nextSecond = .now + .seconds(1)
                    commit()
                    noteEnds()
                }
                if let fatal = client.fatal { throw Fault(description: "the Kafka consumer cannot go on: \(fatal)") }
            }
            let partitions = figures.flow.withLock { $0.partitions }
            giveUp(partitions, isLost: false)
            client.close()
        }

        private var isEnding: Bool { isStopping.load(ordering: .relaxed) }

        private func waitForRoom() {
            let end = ContinuousClock.now + Self.roomPatience
            while figures.flow.withLock({ $0.isFull && !$0.isHeld }), !isEnding {
                guard ContinuousClock.now < end else { return figures.flow.withLock { $0.hold() } }
                usleep(2_000)
            }
        }

        private func readRound() {
            var (messages, bytes) = (0, 0)
            while messages < Self.roundMessages, bytes < Self.roundBytes,
                case .message(let message) = client.poll(milliseconds: messages == 0 ? 100 : 0)
            {
                messages += 1
                bytes += message.bytes
                if let batch = figures.flow.withLock({ $0.take(message) }) { start(batch) }
            }
            for batch in figures.flow.withLock({ $0.flush() }) { start(batch) }
        }

        private func start(_ batch: KafkaFlow.Batch) {
            Task { [store, figures] in
                let isStored = await store.store(batch.messages) {
                    figures.flow.withLock { $0.isWanted(batch) }
                } failed: {
                    figures.count(.store)
                    figures.flow.withLock { $0.fail(batch) }
                }
                figures.flow.withLock { $0.end(batch, isStored: isStored) }
                if isStored { figures.count(stored: batch.messages.count, topic: batch.partition.topic) }
            }
        }

        private func commit() {
            let offsets = figures.flow.withLock { $0.commits() }
            if !offsets.isEmpty { client.commit(offsets) }
        }

        /// Updates the lag. A partition that is paused is not fetched, so its end is asked for: of one partition each second.
        private func noteEnds() {
            let (all, paused) = figures.flow.withLock { flow in (flow.partitions, flow.partitions.filter(flow.isPaused)) }
            let asked = paused.randomElement()
            for partition in all {
                let end = partition == asked ? client.askedEnd(of: partition, milliseconds: 300) : client.knownEnd(of: partition)
                if let end { figures.flow.withLock { $0.note(end: end, of: partition) } }
            }
        }

        // MARK: - The group

        private func assigned(_ partitions: [KafkaPartition]) {
            figures.flow.withLock { $0.assign(partitions) }
            if !partitions.isEmpty { logger.info("partitions of Kafka assigned", metadata: ["partitions": "\(Self.list(partitions))"]) }
        }

        private func revoked(_ partitions: [KafkaPartition], isLost: Bool) {
            giveUp(partitions, isLost: isLost)
            if !partitions.isEmpty { logger.info("partitions of Kafka given up", metadata: ["partitions": "\(Self.list(partitions))"]) }
        }

        private static func list(_ partitions: [KafkaPartition]) -> String {
            let first = partitions.prefix(20).map(\.description).joined(separator: ",")
            return partitions.count > 20 ? "\(first) and \(partitions.count - 20) more" : first
        }

        /// Waits for batches on the way, and commits. What cannot be stored now is read again by the next owner.
        /// - Parameter isLost: whether other consumers may have the partitions already; then there is nothing to commit.
        private func giveUp(_ partitions: [KafkaPartition], isLost: Bool) {
            if !isLost {
                let end = ContinuousClock.now + Self.endPatience
                while figures.flow.withLock({ $0.isBusy(partitions) }), ContinuousClock.now < end { usleep(2_000) }
                let offsets = figures.flow.withLock { $0.commits(of: partitions) }
                if !offsets.isEmpty { client.commit(offsets, waitMilliseconds: Self.commitMilliseconds) }
            }
            figures.flow.withLock { $0.revoke(partitions) }
        }

        private func commitFailed(_ reason: String) {
            figures.count(.commit)
            figures.flow.withLock { $0.forgetCommits() }
            limit.log(logger, .warning, "commit", "offsets of Kafka are not committed; they are sent again", ["reason": "\(reason)"])
        }

        private func brokerFailed(_ reason: String) {
            figures.count(.broker)
            limit.log(logger, .warning, "broker", "Kafka reports a fault; the consumer tries again", ["reason": "\(reason)"])
        }
    }
#endif

import FunnelModel
import ServiceRuntime
import Synchronization

/// The flow of one consumer with its metrics. Any thread may use it.
package final class KafkaFigures: Sendable {
    /// What failed.
    package enum Fault: String, CaseIterable, Sendable {
        /// A broker cannot be reached, or refuses the consumer.
        case broker
        /// Offsets could not be committed; the next commit has them.
        case commit
        /// An attempt to store messages; it is made again.
        case store
    }

    package let flow: Mutex<KafkaFlow>
    private let messages: [String: Counter]
    private let faults: [Fault: Counter]

    package init(_ flow: KafkaFlow = KafkaFlow(), topics: [String], metrics: Metrics) {
        self.flow = Mutex(flow)
        let topics = Set(topics).sorted()
        messages = Dictionary(
            uniqueKeysWithValues: topics.map { topic in
                let help = "messages of Kafka whose events are durable, or rejected for good"
                return (topic, metrics.counter("sluice_ingest_kafka_messages_total", help, labels: [("topic", topic)]))
            })
        faults = Dictionary(
            uniqueKeysWithValues: Fault.allCases.map { fault in
                let help = "faults while reading from Kafka; the work is tried again"
                return (fault, metrics.counter("sluice_ingest_kafka_errors_total", help, labels: [("kind", fault.rawValue)]))
            })
        for topic in topics {
            gauge(metrics, "sluice_ingest_kafka_lag_messages", "messages of this ingest's partitions that are not durable yet", topic) {
                Double($0.lag)
            }
            gauge(metrics, "sluice_ingest_kafka_partitions", "partitions that this ingest reads", topic) { Double($0.partitions) }
            gauge(metrics, "sluice_ingest_kafka_paused_partitions", "partitions that wait for a shard, a limit or memory", topic) {
                Double($0.paused)
            }
        }
        metrics.gauge("sluice_ingest_kafka_in_flight_bytes", "bytes of messages that were read and are not durable yet") { [weak self] in
            Double(self?.flow.withLock { $0.flyingBytes } ?? 0)
        }
    }

    private func gauge(
        _ metrics: Metrics, _ name: String, _ help: String, _ topic: String, _ value: @escaping @Sendable (KafkaFlow.Topic) -> Double
    ) {
        metrics.gauge(name, help, labels: [("topic", topic)]) { [weak self] in
            value(self?.flow.withLock { $0.topic(topic) } ?? KafkaFlow.Topic())
        }
    }

    package func count(_ fault: Fault) { faults[fault]?.add() }

    package func count(stored count: Int, topic: String) { messages[topic]?.add(count) }
}

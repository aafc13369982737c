/// A partition of a topic.
package struct KafkaPartition: Hashable, Comparable, Sendable, CustomStringConvertible {
    package var topic: String
    package var number: Int32

    package init(_ topic: String, _ number: Int32) {
        self.topic = topic
        self.number = number
    }

    package var description: String { "\(topic)/\(number)" }

    package static func < (a: KafkaPartition, b: KafkaPartition) -> Bool { (a.topic, a.number) < (b.topic, b.number) }
}

/// A message as it came from a broker.
package struct KafkaMessage: Equatable, Sendable {
    package struct Header: Equatable, Sendable {
        package var name: String
        package var value: [UInt8]

        package init(_ name: String, _ value: [UInt8]) {
            self.name = name
            self.value = value
        }
    }

    package var partition: KafkaPartition
    package var offset: Int64
    package var headers: [Header]
    /// Empty also for a message without a payload.
    package var payload: [UInt8]

    package init(_ partition: KafkaPartition, _ offset: Int64, headers: [Header] = [], payload: [UInt8]) {
        self.partition = partition
        self.offset = offset
        self.headers = headers
        self.payload = payload
    }

    /// `TOPIC/PARTITION/OFFSET`: the id of the message's event if it has none.
    package var id: String { "\(partition)/\(offset)" }

    /// Approximate bytes in memory.
    package var bytes: Int { headers.reduce(payload.count + 128) { $0 + $1.name.utf8.count + $1.value.count } }
}

import FunnelModel
import ServiceRuntime

/// What to read from Kafka, and as which project's events.
package struct KafkaSettings: Equatable, Sendable {
    package static let settings = [
        Setting("kafka-brokers", .list, default: "", "Kafka brokers to read events from, host:port; only in a build with the trait Kafka"),
        Setting("kafka-topics", .list, default: "", "topics to read"),
        Setting("kafka-group", .text, default: "", "consumer group; all ingests of a cluster have the same one"),
        Setting("kafka-project", .integer(1...4_294_967_295), default: "1", "project that gets the events"),
        Setting(
            "kafka-config", .text, default: "",
            "file with further settings of librdkafka, NAME=VALUE a line, such as security.protocol and sasl.password"),
    ]

    /// Whether this program was built with the package trait `Kafka`.
    package static var isInThisBuild: Bool {
        #if Kafka
            return true
        #else
            return false
        #endif
    }

    package var brokers: [String]
    package var topics: [String]
    package var group: String
    package var project: UInt32
    /// Settings of librdkafka, in order; later ones count.
    package var options: [Option]

    package struct Option: Equatable, Sendable {
        package var name: String
        package var value: String

        package init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
    }

    /// Bytes of a topic's name. Ids of events begin with it, and must stay within `Limits.eventIDBytes`.
    private static let topicBytes = 200

    /// What the settings say; nil if none of them is set.
    /// - Parameters:
    ///   - isInThisBuild: whether the program can read from Kafka.
    ///   - readFile: the bytes of a file; nil if it cannot be read.
    /// - Throws: all faults at once.
    package init?(
        _ settings: Settings, isInThisBuild: Bool = Self.isInThisBuild, readFile: (String) -> [UInt8]? = DurableFile.read
    ) throws(InvalidDocument) {
        let set = Self.settings.map(\.name).filter { settings.isSet($0) && !settings.text($0).isEmpty }
        if set.isEmpty { return nil }
        guard isInThisBuild else {
            throw InvalidDocument(
                set.map {
                    FieldFault("--\($0)", "needs a program that was built with the package trait Kafka (swift build --traits Kafka)")
                })
        }
        brokers = settings.list("kafka-brokers")
        topics = settings.list("kafka-topics")
        group = settings.text("kafka-group")
        project = UInt32(clamping: settings.integer("kafka-project"))
        options = []
        var faults: [FieldFault] = []
        for name in ["kafka-brokers", "kafka-topics", "kafka-group"] where settings.list(name).isEmpty {
            faults.append(FieldFault("--\(name)", "is required to read from Kafka"))
        }
        for topic in topics where !Self.isTopic(topic) {
            faults.append(
                FieldFault(
                    "--kafka-topics", "\"\(topic)\" is no topic: letters, digits, '.', '_' and '-', at most \(Self.topicBytes) bytes"))
        }
        let path = settings.text("kafka-config")
        if !path.isEmpty {
            if let bytes = readFile(path) {
                options = Self.options(bytes, of: path, &faults)
            } else {
                faults.append(FieldFault("--kafka-config", "cannot read \(path), or it is larger than 1 MiB"))
            }
        }
        if !faults.isEmpty { throw InvalidDocument(faults) }
    }

    private static func isTopic(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= topicBytes
            && name.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                    true
                default: false
                }
            }
    }

    /// Options that this program sets itself, with the setting to use or the reason.
    private static let own = [
        "bootstrap.servers": "use --kafka-brokers", "metadata.broker.list": "use --kafka-brokers", "group.id": "use --kafka-group",
        "enable.auto.commit": "offsets are committed once the events are durable",
        "enable.auto.offset.store": "offsets are committed once the events are durable",
    ]

    /// Lines `NAME=VALUE`; empty lines and lines that begin with `#` are skipped. Faults do not show values, which may be secrets.
    private static func options(_ bytes: [UInt8], of path: String, _ faults: inout [FieldFault]) -> [Option] {
        var options: [Option] = []
        for (number, line) in bytes.split(separator: 10, omittingEmptySubsequences: false).enumerated() {
            let text = String(decoding: line, as: UTF8.self).trimmingSpaces
            if text.isEmpty || text.hasPrefix("#") { continue }
            guard let equals = text.firstIndex(of: "="), equals > text.startIndex else {
                faults.append(FieldFault("\(path): line \(number + 1)", "must be NAME=VALUE"))
                continue
            }
            let name = String(text[..<equals].trimmingSpaces)
            if let reason = own[name] {
                faults.append(FieldFault("\(path): \(name)", "cannot be set: \(reason)"))
            } else {
                options.append(Option(name, String(text[text.index(after: equals)...].trimmingSpaces)))
            }
        }
        return options
    }
}

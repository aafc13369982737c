import FunnelModel
import IngestService
import ServiceRuntime
import Testing

/// The settings of Kafka.
struct KafkaSettingsTests {
    private static func settings(_ set: [String: String]) throws -> Settings {
        let table = SettingsTable(program: "test", summary: "", example: "", settings: KafkaSettings.settings)
        return try Settings.resolve(table, arguments: set.flatMap { ["--\($0.key)", $0.value] }, environment: [:]) { _ in nil }.0
    }

    private static func read(_ set: [String: String], isInThisBuild: Bool = true, file: String? = nil) throws -> KafkaSettings? {
        try KafkaSettings(settings(set), isInThisBuild: isInThisBuild) { _ in file.map { Array($0.utf8) } }
    }

    private static func faults(_ set: [String: String], isInThisBuild: Bool = true, file: String? = nil) throws -> [String] {
        do {
            _ = try read(set, isInThisBuild: isInThisBuild, file: file)
            return []
        } catch let error as InvalidDocument {
            return error.faults.map { "\($0.field) \($0.reason)" }.sorted()
        }
    }

    private static let whole = ["kafka-brokers": "a:1, b:2", "kafka-topics": "t.1,t-2", "kafka-group": "g"]

    @Test func withoutSettingsThereIsNoConsumer() throws {
        #expect(try Self.read([:]) == nil)
        #expect(try Self.read([:], isInThisBuild: false) == nil)
        #expect(try Self.read(["kafka-brokers": ""], isInThisBuild: false) == nil)
    }

    @Test func aProgramWithoutTheTraitRefusesEachSetting() throws {
        let faults = try Self.faults(Self.whole.merging(["kafka-project": "2", "kafka-config": "f"]) { $1 }, isInThisBuild: false)
        #expect(faults.count == 5)
        for (fault, name) in zip(faults, ["brokers", "config", "group", "project", "topics"]) {
            #expect(fault.hasPrefix("--kafka-\(name) needs a program that was built with the package trait Kafka"), "\(fault)")
        }
    }

    @Test func settingsAndFileAreRead() throws {
        let file = "# TLS\nsecurity.protocol=SASL_SSL\r\n\n sasl.password = a=b # c \n"
        let settings = try #require(try Self.read(Self.whole.merging(["kafka-project": "7", "kafka-config": "f"]) { $1 }, file: file))
        #expect(settings.brokers == ["a:1", "b:2"] && settings.topics == ["t.1", "t-2"] && settings.group == "g" && settings.project == 7)
        #expect(settings.options == [.init("security.protocol", "SASL_SSL"), .init("sasl.password", "a=b # c")])
        #expect(try Self.read(Self.whole)?.project == 1)
    }

    @Test func faultsNameTheirSetting() throws {
        #expect(try Self.faults(["kafka-brokers": "a:1"]).map { $0.prefix { $0 != " " } } == ["--kafka-group", "--kafka-topics"])
        for topic in ["^all.*", "a b", "ä", String(repeating: "t", count: 201)] {
            let faults = try Self.faults(Self.whole.merging(["kafka-topics": topic]) { $1 })
            #expect(faults.count == 1 && faults[0].hasPrefix("--kafka-topics \"\(topic)\" is no topic"), "\(faults)")
        }
        let config = Self.whole.merging(["kafka-config": "f"]) { $1 }
        #expect(try Self.faults(config).first?.hasPrefix("--kafka-config cannot read f") == true)
        let faults = try Self.faults(config, file: "group.id=x\nsecret words\n=v\nenable.auto.commit=true")
        #expect(faults.map { $0.prefix { $0 != "," } }.count == 4)
        #expect(faults.contains("f: group.id cannot be set: use --kafka-group") && faults.contains("f: line 2 must be NAME=VALUE"))
        // A line may hold a secret.
        #expect(!faults.contains { $0.contains("secret") })
    }
}

import FunnelModel
import ServiceRuntime
import Testing

/// What a configuration file's values become, and what the environment may hold.
struct SettingsTests {
    private static let table = SettingsTable(
        program: "p", summary: "s", example: "e",
        settings: [
            Setting("host", .text, "h"), Setting("port", .integer(0...65_535), default: "1", "p"),
            Setting("open", .flag, default: "false", "o"),
            Setting("data", .text, "d"), Setting("read-keys", .list, secret: true, "k"),
        ])

    private func resolve(_ yaml: String) throws(InvalidDocument) -> Settings {
        try Settings.resolve(Self.table, arguments: ["--config", "f.yaml"], environment: [:]) { _ in yaml }.0
    }

    /// O B19.
    @Test func scalarsKeepTheirText() throws {
        let settings = try resolve("port: 010\ndata: 2026-11-29\nhost: 1_0\nread-keys: 012345670123\nopen: yes\n")
        #expect(settings.integer("port") == 10)
        #expect(settings.text("port") == "010")
        #expect(settings.text("data") == "2026-11-29")
        #expect(settings.text("host") == "1_0")
        #expect(settings.text("read-keys") == "012345670123")
        #expect(settings.flag("open"))
        #expect(try resolve("data: 'a b' # c\n").text("data") == "a b")
        #expect(try resolve("").text("port") == "1")
        #expect(try resolve("# nothing\n").text("port") == "1")
    }

    @Test func otherShapesAreFaultsOfTheirKeys() throws {
        func faults(_ yaml: String) -> [String] {
            do throws(InvalidDocument) {
                _ = try resolve(yaml)
                return []
            } catch {
                return error.faults.map { "\($0.field) \($0.reason)" }
            }
        }
        #expect(faults("data: [a, b]") == ["f.yaml: data must be one value, not a list"])
        #expect(faults("host: {a: b}") == ["f.yaml: host must be one value, not a mapping"])
        #expect(faults("read-keys: [a, [b]]") == ["f.yaml: read-keys must be a text or a list of texts, not a list"])
        #expect(faults("port: 0x10") == ["f.yaml: port must be an integer from 0 to 65535, not \"0x10\""])
        #expect(faults("[a]") == ["f.yaml must hold one mapping of settings"])
        #expect(faults("what: 1\nport: x").count == 2)
        #expect(try resolve("read-keys: [007, '2:b']").list("read-keys") == ["007", "2:b"])
        #expect(faults("read-keys: ' , '") == ["f.yaml: read-keys must have an entry; it has nothing but commas"])
    }

    /// O B20.
    @Test func unknownVariablesAreToldWithTheNearestName() {
        func unknown(_ names: String..., value: String = "x") -> [String] {
            KnownVariables.warnings(Dictionary(uniqueKeysWithValues: names.map { ($0, value) }))
        }
        #expect(
            unknown("SLUICE_WRITE_KYES") == ["SLUICE_WRITE_KYES is not known to any program and is ignored; is SLUICE_WRITE_KEYS meant?"])
        #expect(
            unknown("SLUICE_SOMETHING_ELSE_ALTOGETHER") == ["SLUICE_SOMETHING_ELSE_ALTOGETHER is not known to any program and is ignored"])
        #expect(unknown("SLUICE_WRITE_KEYS", "SLUICE_KEY", "SLUICE_CONFIG", "HOME", "SLUICEGATE").isEmpty)
        // What Kubernetes sets for services that are named so.
        #expect(
            unknown(
                "SLUICE_INGEST_SERVICE_HOST", "SLUICE_INGEST_SERVICE_PORT", "SLUICE_INGEST_SERVICE_PORT_HTTP", "SLUICE_INGEST_PORT",
                "SLUICE_INGEST_PORT_8080_TCP", "SLUICE_INGEST_PORT_8080_TCP_ADDR", value: "tcp://10.0.0.1:8080"
            ).isEmpty)
        // A number is no service: it was meant for a port of this program.
        #expect(
            unknown("SLUICE_WIER_PORT", "SLUICE_HTTPPORT", value: "8090") == [
                "SLUICE_HTTPPORT is not known to any program and is ignored; is SLUICE_HTTP_PORT meant?",
                "SLUICE_WIER_PORT is not known to any program and is ignored; is SLUICE_WIRE_PORT meant?",
            ])
        #expect(unknown("sluice_write_kyes", "SLUICE", "XSLUICE_WRITE_KYES").isEmpty)
    }
}

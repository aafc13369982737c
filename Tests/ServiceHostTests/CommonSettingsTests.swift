import FunnelModel
import ServiceRuntime
import Testing

/// Settings that every service has: addresses, and what may listen off loopback.
struct CommonSettingsTests {
    private func settings(_ arguments: String..., environment: [String: String] = [:]) throws -> Settings {
        let table = SettingsTable(
            program: "p", summary: "s", example: "e",
            settings: CommonSettings.all(http: 8_080, wire: 8_090) + [Setting("shard", .integer(0...63), default: "0", "s")])
        return try Settings.resolve(table, arguments: arguments, environment: environment) { _ in nil }.0
    }

    private func faults(_ settings: Settings) -> [String] { CommonSettings.check(settings).map(\.field) }

    @Test(arguments: [
        ("localhost:80", "localhost", 80), ("10.0.0.1:0", "10.0.0.1", 0), ("[::1]:65535", "::1", 65_535),
        ("[fe80::1%eth0]:8091", "fe80::1%eth0", 8_091), ("a-b.example:1", "a-b.example", 1),
    ])
    func anAddressIsAHostAndAPort(text: String, host: String, port: Int) {
        let address = parseAddress(text)
        #expect(address?.host == host && address?.port == port)
    }

    @Test(arguments: ["", "host", ":80", "[]:80", "host:", "host:65536", "host:-1", "host:http", "host:80 ", "host:8 0", "[::1]", "host:９"])
    func anythingElseIsNoAddress(text: String) {
        #expect(parseAddress(text) == nil)
    }

    @Test func loopbackIsAnAddressAndNoName() {
        for host in ["localhost", "127.0.0.1", "127.1", "127.255.255.254", "::1"] { #expect(isLoopback(host), "\(host)") }
        for host in ["0.0.0.0", "::", "10.0.0.1", "128.0.0.1", "127.example.com", "127.0.0.1.example.com", "localhost.example.com", ""] {
            #expect(!isLoopback(host), "\(host)")
        }
    }

    @Test func offLoopbackASecretAndTLSAreNeeded() throws {
        let short = ["SLUICE_CLUSTER_SECRET": String(repeating: "s", count: 31)]
        let long = ["SLUICE_CLUSTER_SECRET": String(repeating: "s", count: 32)]
        #expect(faults(try settings()).isEmpty)
        #expect(faults(try settings("--host", "0.0.0.0")) == ["SLUICE_CLUSTER_SECRET", "--host"])
        #expect(faults(try settings("--host", "0.0.0.0", "--allow-plain-text", environment: short)) == ["SLUICE_CLUSTER_SECRET"])
        #expect(faults(try settings("--host", "0.0.0.0", environment: long)) == ["--host"])
        #expect(faults(try settings("--host", "0.0.0.0", "--allow-plain-text", environment: long)).isEmpty)
        #expect(faults(try settings("--host", "0.0.0.0", "--tls-cert", "c", "--tls-key", "k", environment: long)).isEmpty)
        #expect(faults(try settings("--tls-cert", "c")) == ["--tls-cert"])
        #expect(faults(try settings("--tls-key", "k")) == ["--tls-cert"])
    }

    @Test func defaultPortsRiseWithTheShardsNumberAndGivenOnesDoNot() throws {
        let usual = try settings("--shard", "3")
        #expect(CommonSettings.port(usual, "http-port") == 8_083 && CommonSettings.port(usual, "wire-port") == 8_093)
        let given = try settings("--shard", "3", "--wire-port", "0", environment: ["SLUICE_HTTP_PORT": "8080"])
        #expect(CommonSettings.port(given, "http-port") == 8_080 && CommonSettings.port(given, "wire-port") == 0)
    }

    @Test(arguments: [("0", 512), ("1", 1), ("1024", 1_024), ("65536", 1_024)])
    func connectionsOfAnAddressAreWithinThoseOfThePort(text: String, count: Int) throws {
        #expect(CommonSettings.connectionsPerAddress(try settings("--connections-per-address", text), of: 1_024) == count)
    }
}

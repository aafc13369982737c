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
        ("localhost:80", "localhost", 80), ("10.0.0.1:1", "10.0.0.1", 1), ("[::1]:65535", "::1", 65_535), ("[::]:8081", "::", 8_081),
        ("[2001:db8::a:1]:8081", "2001:db8::a:1", 8_081), ("[::ffff:10.0.0.1]:8081", "::ffff:10.0.0.1", 8_081),
        ("[fe80::1%eth0]:8091", "fe80::1%eth0", 8_091), ("a-b.example:1", "a-b.example", 1), ("shard_0:8100", "shard_0", 8_100),
    ])
    func anAddressIsAHostAndAPort(text: String, host: String, port: Int) {
        let address = parseAddress(text)
        #expect(address?.host == host && address?.port == port)
        #expect(addressFault(text) == nil)
        #expect(addressText(host, port) == text)
    }

    private static let noPort = "the port is missing"
    private static let badPort = "the port must be from 1 to 65535"
    private static let noHost = "the host is missing"
    private static let badHost = "the host must be a name or an IP address"
    private static let bare = "an IPv6 address needs brackets, as in [::1]:8091"
    private static let onlyIPv6 = "only an IPv6 address has brackets"

    @Test(arguments: [
        ("", noPort), ("host", noPort), ("host:", noPort), ("[::1]", noPort), ("[::1]:", noPort), (":", noPort), (":80", noHost),
        ("host:0", badPort), ("host:65536", badPort), ("host:99999999999999999999", badPort), ("host:+1", badPort), ("host:-1", badPort),
        ("host:http", badPort), ("host:80 ", badPort), ("host:8 0", badPort), ("host: 80", badPort), ("host:９", badPort),
        ("[::1]:0", badPort), ("[]:80", onlyIPv6), ("[host]:80", onlyIPv6), ("[10.0.0.1]:80", onlyIPv6), ("[::1%]:80", onlyIPv6),
        ("[::g]:80", onlyIPv6), ("::1", "an IPv6 address needs brackets and a port, as in [::1]:8091"),
        ("::", "an IPv6 address needs brackets and a port, as in [::]:8091"),
        // The last part could be a port or a part of the address.
        ("fe80::1:8081", "an IPv6 address needs brackets and a port, as in [fe80::1:8081]:8091"),
        ("fe80::1%eth0:8081", "an IPv6 address needs brackets and a port, as in [fe80::1%eth0:8081]:8091"),
        ("fe80::12345:8081", bare), ("a:b:80", bare), ("[::1:80", bare), ("::1]:80", bare),
        ("http://host:80", "leave out what is before the host"), ("user@host:80", badHost), ("host/path:80", badHost),
        (" host:80", badHost), ("a b:80", badHost), ("[host:80", badHost), ("host]:80", badHost),
    ])
    func anythingElseIsNoAddress(text: String, reason: String) {
        #expect(parseAddress(text) == nil)
        #expect(addressFault(text) == "must be host:port, not \"\(text)\": \(reason)")
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

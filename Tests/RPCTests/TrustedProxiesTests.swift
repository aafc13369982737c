import NIOCore
import RPC
import Testing

/// Which proxies are believed, and what they say about callers.
struct TrustedProxiesTests {
    private static func address(_ text: String) throws -> SocketAddress { try SocketAddress(ipAddress: text, port: 1) }

    @Test(arguments: [
        (["10.0.0.5"], ["10.0.0.5", "::ffff:10.0.0.5"], ["10.0.0.4", "::10.0.0.5", "2001:db8::1"]),
        (["10.1.0.0/16"], ["10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3"], ["10.0.255.255", "10.2.0.0"]),
        (["192.168.7.128/25", "127.0.0.1"], ["192.168.7.128", "192.168.7.255", "127.0.0.1"], ["192.168.7.127", "127.0.0.2"]),
        (["10.0.0.1/1"], ["127.255.255.255", "0.0.0.0"], ["128.0.0.0", "2001:db8::1"]),
        (["2001:db8::/33"], ["2001:db8::1", "2001:db8:7fff::"], ["2001:db8:8000::", "2001:db9::"]),
        (["::1"], ["::1"], ["127.0.0.1", "::2"]),
        (["::ffff:10.0.0.0/104"], ["10.9.9.9"], ["11.0.0.0"]),
    ])
    func networks(entries: [String], inside: [String], outside: [String]) throws {
        let proxies = try TrustedProxies(entries)
        #expect(!proxies.isEmpty)
        for text in inside { #expect(proxies.contains(try Self.address(text)), "\(text)") }
        for text in outside { #expect(!proxies.contains(try Self.address(text)), "\(text)") }
    }

    @Test(arguments: [
        "", "example.com", "10.0.0", "10.0.0.0/", "10.0.0.0/0", "10.0.0.0/33", "10.0.0.0/8/8", "10.0.0.0/+8", "10.0.0.0/-8", "::/0",
        "::/129", "[::1]", "10.0.0.1:80", " 10.0.0.1", "10.0.0.0/99999999999999999999",
    ])
    func anythingElseIsAFault(entry: String) {
        #expect(throws: TrustedProxies.Fault.self) { try TrustedProxies(["127.0.0.1", entry]) }
    }

    @Test func withoutProxiesNobodyIsTrusted() throws {
        for proxies in [TrustedProxies(), try TrustedProxies([])] {
            let address = try Self.address("127.0.0.1")
            #expect(proxies.isEmpty && !proxies.contains(address) && !proxies.contains(nil))
        }
        let socket = try SocketAddress(unixDomainSocketPath: "/socket")
        let trusted = try TrustedProxies(["127.0.0.1"])
        #expect(!trusted.contains(socket))
    }

    @Test(arguments: [
        ([], "10.0.0.1"),
        (["203.0.113.9"], "203.0.113.9"),
        // The last address that is of no proxy; what is before it is the caller's own word.
        (["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        (["1.1.1.1, 203.0.113.9, 10.0.0.7"], "203.0.113.9"),
        (["1.1.1.1", "203.0.113.9", "10.0.0.7, 10.0.0.8"], "203.0.113.9"),
        (["10.0.0.9, 10.0.0.7"], "10.0.0.9"),
        // Ports, brackets, spaces.
        (["203.0.113.9:4711"], "203.0.113.9"), (["  203.0.113.9\t"], "203.0.113.9"),
        (["2001:db8:1:2:3::4"], "2001:db8:1:2::/64"), (["[2001:db8:1:2:3::4]"], "2001:db8:1:2::/64"),
        (["[2001:db8:1:2:3::4]:443"], "2001:db8:1:2::/64"), (["::ffff:203.0.113.9"], "203.0.113.9"),
        (["[::ffff:10.0.0.7]:1, 10.0.0.8"], "10.0.0.7"),
        // What is no address ends the search, with the proxy that wrote it.
        (["unknown"], "10.0.0.1"), (["1.1.1.1, _hidden"], "10.0.0.1"), (["1.1.1.1, , 10.0.0.7"], "10.0.0.7"), ([""], "10.0.0.1"),
        (["1.1.1.1,"], "10.0.0.1"), (["1.1.1.1, 1.2.3.4.5"], "10.0.0.1"), (["1.1.1.1, 1.2.3.4:"], "10.0.0.1"),
        (["1.1.1.1, 1.2.3.4:123456"], "10.0.0.1"), (["1.1.1.1, 1.2.3.4:x"], "10.0.0.1"), (["1.1.1.1, [::1"], "10.0.0.1"),
        (["1.1.1.1, [::1]x"], "10.0.0.1"), (["1.1.1.1, [1.2.3.4]"], "10.0.0.1"), (["1.1.1.1, []"], "10.0.0.1"),
        (["1.1.1.1, ["], "10.0.0.1"),
        (["1.1.1.1, :"], "10.0.0.1"), (["1.1.1.1, ::g"], "10.0.0.1"), (["1.1.1.1, \"1.2.3.4\""], "10.0.0.1"),
        (["1.1.1.1, ünïcode"], "10.0.0.1"), (["1.1.1.1, 1.2.3.4\0"], "10.0.0.1"),
    ])
    func theCallerIsTheLastThatIsNoProxy(fields: [String], caller: String) throws {
        let proxies = try TrustedProxies(["10.0.0.0/8"])
        #expect(proxies.caller(fields, of: try Self.address("10.0.0.1")) == caller)
    }

    @Test func aLongListIsReadFromItsEnd() throws {
        let proxies = try TrustedProxies(["10.0.0.0/8"])
        let peer = try Self.address("10.0.0.1")
        let many = Array(repeating: "10.0.0.7", count: 5_000).joined(separator: ",")
        #expect(proxies.caller(["1.2.3.4," + many], of: peer) == "1.2.3.4")
        #expect(proxies.caller([many + ",5.6.7.8"], of: peer) == "5.6.7.8")
        #expect(proxies.caller([String(repeating: "1", count: 80_000)], of: peer) == "10.0.0.1")
    }
}

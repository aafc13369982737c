import Notifications
import Testing

/// URLs, addresses and which of them may be called.
struct TargetTests {
    @Test func urls() throws {
        for (text, url) in [
            ("https://A.Example", "https://a.example/"), ("HTTP://a:80/x", "http://a/x"), ("https://a:8443?q=1", "https://a:8443/?q=1"),
            ("https://[::1]:9/x", "https://[::1]:9/x"), ("https://0x7f.1/", "https://0x7f.1/"),
        ] {
            #expect(try WebTarget(text).url == url)
        }
        for bad in [
            "", "a.example", "ftp://a", "https://", "https:///x", "https://user@a/", "https://a:b@c/", "https://a/#x", "https://a b/",
            "https://a\\@b/", "https://a:0/", "https://a:65536/", "https://a:+80/", "https://a:/", "https://[::1", "https://[::1]x/",
            "https://[fe80::1%25eth0]/", "https://[127.0.0.1]/", "https://ä.example/", "https://a%2e/", "https://a..b/",
            "https://a/\r\nX: y", "https://\u{FF11}27.0.0.1/", "https://a/" + String(repeating: "x", count: 2_048),
        ] {
            #expect(throws: ChannelFault.self, "\(bad)") { try WebTarget(bad) }
        }
        #expect(try WebTarget("http://a/x/").appending("/y").url == "http://a/x/y")
        #expect(try WebTarget("http://a").appending("/y").url == "http://a/y")
    }

    static let internalAddresses = [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.169.254", "172.16.0.1",
        "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
        "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8",
        "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "3fff::1", "5f00::1",
        "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1",
    ]

    @Test func addressesOfTheInternet() throws {
        for text in Self.internalAddresses { #expect(try #require(IPAddress(text)).isPublic == false, "\(text)") }
        for text in [
            "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1", "223.255.255.255",
            "2606:4700::1", "2a00::1", "2001:200::1", "2001:4860:4860::8888",
        ] {
            #expect(try #require(IPAddress(text)).isPublic, "\(text)")
        }
        for text in ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.1 ", "1.2.3.4\u{0}", "[::1]", "::1%lo", "a"] {
            #expect(IPAddress(text) == nil, "\(text)")
        }
        #expect(IPAddress("::FFFF:1.2.3.4")?.description == "::ffff:1.2.3.4")
    }

    @Test func ranges() throws {
        #expect(IPRange("10.0.0.0/8")?.contains(try #require(IPAddress("10.255.0.1"))) == true)
        #expect(IPRange("10.0.0.0/8")?.contains(try #require(IPAddress("11.0.0.1"))) == false)
        #expect(IPRange("10.0.0.0/8")?.contains(try #require(IPAddress("::ffff:10.0.0.1"))) == false)
        #expect(IPRange("0.0.0.0/0")?.contains(try #require(IPAddress("9.9.9.9"))) == true)
        #expect(IPRange("fd00::/9")?.contains(try #require(IPAddress("fd7f::1"))) == true)
        #expect(IPRange("fd00::/9")?.contains(try #require(IPAddress("fd80::1"))) == false)
        for bad in ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/+8", "::/129", "a/8"] {
            #expect(IPRange(bad) == nil)
        }
    }

    @Test func policy() throws {
        let open = try TargetPolicy()
        let (inside, outside) = (try #require(IPAddress("10.0.0.5")), try #require(IPAddress("8.8.8.8")))
        let (https, http) = (try WebTarget("https://am.example:9093"), try WebTarget("http://am.example:9093"))
        func isAllowed(_ policy: TargetPolicy, _ target: WebTarget, _ addresses: [IPAddress]) -> Bool {
            do throws(ChannelFault) {
                try policy.check(target, at: addresses)
                return true
            } catch {
                return false
            }
        }
        #expect(isAllowed(open, https, [outside]))
        #expect(!isAllowed(open, http, [outside]))
        #expect(!isAllowed(open, https, [inside]))
        #expect(!isAllowed(open, https, [outside, inside]))
        #expect(!isAllowed(open, https, []))
        for (text, expected) in [
            ("10.0.0.0/8", true), ("10.0.0.5", true), ("10.0.0.5:9093", true), ("10.0.0.5:9094", false), ("10.0.0.6", false),
            ("am.example", true), ("AM.example:9093", true), ("am.example:1", false), ("example", false), ("[fd00::1]:9093", false),
        ] {
            let policy = try TargetPolicy(allowing: [text])
            #expect(isAllowed(policy, http, [inside]) == expected, "\(text)")
            #expect(isAllowed(policy, https, [inside]) == expected, "\(text)")
        }
        for bad in ["", "10.0.0.1/8", "10.0.0", "a:0", "a:x", "http://a", "*.example", "10.0.0.5:99999"] {
            #expect(throws: ChannelFault.self, "\(bad)") { try TargetPolicy(allowing: [bad]) }
        }
    }
}

import FunnelModel
import Testing

import EventSDKs

struct CampaignTests {
    private func fields(_ url: String?, _ referrer: String? = nil) -> [String] {
        CampaignFields(url: url.map { ByteString($0) }, referrer: referrer.map { ByteString($0) }).fields.map {
            "\($0.key)=\($0.value.asString?.string ?? "?")"
        }
    }

    @Test func parametersOfAURL() {
        #expect(
            fields(
                "https://a.example/p?utm_source=News+Letter&utm_medium=e%2Dmail&x=1&utm_campaign=%C3%A9t%C3%A9"
                    + "&utm_term=t&utm_content=c#utm_x=1"
            )
                == ["utm_source=News Letter", "utm_medium=e-mail", "utm_campaign=été", "utm_term=t", "utm_content=c"])
        #expect(fields("?gclid=g&fbclid=f&gclid=h") == ["gclid=g", "fbclid=f"])
        // A value that cannot be kept is skipped, and a later one counts.
        #expect(fields("/p?utm_source=%FF&utm_source=%&utm_source=&utm_source=ok") == ["utm_source=ok"])
        let long = String(repeating: "x", count: Limits.propertyValueBytes + 1)
        #expect(fields("/?utm_source=\(long)&utm_term=\(long.dropLast())").map(\.count) == ["utm_term=".count + Limits.propertyValueBytes])
        for url in ["", "?", "https://a.example/", "https://a.example/#?utm_source=x&", "/?utm_source", "/?Utm_source=x", "/#a?b"] {
            #expect(fields(url).isEmpty, "\(url)")
        }
    }

    @Test func hostOfAReferrer() {
        let hosts: [(String, String?)] = [
            ("https://www.Google.com/search?q=a", "www.google.com"), ("http://user:pw@h.example:8080", "h.example"),
            ("https://h.example?x", "h.example"), ("https://h.example#x", "h.example"),
            ("android-app://com.example.app/", "com.example.app"),
            ("http://[2001:db8::1]:80/x", "[2001:db8::1]"), ("https://müller.example/", "müller.example"), ("$direct", nil), ("", nil),
            ("/path", nil), ("https://", nil), ("://h", nil), ("https:/h", nil), ("h.example", nil), ("a b://h", nil),
            ("https://a b/", nil),
            ("https://@/", nil), ("https://:80/", nil), ("mailto:a@b.example", nil), ("https://\(String(repeating: "a", count: 256))", nil),
        ]
        for (url, host) in hosts { #expect(fields(nil, url) == (host.map { ["referrer_host=\($0)"] } ?? []), "\(url)") }
    }

    @Test func theEventsOwnFieldsWin() {
        var properties: [JSONValue.Member] = [.init("utm_source", "own"), .init("referrer_host", "own")]
        CampaignFields(url: "?utm_source=u&utm_term=t", referrer: "https://h/").add(to: &properties)
        #expect(properties == [.init("utm_source", "own"), .init("referrer_host", "own"), .init("utm_term", "t")])
    }
}

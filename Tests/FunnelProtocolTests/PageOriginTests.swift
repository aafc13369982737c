import FunnelModel
import FunnelProtocol
import Testing

/// Origins of web pages, as people write them and browsers send them.
struct PageOriginTests {
    @Test(arguments: [
        ("https://shop.example", "https://shop.example"), ("HTTPS://Shop.EXAMPLE", "https://shop.example"),
        ("https://shop.example:443", "https://shop.example"), ("http://shop.example:80", "http://shop.example"),
        ("http://shop.example:443", "http://shop.example:443"), ("http://localhost:3000", "http://localhost:3000"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"), ("http://127.0.0.1:65535", "http://127.0.0.1:65535"),
        ("http://[::1]:8080", "http://[::1]:8080"), ("https://[2001:DB8::1]", "https://[2001:db8::1]"),
        ("https://a_b.example", "https://a_b.example"),
    ]) func accepted(text: String, origin: String) {
        #expect(PageOrigin(text)?.text == origin)
        // Said again, it is the same.
        #expect(PageOrigin(origin)?.text == origin)
    }

    @Test(arguments: [
        "", "null", "*", "https://", "https://*", "https://*.example", "shop.example", "//shop.example", "ftp://shop.example",
        "https://shop.example/", "https://shop.example/path", "https://shop.example?q", "https://shop.example#f",
        "https://user@shop.example", "https://shop.example:", "https://shop.example:0", "https://shop.example:65536",
        "https://shop.example:+1", "https://shop.example:80:80", "https://bücher.example", "https://shop.example ",
        " https://shop.example",
        "https://[::1", "https://[]", "https://[g::1]", "https://::1", "https://\u{212A}.example", "https://shop.example\n",
        "https://" + String(repeating: "a", count: 248),
    ]) func refused(text: String) { #expect(PageOrigin(text) == nil) }
}

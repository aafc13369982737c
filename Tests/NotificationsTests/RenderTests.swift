import Foundation
import FunnelModel
import Notifications
import Testing

/// Notices as bytes, compared with what is written here by hand.
struct RenderTests {
    private static let target = "https://hooks.example.com/a?token=t"

    @Test func webhookBody() throws {
        let expected =
            #"{"version":1,"id":"checkout/DE/2026-01-31T11:55:00Z/firing","key":"checkout/DE/2026-01-31T11:55:00Z","rule":"checkout","#
            + #""project":3,"status":"firing","title":"Conversion of Checkout fell","text":"Checkout to Purchase\n<b>DE</b> & \"AT\"","#
            + #""numbers":[{"name":"conversion","value":0.1234},{"name":"users","value":1200}],"#
            + #""link":"https://sluice.example/#/funnels/shop?step=3&x=1","starts":"2026-01-31T11:55:00Z","ends":null}"#
        #expect(String(decoding: WebMessage.webhookBody(Samples.firing), as: UTF8.self) == expected)
        let message = WebMessage.webhook(Samples.firing, to: try WebTarget(Self.target), secret: nil, now: Samples.now)
        #expect(message.headers.map(\.name) == ["Idempotency-Key"])
        #expect(message.headers.map(\.value) == [Samples.firing.id])
    }

    /// The example of `CHANNELS.md` section 4.
    @Test func signatureOfTheExample() {
        let text = Signature.text(of: Array(#"{"version":1}"#.utf8), seconds: 1_769_860_800, secret: Secret("0123456789abcdef"))
        #expect(text == "v1=b50f43539f7c221b1a92863c770dfac0853092d27d820bd1e470a1aaea8b1dd3")
    }

    @Test(.enabled(if: Tool.python != nil, "python3 is not installed"))
    func signatureIsThatOfPython() throws {
        let python = try #require(Tool.python)
        let secret = Secret("a secret of 20 bytes")
        let message = WebMessage.webhook(Samples.firing, to: try WebTarget(Self.target), secret: secret, now: Samples.now)
        let headers = Dictionary(message.headers.map { ($0.name, $0.value) }) { a, _ in a }
        let script = """
            import base64, hashlib, hmac, sys
            secret, time, body = sys.argv[1].encode(), sys.argv[2].encode(), base64.b64decode(sys.argv[3])
            print("v1=" + hmac.new(secret, time + b"." + body, hashlib.sha256).hexdigest(), end="")
            """
        let expected = try Tool.run(
            python, ["-c", script, secret.text, headers["X-Sluice-Timestamp"] ?? "", Data(message.body).base64EncodedString()])
        #expect(headers["X-Sluice-Timestamp"] == "1769860800")
        #expect(headers["X-Sluice-Signature"] == expected)
    }

    @Test func slackBody() throws {
        let body = WebMessage.slack(Samples.firing, to: try WebTarget(Self.target)).body
        let expected =
            #"{"text":"Firing: Conversion of Checkout fell","attachments":[{"fallback":"Firing: Conversion of Checkout fell","#
            + ##""color":"#d00000","title":"Conversion of Checkout fell","title_link":"https://sluice.example/#/funnels/shop?step=3&x=1","##
            + #""text":"Checkout to Purchase\n&lt;b&gt;DE&lt;/b&gt; &amp; \"AT\"","fields":[{"title":"conversion","value":"0.1234","#
            + #""short":true},{"title":"users","value":"1200","short":true}],"ts":1769860500,"mrkdwn_in":[]}]}"#
        #expect(String(decoding: body, as: UTF8.self) == expected)
    }

    @Test func slackTextCallsNobody() throws {
        let notice = Samples.notice("k", title: "<!channel> @all [a](http://evil.example) <@U1>")
        let text = try JSONParser.parse(WebMessage.slack(notice, to: try WebTarget(Self.target)).body)["text"]?.asString?.string
        #expect(text == "Firing: &lt;!channel&gt; @\u{200B}all [a]\u{200B}(http://evil.example) &lt;@\u{200B}U1&gt;")
    }

    @Test func alertmanagerBody() throws {
        let target = try WebTarget("http://alertmanager:9093/")
        let firing = WebMessage.alertmanager(Samples.firing, to: target, authorization: Secret("Bearer x"), now: Samples.now)
        #expect(firing.target.url == "http://alertmanager:9093/api/v2/alerts")
        #expect(firing.headers.map { "\($0.name): \($0.value)" } == ["Authorization: Bearer x"])
        let expected =
            #"[{"labels":{"alertname":"checkout","project":"3","service":"sluice","sluice_key":"checkout/DE/2026-01-31T11:55:00Z"},"#
            + #""annotations":{"summary":"Conversion of Checkout fell","#
            + #""description":"Checkout to Purchase\n<b>DE</b> & \"AT\"\nconversion: 0.1234\nusers: 1200"},"#
            + #""startsAt":"2026-01-31T11:55:00Z","endsAt":"2026-01-31T12:04:00Z","#
            + #""generatorURL":"https://sluice.example/#/funnels/shop?step=3&x=1"}]"#
        #expect(String(decoding: firing.body, as: UTF8.self) == expected)

        // Alertmanager knows an alert by its labels.
        let resolved = WebMessage.alertmanager(Samples.resolved, to: target, authorization: nil, now: Samples.now + 9_000_000)
        let (one, other) = (try JSONParser.parse(firing.body).asArray?.first, try JSONParser.parse(resolved.body).asArray?.first)
        #expect(one?["labels"] == other?["labels"])
        #expect(other?["endsAt"] == "2026-01-31T12:00:00Z")
        #expect(resolved.headers.isEmpty)
    }

    @Test func numbersAreShort() {
        let values: [(Double, String)] = [
            (0, "0"), (1, "1"), (-2, "-2"), (0.5, "0.5"), (-0.00001, "0"), (1.0 / 3, "0.3333"), (1e14, "100000000000000"),
            (99.99999, "100"),
        ]
        for (value, text) in values {
            let notice = Notice(key: "k", rule: "r", project: 1, title: "t", numbers: [.init("n", value)], starts: 0)
            let body = WebMessage.alertmanager(notice, to: Self.anyTarget, authorization: nil, now: 0).body
            #expect((try? JSONParser.parse(body))?.asArray?.first?["annotations"]?["description"] == .text("n: \(text)"))
        }
    }

    private static let anyTarget: WebTarget = {
        do { return try WebTarget("https://a.example") } catch { fatalError("\(error)") }
    }()

    @Test func textsAreCutAndCleaned() {
        let notice = Notice(
            key: String(repeating: "k", count: 300), rule: "r", project: 1, title: "a\r\nb\u{2028}" + String(repeating: "é", count: 300),
            text: "x\r\ny\rz\u{0}", numbers: [.init("nan", .nan), .init("ok", 1)], link: "javascript:alert(1)", starts: 0)
        #expect(notice.title.hasPrefix("a␍␊b<U+2028>é") && notice.title.utf8.count <= NoticeLimits.titleBytes)
        #expect(notice.text == "x\ny\nz␀")
        #expect(notice.numbers.map(\.name) == ["ok"])
        #expect(notice.link == nil)
        #expect(notice.key.utf8.count <= NoticeLimits.keyBytes)
        let other = Samples.notice(String(repeating: "k", count: 301))
        #expect(notice.key != other.key)
        #expect(notice.key == Samples.notice(String(repeating: "k", count: 300)).key)
    }

    @Test func noticesReadBack() throws {
        for notice in [Samples.firing, Samples.resolved, Samples.notice("k", title: "\"\\\u{7}", text: "a\n\u{202E}b")] {
            #expect(Notice(try JSONParser.parse(notice.json.encode())) == notice)
        }
        #expect(Notice(["key": "k"]) == nil)
    }
}

import FunnelModel
import Notifications
import Testing

/// Channels as JSON: what is read, what is refused, and that no secret is shown.
struct ChannelTests {
    private static func parse(_ text: String, replacing old: Channel? = nil) throws -> Channel {
        try Channel.parse(try JSONParser.parse(Array(text.utf8)), replacing: old)
    }

    private static func faults(_ text: String, replacing old: Channel? = nil) throws -> [String] {
        let document = try JSONParser.parse(Array(text.utf8))
        do throws(InvalidDocument) {
            _ = try Channel.parse(document, replacing: old)
            return []
        } catch {
            return error.faults.map { "\($0.field): \($0.reason)" }
        }
    }

    private static let documents = [
        #"{"id":"hook","kind":"webhook","settings":{"url":"https://a.example/x?key=SECRET","secret":"SECRET-of-16-bytes"}}"#,
        #"{"id":"plain","kind":"webhook","settings":{"url":"https://a.example"}}"#,
        #"{"id":"chat","kind":"slack","settings":{"url":"https://hooks.slack.com/services/SECRET"}}"#,
        #"{"id":"am","kind":"alertmanager","settings":{"url":"http://am:9093/","authorization":"Bearer SECRET"}}"#,
        #"{"id":"mail","kind":"email","settings":{"to":["team@example.com","a+b@x.example"]}}"#,
        #"{"id":"log","kind":"file","settings":{"file":"alerts.ndjson"}}"#,
    ]

    @Test func everyKindReadsBack() throws {
        var kinds: Set<String> = []
        for text in Self.documents {
            let channel = try Self.parse(text)
            kinds.insert(channel.kind.rawValue)
            #expect(try Channel.parse(channel.stored) == channel)
        }
        #expect(kinds == Set(Channel.Kind.allCases.map(\.rawValue)))
    }

    @Test func secretsAreNotShown() throws {
        for text in Self.documents {
            let channel = try Self.parse(text)
            #expect(!String(decoding: channel.json.encode(), as: UTF8.self).contains("SECRET"))
            #expect(!"\(channel)".contains("SECRET"))
        }
        let hook = try Self.parse(Self.documents[0])
        let shown = #"{"id":"hook","kind":"webhook","settings":{"host":"a.example","secrets":["url","secret"]}}"#
        #expect(String(decoding: hook.json.encode(), as: UTF8.self) == shown)
        guard case .webhook(let target, _) = hook.settings else { return }
        #expect("\(target)" == "https://a.example")
    }

    /// What a reader got can be sent back, changed or not.
    @Test func secretsThatAreLeftOutStay() throws {
        for text in Self.documents {
            let channel = try Self.parse(text)
            #expect(try Channel.parse(channel.json, replacing: channel) == channel)
        }
        let hook = try Self.parse(Self.documents[0])
        let unsigned = try Self.parse(#"{"id":"hook","kind":"webhook","settings":{"secret":null}}"#, replacing: hook)
        guard case .webhook(let target, let secret) = unsigned.settings else { return }
        #expect(target.url == "https://a.example/x?key=SECRET")
        #expect(secret == nil)
    }

    /// Else a changed URL would send the secret to somebody else.
    @Test func secretsDoNotMoveToAnotherTarget() throws {
        let alertmanager = try Self.parse(Self.documents[3])
        let moved = #"{"id":"am","kind":"alertmanager","settings":{"url":"http://other:9093/"}}"#
        #expect(
            try Self.faults(moved, replacing: alertmanager) == [
                "settings.authorization: must be given again, or be null, because the url changes"
            ])
        let open = #"{"id":"am","kind":"alertmanager","settings":{"url":"http://other:9093/","authorization":null}}"#
        #expect(try Self.faults(open, replacing: alertmanager) == [])
        // A channel of another kind has other secrets.
        let chat = try Self.parse(Self.documents[2])
        let hook = #"{"id":"chat","kind":"webhook","settings":{}}"#
        #expect(try Self.faults(hook, replacing: chat) == ["settings.url: is required"])
    }

    @Test func faultsNameTheField() throws {
        let cases: [(String, [String])] = [
            ("[]", ["body: must be an object, not an array"]),
            (
                "{}",
                [
                    "id: is required", "kind: is required: one of webhook, slack, alertmanager, email, file", "settings: is required",
                ]
            ),
            (
                #"{"id":"a b","kind":"file","settings":{"file":"a"}}"#,
                ["id: must match [A-Za-z0-9_.-]{1,128}"]
            ),
            (
                #"{"id":"a","kind":"webhook","settings":{"url":"https://a.example","secret":"short"}}"#,
                ["settings.secret: has 5 bytes; it must have 16 to 1024"]
            ),
            (
                #"{"id":"a","kind":"webhook","settings":{"url":"https://a.example","secret_env":"X"}}"#,
                ["settings.secret_env: is only for files of definitions; send secret"]
            ),
            (
                #"{"id":"a","kind":"email","settings":{"to":["-oQ/tmp@x.example","a@b\nBcc: c@d",7]}}"#,
                [
                    "settings.to[0]: must be an address such as team@example.com, in ASCII, without a name or quotes",
                    "settings.to[1]: must be an address such as team@example.com, in ASCII, without a name or quotes",
                    "settings.to[2]: must be a string, not a number",
                ]
            ),
            (#"{"id":"a","kind":"email","settings":{"to":[]}}"#, ["settings.to: must be a list of 1 to 20 addresses"]),
            (
                #"{"id":"a","kind":"alertmanager","settings":{"url":"http://a/?x=1","authorization":"a\r\nX: y"}}"#,
                [
                    "settings.url: must not have a query (?)",
                    "settings.authorization: must have 1 to 1024 visible ASCII characters and blanks",
                ]
            ),
        ]
        for (text, expected) in cases { #expect(try Self.faults(text) == expected, "\(text)") }
        for name in ["../x", "a/b", ".hidden", "-rf", "", "a\u{0}b", String(repeating: "a", count: 101)] {
            let document: JSONValue = ["id": "a", "kind": "file", "settings": ["file": .text(name)]]
            #expect(throws: InvalidDocument.self) { try Channel.parse(document) }
        }
    }

    @Test func mailAddresses() throws {
        for good in ["a@b", "first.last+tag@sub.example.com", "o'brien@x.example"] { #expect(try MailAddress(good).text == good) }
        for bad in [
            "", "@", "a@", "@b", "a@b@c", "a b@c", "-a@b", "a@-b", "a.@b", ".a@b", "a..b@c", "\"a\"@b", "A <a@b>", "a@b.", "a@b\n", "ä@b",
            "a@[127.0.0.1]", "a,b@c", "a@b,c@d", String(repeating: "a", count: 65) + "@b",
        ] {
            #expect(throws: ChannelFault.self, "\(bad)") { try MailAddress(bad) }
        }
    }
}

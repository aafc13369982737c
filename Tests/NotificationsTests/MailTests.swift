import Foundation
import FunnelModel
import Notifications
import Testing

/// Mails, and the program that takes them.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct MailTests {
    private static func sender(_ program: String, seconds: Int = 30) throws -> NoticeSender {
        var settings = NoticeSender.Settings(targets: try TargetPolicy(), mail: (program, try MailAddress("sluice@example.com")))
        settings.sendmailSeconds = seconds
        return NoticeSender(settings)
    }

    private static func channel(_ to: [String] = ["team@example.com", "o'brien@x.example"]) throws -> Channel {
        Channel(id: "mail", settings: .email(to: try to.map { try MailAddress($0) }))
    }

    /// A program that keeps its arguments, its variables and the message.
    private static let keeping = """
        cd "$(dirname "$0")" || exit 1
        printf '%s\\n' "$@" > arguments
        env > environment
        cat > message
        """

    /// Reads a message with Python's email package, strictly, and prints what a mail program would see.
    private static let reader = """
        import email, email.policy, json, sys
        policy = email.policy.default.clone(raise_on_defect=True)
        message = email.message_from_bytes(open(sys.argv[1], "rb").read(), policy=policy)
        parts = {part.get_content_type(): part.get_content() for part in message.iter_parts()}
        print(json.dumps({"headers": [[name, str(value)] for name, value in message.items()], "parts": parts,
            "to": [a.addr_spec for a in message["To"].addresses], "date": message["Date"].datetime.isoformat()}), end="")
        """

    private static func read(_ path: String) throws -> JSONValue {
        try JSONParser.parse(Array(try Tool.run(try #require(Tool.python), ["-c", reader, path]).utf8))
    }

    private static func header(_ mail: JSONValue, _ name: String) -> [String] {
        (mail["headers"]?.asArray ?? []).compactMap { pair in
            guard let values = pair.asArray, values.count == 2, values[0] == .text(name) else { return nil }
            return values[1].asString?.string
        }
    }

    @Test(.enabled(if: Tool.python != nil, "python3 is not installed"))
    func mailIsReadBackByPython() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let sender = try Self.sender(try folder.script(Self.keeping))
        #expect(await sender.send(Samples.firing, to: try Self.channel(), now: Samples.now) == .delivered)
        #expect(try folder.text("arguments") == "-i\n-f\nsluice@example.com\n--\nteam@example.com\no'brien@x.example\n")
        let variables = try folder.text("environment").split(separator: "\n").compactMap { $0.split(separator: "=").first.map(String.init) }
        #expect(Set(variables).isSubset(of: ["PATH", "LC_ALL", "HOME", "USER", "LOGNAME", "PWD", "OLDPWD", "SHLVL", "_"]))

        let mail = try Self.read(folder.path + "/message")
        #expect(Self.header(mail, "Subject") == ["[Firing] Conversion of Checkout fell"])
        #expect(Self.header(mail, "From") == ["Sluice <sluice@example.com>"])
        #expect(mail["to"] == ["team@example.com", "o'brien@x.example"])
        #expect(mail["date"] == "2026-01-31T12:00:00+00:00")
        #expect(Self.header(mail, "Auto-Submitted") == ["auto-generated"])
        let text = mail["parts"]?["text/plain"]?.asString?.string
        #expect(
            text == """
                Firing: Conversion of Checkout fell
                since 2026-01-31T11:55:00Z

                Checkout to Purchase
                <b>DE</b> & "AT"

                conversion: 0.1234
                users: 1200

                https://sluice.example/#/funnels/shop?step=3&x=1

                """)
        let html = try #require(mail["parts"]?["text/html"]?.asString?.string)
        #expect(html.contains("&lt;b&gt;DE&lt;/b&gt; &amp; &quot;AT&quot;") && !html.contains("<b>"))
        #expect(html.contains("<td>conversion</td><td align=\"right\">0.1234</td>"))
        #expect(html.contains("href=\"https://sluice.example/#/funnels/shop?step=3&amp;x=1\""))

        // A repeat has the same id, so that mail programs can show it once.
        let id = Self.header(mail, "Message-ID")
        #expect(await sender.send(Samples.firing, to: try Self.channel(), now: Samples.now + 60_000_000) == .delivered)
        #expect(try Self.header(Self.read(folder.path + "/message"), "Message-ID") == id)
        #expect(await sender.send(Samples.resolved, to: try Self.channel(), now: Samples.now) == .delivered)
        #expect(try Self.header(Self.read(folder.path + "/message"), "Message-ID") != id)
    }

    @Test(.enabled(if: Tool.python != nil, "python3 is not installed"))
    func hostileNamesStayText() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let sender = try Self.sender(try folder.script(Self.keeping))
        let titles = [
            "a\r\nBcc: evil@example.com", "a\nX-Evil: 1\n\nbody", "=?utf-8?Q?=0D=0ABcc:_evil@example.com?=", "ä \u{2028}Bcc: x@y",
            String(repeating: "😀é", count: 100), "\u{0}\u{7F}\u{85}", "", ".", "<script>alert('1')</script>&amp;",
            String(repeating: "a ", count: 90),
        ]
        for title in titles {
            let notice = Samples.notice(
                title.isEmpty ? "k" : title, title: title, text: ".\n\(title)\nFrom x\n--=_sluice_\n</p><img src=x>")
            #expect(await sender.send(notice, to: try Self.channel(["a@b.example"]), now: Samples.now) == .delivered)
            let mail = try Self.read(folder.path + "/message")
            let names = (mail["headers"]?.asArray ?? []).compactMap { $0.asArray?.first?.asString?.string }
            #expect(
                names == ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"], "\(title)")
            let subject = Self.header(mail, "Subject").first
            #expect(subject?.trimmed == "[Firing] \(notice.title)".trimmed, "\(title)")
            let text = try #require(mail["parts"]?["text/plain"]?.asString?.string)
            #expect(text.contains(notice.text))
            let html = try #require(mail["parts"]?["text/html"]?.asString?.string)
            #expect(!html.contains("<script") && !html.contains("<img") && html.contains("&lt;img src=x&gt;"))
        }
        let raw = try folder.text("message")
        #expect(raw.split(separator: "\n", omittingEmptySubsequences: false).allSatisfy { $0.utf8.count <= 998 })
    }

    @Test func endsOfSendmail() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let cases: [(String, DeliveryOutcome)] = [
            ("cat > /dev/null; echo 'no such user' >&2; echo more >&2; exit 67", .refused("sendmail ended with status 67: no such user")),
            ("echo 'try later' >&2; exit 75", .failed("sendmail ended with status 75: try later")),
            ("exit 1", .failed("sendmail ended with status 1")),
            ("kill -TERM $$", .failed("sendmail ended by signal 15")),
            // More than a pipe holds.
            ("head -c 1000000 /dev/zero >&2; exit 0", .delivered),
            // A child that stays does not keep the delivery.
            ("cd \"$(dirname \"$0\")\"; sleep 600 & echo $! > child; exit 0", .delivered),
        ]
        for (script, expected) in cases {
            let sender = try Self.sender(try folder.script(script))
            #expect(await sender.send(Samples.firing, to: try Self.channel(), now: Samples.now) == expected, "\(script)")
        }
        kill(try #require(pid_t(try folder.text("child").trimmed)), SIGKILL)
        let missing = folder.path + "/none"
        let outcome = await (try Self.sender(missing)).send(Samples.firing, to: try Self.channel(), now: Samples.now)
        #expect(outcome == .failed("\(missing) did not start: No such file or directory"))
    }

    @Test func aSendmailThatHangsIsEnded() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let script = try folder.script("cd \"$(dirname \"$0\")\"; echo waiting >&2; sleep 600 & echo $! > child; wait")
        let outcome = await (try Self.sender(script, seconds: 1)).send(Samples.firing, to: try Self.channel(), now: Samples.now)
        #expect(outcome == .failed("sendmail did not end within 1 s: waiting"))
        // What it started is ended too. The process may be a zombie for a moment.
        let child = try #require(pid_t(try folder.text("child").trimmed))
        while let state = try? String(contentsOfFile: "/proc/\(child)/stat", encoding: .utf8), !state.contains(") Z ") {
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test func mailIsOffWithoutASetting() async throws {
        let sender = NoticeSender(.init(targets: try TargetPolicy()))
        guard case .refused = await sender.send(Samples.firing, to: try Self.channel(), now: Samples.now) else {
            Issue.record("nothing says which program to start")
            return
        }
    }
}

extension String {
    fileprivate var trimmed: String { trimmingCharacters(in: .whitespacesAndNewlines) }
}

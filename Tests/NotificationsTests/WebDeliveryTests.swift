import Foundation
import FunnelModel
import NIOSSL
import Notifications
import Synchronization
import Testing

/// Requests of channels on real sockets.
@Suite(.timeLimit(.minutes(2)))
struct WebDeliveryTests {
    private static func send(_ sender: NoticeSender, _ url: String, attempt: Int = 0) async throws -> DeliveryOutcome {
        await sender.send(Samples.firing, to: try Samples.webhook(url), attempt: attempt, now: Samples.now)
    }

    @Test func webhookArrives() async throws {
        let server = try await LocalServer.start()
        let secret = Secret("0123456789abcdef")
        let channel = try Samples.webhook("http://127.0.0.1:\(server.port)/hook?a=b", secret: secret)
        #expect(await (try Samples.localSender()).send(Samples.firing, to: channel, now: Samples.now) == .delivered)
        let request = try #require(server.requests.first)
        #expect(request.line == "POST /hook?a=b HTTP/1.1")
        #expect(request.body == WebMessage.webhookBody(Samples.firing))
        #expect(request.headers["content-type"] == "application/json")
        #expect(request.headers["idempotency-key"] == Samples.firing.id)
        #expect(
            request.headers["x-sluice-signature"] == Signature.text(of: request.body, seconds: Samples.now / 1_000_000, secret: secret))
        await server.allClosed()
        await server.stop()
    }

    @Test func slackAndAlertmanagerArrive() async throws {
        let server = try await LocalServer.start()
        let sender = try Samples.localSender()
        let target = try WebTarget("http://127.0.0.1:\(server.port)")
        let authorization = Secret("Bearer abc")
        for settings in [Channel.Settings.slack(target), .alertmanager(target, authorization: authorization)] {
            #expect(await sender.send(Samples.firing, to: Channel(id: "c", settings: settings), now: Samples.now) == .delivered)
        }
        #expect(server.requests.map(\.line) == ["POST / HTTP/1.1", "POST /api/v2/alerts HTTP/1.1"])
        #expect(server.requests.last?.headers["authorization"] == "Bearer abc")
        await server.stop()
    }

    // MARK: - Addresses

    /// The same server answers when its address is allowed, so it was reachable.
    @Test func internalAddressesAreRefusedBeforeAConnection() async throws {
        let server = try await LocalServer.start(host: "0.0.0.0")
        let closed = NoticeSender(.init(targets: try TargetPolicy()))
        let spellings = [
            "127.0.0.1", "127.1", "127.0.1", "0x7f.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "0", "0.0.0.0",
            "localhost",
            "LOCALHOST", "[::1]", "[::]", "[::127.0.0.1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:7f00:0001]",
            "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]",
        ]
        let others = TargetTests.internalAddresses.map { $0.contains(":") ? "[\($0)]" : $0 }
        for host in spellings + others {
            for scheme in ["https", "http"] {
                let outcome = try await Self.send(closed, "\(scheme)://\(host):\(server.port)/")
                guard case .refused(let reason) = outcome, reason.contains("which is internal") else {
                    Issue.record("\(scheme)://\(host): \(outcome)")
                    continue
                }
            }
        }
        #expect(server.connections == 0)

        let open = try Samples.localSender()
        let reachable = ["127.0.0.1", "127.1", "0x7f.1", "2130706433"]
        for host in reachable { #expect(try await Self.send(open, "http://\(host):\(server.port)/") == .delivered, "\(host)") }
        #expect(server.connections == reachable.count)
        #expect(server.requests.map { $0.headers["host"] } == reachable.map { "\($0):\(server.port)" })
        await server.stop()
    }

    /// A name is looked up once: its second answer does not matter.
    @Test func aNameIsResolvedOnce() async throws {
        let server = try await LocalServer.start()
        let lookUps = Mutex<[String]>([])
        let answers = [["127.0.0.1"], ["10.0.0.1"], ["127.0.0.1", "10.0.0.1"]]
        let resolver = HostResolver { host, _ in
            let place = lookUps.withLock { names in
                names.append(host)
                return names.count - 1
            }
            return answers[place].compactMap { IPAddress($0) }
        }
        let sender = NoticeSender(.init(targets: try TargetPolicy(allowing: ["127.0.0.0/8"])), resolver: resolver)
        let url = "http://Rebind.test:\(server.port)/"
        #expect(try await Self.send(sender, url) == .delivered)
        #expect(lookUps.withLock { $0 } == ["rebind.test"])
        #expect(server.requests.first?.headers["host"] == "rebind.test:\(server.port)")
        for _ in 0..<2 {
            let outcome = try await Self.send(sender, url)
            #expect(
                outcome
                    == .refused(
                        "rebind.test has the address 10.0.0.1, which is internal; the setting --allowed-targets of the coordinator allows internal targets"
                    ))
        }
        #expect(server.connections == 1)
        await server.stop()
    }

    /// Attempts take the addresses of a name in turn.
    @Test func anotherAttemptTakesAnotherAddress() async throws {
        let server = try await LocalServer.start(host: "127.0.0.2")
        let resolver = HostResolver { _, _ in ["127.0.0.1", "127.0.0.2"].compactMap { IPAddress($0) } }
        let sender = NoticeSender(.init(targets: try TargetPolicy(allowing: ["127.0.0.0/8"])), resolver: resolver)
        let url = "http://two.test:\(server.port)/"
        guard case .failed = try await Self.send(sender, url, attempt: 0) else {
            Issue.record("nobody listens at the first address")
            return
        }
        #expect(try await Self.send(sender, url, attempt: 1) == .delivered)
        await server.stop()
    }

    @Test func namesWithoutAnAddress() async throws {
        let resolver = HostResolver { _, _ in [] }
        let sender = NoticeSender(.init(targets: try TargetPolicy()), resolver: resolver)
        #expect(try await Self.send(sender, "https://none.test/") == .refused("none.test has no address"))
        // Of the system: a name that cannot exist. It may exist later.
        guard case .failed = try await Self.send(try Samples.localSender(), "https://name.invalid/") else {
            Issue.record("a failed look-up is no refusal")
            return
        }
    }

    // MARK: - Answers

    @Test func redirectsAreNotFollowed() async throws {
        let other = try await LocalServer.start()
        for status in [301, 302, 303, 307, 308] {
            let server = try await LocalServer.start([.status(status, headers: ["Location: http://127.0.0.1:\(other.port)/"])])
            let outcome = try await Self.send(try Samples.localSender(), "http://127.0.0.1:\(server.port)/")
            #expect(outcome == .refused("the answer is a redirect (\(status)), which is not followed"))
            #expect(server.connections == 1)
            await server.stop()
        }
        #expect(other.connections == 0)
        await other.stop()
    }

    @Test func slowAnswersAreCutOff() async throws {
        let silent = try await LocalServer.start([.silence])
        let sender = try Samples.localSender(answerSeconds: 1)
        let outcome = try await Self.send(sender, "http://127.0.0.1:\(silent.port)/SECRET")
        #expect(outcome == .failed("http://127.0.0.1:\(silent.port) gave no answer within 1 s"))
        await silent.allClosed()
        await silent.stop()

        let stalled = try await LocalServer.start([.stalled(503)])
        guard case .failed(let reason, nil) = try await Self.send(sender, "http://127.0.0.1:\(stalled.port)/"),
            reason.hasPrefix("the answer is 503")
        else {
            Issue.record("the status of a stalled answer counts")
            return
        }
        await stalled.allClosed()
        await stalled.stop()
    }

    @Test func hugeAnswersAreCutOff() async throws {
        for status in [200, 500] {
            let server = try await LocalServer.start([.endless(status)])
            let outcome = try await Self.send(try Samples.localSender(), "http://127.0.0.1:\(server.port)/")
            switch outcome {
            case .delivered: #expect(status == 200)
            case .failed(let reason, _):
                #expect(status == 500 && reason.hasPrefix("the answer is 500: xxx") && reason.utf8.count <= NoticeLimits.reasonBytes)
            case .refused(let reason): Issue.record("\(reason)")
            }
            await server.allClosed()
            await server.stop()
        }
    }

    @Test func theFirstLineOfAFaultIsShown() async throws {
        let server = try await LocalServer.start([.status(400, body: "invalid\u{1B}[2J payload\nsecond line")])
        let outcome = try await Self.send(try Samples.localSender(), "http://127.0.0.1:\(server.port)/SECRET")
        #expect(outcome == .refused("the answer is 400: invalid␛[2J payload"))
        await server.stop()
    }

    @Test func nobodyListens() async throws {
        let server = try await LocalServer.start()
        let port = server.port
        await server.stop()
        guard case .failed(let reason, nil) = try await Self.send(try Samples.localSender(), "http://127.0.0.1:\(port)/SECRET") else {
            Issue.record("a refused connection is retried")
            return
        }
        #expect(reason.hasPrefix("http://127.0.0.1:\(port): ") && !reason.contains("SECRET"))
    }

    // MARK: - TLS

    /// The certificate must be of the host of the URL, although the connection goes to the checked address.
    @Test(.enabled(if: Tool.openssl != nil, "openssl is not installed"))
    func certificatesAreThoseOfTheName() async throws {
        let folder = try TemporaryFolder()
        defer { folder.remove() }
        let (certificate, key) = (folder.path + "/a.pem", folder.path + "/a.key")
        _ = try Tool.run(
            try #require(Tool.openssl),
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                "/CN=hook.test",
                "-addext", "subjectAltName=DNS:hook.test", "-keyout", key, "-out", certificate,
            ])
        let configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem)))
        let server = try await LocalServer.start(tls: try NIOSSLContext(configuration: configuration))
        let resolver = HostResolver { _, _ in IPAddress("127.0.0.1").map { [$0] } ?? [] }
        let targets = try TargetPolicy(allowing: ["127.0.0.1"])
        let sender = NoticeSender(.init(targets: targets, authorities: certificate), resolver: resolver)
        #expect(try await Self.send(sender, "https://hook.test:\(server.port)/") == .delivered)
        for (other, url) in [
            (sender, "https://other.test"), (NoticeSender(.init(targets: targets), resolver: resolver), "https://hook.test"),
        ] {
            guard case .failed = try await Self.send(other, "\(url):\(server.port)/") else {
                Issue.record("\(url) has no valid certificate")
                continue
            }
        }
        #expect(server.requests.count == 1)
        await server.stop()
    }
}

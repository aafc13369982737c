import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// A cluster whose every connection is TLS with certificates of an authority made for the test, and whose services prove
    /// a shared secret.
    struct TLSTests {
        static let openssl = Command.find("openssl")

        /// S13.
        @Test(.enabled(if: openssl != nil, "openssl is not installed"))
        func aWholeClusterIsReadyOverTLS() async throws {
            let folder = try Cluster.temporaryDirectory()
            defer { try? FileManager.default.removeItem(at: folder) }
            let certificate = try await makeCertificate(folder)
            let environment = ["SLUICE_TLS_CERT": certificate.cert, "SLUICE_TLS_KEY": certificate.key, "SLUICE_TLS_CA": certificate.cert]
            let cluster = try Cluster(shards: 1, directory: folder, environment: environment)
            try await cluster.start()
            // SIGHUP to `sluice up` stops nothing: every service reads its files again.
            cluster.signal(SIGHUP)
            for name in ["shard-0", "coordinator", "ingest"] {
                let log = folder.appendingPathComponent("data/logs/\(name).log")
                var isRead = false
                for _ in 0..<400 where !isRead {
                    let text = try String(contentsOf: log, encoding: .utf8)
                    isRead = text.contains("new connections use the TLS files as they are now")
                    if !isRead { try await Task.sleep(for: .milliseconds(25)) }
                }
                #expect(isRead, "\(name): \(cluster.notes)")
            }
            try await cluster.stop()
        }

        @Test func withoutTLSAHangupEndsNothing() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let names = ["shard-0", "coordinator", "ingest"]
                let pids = names.map { cluster.pid(ByteString($0)) }
                cluster.signal(SIGHUP)
                for name in names {
                    let log = cluster.directory.appendingPathComponent("data/logs/\(name).log")
                    var isNoted = false
                    for _ in 0..<400 where !isNoted {
                        isNoted = try String(contentsOf: log, encoding: .utf8).contains("SIGHUP: there are no TLS files")
                        if !isNoted { try await Task.sleep(for: .milliseconds(25)) }
                    }
                    #expect(isNoted, "\(name): \(cluster.notes)")
                }
                try await cluster.untilReady()
                #expect(names.map { cluster.pid(ByteString($0)) } == pids)
            }
        }

        static let script = Command.find("script")

        @Test(.enabled(if: script != nil, "script is not installed"), arguments: [false, true])
        func aClusterStopsWithItsTerminalUnlessByNohup(usesNohup: Bool) async throws {
            let folder = try Cluster.temporaryDirectory()
            defer { try? FileManager.default.removeItem(at: folder) }
            let info = folder.appendingPathComponent("info.json")
            let sluice = Cluster.programs.appendingPathComponent("sluice").path
            let start = "\(usesNohup ? "nohup " : "")\(sluice) up --any-port --shards 1 --data \(folder.path)/data --info \(info.path)"
            let command = "echo $$ > \(folder.path)/pid; exec \(start) > \(folder.path)/up.log 2>&1"
            let terminal = Process()
            terminal.executableURL = URL(fileURLWithPath: Self.script ?? "")
            terminal.arguments = ["-qec", command, "/dev/null"]
            terminal.standardInput = FileHandle.nullDevice
            terminal.standardOutput = FileHandle.nullDevice
            try terminal.run()
            defer { if terminal.isRunning { kill(terminal.processIdentifier, SIGKILL) } }
            for _ in 0..<1_200 where !FileManager.default.fileExists(atPath: info.path) { try await Task.sleep(for: .milliseconds(50)) }
            let text = try String(contentsOfFile: "\(folder.path)/pid", encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
            let pid = try #require(Int32(text))
            defer { kill(pid, SIGKILL) }
            let up = "\(folder.path)/up.log"
            func says(_ words: String) throws -> Bool { try String(contentsOfFile: up, encoding: .utf8).contains(words) }
            #expect(try says("ready: dashboard"))

            // Nobody has the other end of the terminal any more.
            kill(terminal.processIdentifier, SIGKILL)
            let log = folder.appendingPathComponent("data/logs/ingest.log")
            var isDone = false
            for _ in 0..<800 where !isDone {
                isDone =
                    try usesNohup ? String(contentsOf: log, encoding: .utf8).contains("SIGHUP: there are no TLS files") : says("stopped")
                if !isDone { try await Task.sleep(for: .milliseconds(25)) }
            }
            let notes = try String(contentsOfFile: up, encoding: .utf8)
            #expect(isDone, "\(notes)")
            guard usesNohup else { return }
            kill(pid, SIGTERM)
            for _ in 0..<800 where try !says("stopped") { try await Task.sleep(for: .milliseconds(25)) }
            #expect(try says("stopped"))
        }

        @Test(.enabled(if: openssl != nil, "openssl is not installed"))
        func everyConnectionCanBeTLS() async throws {
            let folder = try Cluster.temporaryDirectory()
            defer { try? FileManager.default.removeItem(at: folder) }
            let ports = Array((20_000..<32_000).shuffled().prefix(6))
            let certificate = try await makeCertificate(folder)
            var environment = ["SLUICE_CLUSTER_SECRET": "a secret of the cluster, long enough"]
            environment["SLUICE_TLS_CERT"] = certificate.cert
            environment["SLUICE_TLS_KEY"] = certificate.key
            environment["SLUICE_TLS_CA"] = certificate.cert
            func arguments(_ name: String, _ at: Int) -> [String] {
                ["--data", folder.appendingPathComponent(name).path, "--http-port", "\(ports[at])", "--wire-port", "\(ports[at + 1])"]
            }
            let coordinator = ["--coordinator", "127.0.0.1:\(ports[1])"]
            let programs = [
                ("sluice-coordinator", arguments("c", 0) + ["--shards", "127.0.0.1:\(ports[3])"]),
                ("sluice-shard", arguments("s", 2) + coordinator), ("sluice-ingest", arguments("i", 4) + coordinator),
            ]
            let running = try programs.map { try Command.spawn($0.0, $0.1, environment: environment) }
            defer { for process in running { process.terminate() } }
            for (name, settings) in programs {
                var healthy = false
                for _ in 0..<200 where !healthy {
                    healthy = try await Command.run(name, ["health"] + settings, environment: environment).status == 0
                }
                #expect(healthy, "\(name)")
            }
            if let curl = Command.find("curl") {
                // Browsers are told to come back by TLS only, by the service that has pages for them.
                for (port, isTold) in [(ports[0], true), (ports[2], false), (ports[4], false)] {
                    let head = try await Command.run(curl, ["-sk", "-D", "-", "https://127.0.0.1:\(port)/healthz"])
                    #expect(head.out.lowercased().contains("strict-transport-security: max-age=31536000") == isTold, "\(head.out)")
                }
            }
            let file = folder.appendingPathComponent("events.ndjson")
            try Data(event("u", "a", 0).encode() + [10] + event("u", "b", 60).encode() + [10]).write(to: file)
            let loaded = try await Command.run(
                "sluice", ["load", file.path, "--to", "127.0.0.1:\(ports[5])", "--tls-ca", certificate.cert])
            #expect(loaded.status == 0, "\(loaded.err)")
            let asked = try await Command.run(
                "sluice", ["query", "--steps", "a,b", "--to", "127.0.0.1:\(ports[1])", "--tls-ca", certificate.cert, "--format", "json"])
            #expect(Report(try JSONParser.parse(Array(asked.out.utf8))).counts == [1, 1], "\(asked.err)")
            // In plain text, and by a service that does not know the secret, nothing is to be had.
            let plain = try await Command.run("sluice", ["query", "--steps", "a,b", "--to", "127.0.0.1:\(ports[1])"])
            #expect(plain.status == 1 && plain.err.contains("uses TLS: give --tls-ca FILE"), "\(plain.err)")
            let http = try await Command.run(
                "sluice", ["query", "--steps", "a,b", "--to", "127.0.0.1:\(ports[0])", "--tls-ca", certificate.cert])
            #expect(http.status == 1 && http.err.contains("looks like an HTTP port: --to must be the wire port of "), "\(http.err)")
            environment["SLUICE_CLUSTER_SECRET"] = "another secret"
            let stranger = try Command.spawn(
                "sluice-shard", ["--data", folder.appendingPathComponent("x").path, "--http-port", "0", "--wire-port", "0"] + coordinator,
                environment: environment)
            try await Task.sleep(for: .milliseconds(700))
            stranger.terminate()
            await Command.wait(stranger)
            #expect(!FileManager.default.fileExists(atPath: folder.appendingPathComponent("x/cluster.snapshot").path))
        }

        /// Certificates that change, and roles by certificate, on real processes; `make test-proxies` has proxies in front of them too.
        @Test(
            .enabled(if: openssl != nil && InteropTests.python != nil, "needs openssl and python3"),
            arguments: [
                "certificates_change_under_load", "a_service_is_what_its_certificate_says",
                "a_certificate_is_replaced_while_a_service_starts_late",
            ])
        func certificatesChange(name: String) async throws {
            let script = Repository.root.appendingPathComponent("Tests/Proxies/run.py").path
            let run = try await Command.run(
                InteropTests.python ?? "", [script, name],
                environment: ["SLUICE_PROGRAMS": Cluster.programs.path, "PYTHONDONTWRITEBYTECODE": "1"])
            #expect(run.status == 0, "\(run.out.suffix(4_000)) \(run.err.suffix(2_000))")
        }

        private func makeCertificate(_ folder: URL) async throws -> (cert: String, key: String) {
            let (cert, key) = (folder.appendingPathComponent("cert.pem").path, folder.appendingPathComponent("key.pem").path)
            let made = try await Command.run(
                Self.openssl ?? "",
                [
                    "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=sluice", "-addext",
                    "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", key, "-out", cert,
                ])
            guard made.status == 0 else { throw Trouble("openssl: \(made.err)") }
            return (cert, key)
        }
    }
}

import FunnelModel
import Glibc
import Logging
import ServiceLifecycle

/// The main function of every service: reads the settings, runs a service group until SIGTERM or SIGINT, returns an exit code.
package enum Program {
    package static let version = "0.2.0"

    /// The parts from which `build` makes the services.
    package struct Run: Sendable {
        package var settings: Settings
        package var logger: Logger
        package var metrics: Metrics
    }

    /// Runs the program, or answers `health`, `--help`, `--version` and `--print-config`.
    /// - Parameters:
    ///   - health: whether the running process is healthy; for `health`.
    ///   - build: makes the services; an `InvalidDocument` that it throws is printed like faults of the settings.
    /// - Returns: 0 after a clean stop, 1 after an error or a failed health check, 2 if settings are invalid.
    package static func main(
        _ table: SettingsTable, health: (Settings) async -> Bool, build: (Run) async throws -> [any Service]
    ) async -> Int32 {
        let resolved: (Settings, Settings.Action)
        do {
            resolved = try Settings.resolve(
                table, arguments: Array(CommandLine.arguments.dropFirst()), environment: environmentVariables(),
                readFile: readText)
        } catch {
            return refuse(table, error.faults)
        }
        switch resolved.1 {
        case .help: return say(table.helpText)
        case .version: return say("\(table.program) \(version)\n")
        case .printConfig: return say(resolved.0.printed)
        case .health:
            if await health(resolved.0) { return say("\(table.program): healthy\n") }
            errorLine("\(table.program): GET /healthz did not answer 200; check the process, --host and --http-port")
            return 1
        case .run: return await run(table, resolved.0, build)
        }
    }

    private static func run(
        _ table: SettingsTable, _ settings: Settings, _ build: (Run) async throws -> [any Service]
    ) async -> Int32 {
        // A write to a closed connection must return an error and not end the process.
        signal(SIGPIPE, SIG_IGN)
        raiseFileLimit()
        let level = Logger.Level(rawValue: settings.text("log-level")) ?? .info
        var logger = Logger(label: table.program) { LineLogHandler(service: $0, level: level) }
        logger.logLevel = level
        let environment = environmentVariables()
        // `sluice up` has already printed these warnings.
        if environment["SLUICE_PARENT_PID"] == nil {
            for warning in KnownVariables.warnings(environment) { logger.warning("\(warning)") }
        }
        let run = Run(settings: settings, logger: logger, metrics: Metrics())
        ProcessMetrics.add(to: run.metrics, version: version)
        do {
            let services = try await build(run) + ParentWatch.services(environment)
            var configuration = ServiceGroupConfiguration(services: services, logger: logger)
            // A caller that never reads, or never ends its request, must not delay the stop.
            configuration.maximumGracefulShutdownDuration = .seconds(7)
            let group = ServiceGroup(configuration: configuration)
            logger.info("started", metadata: ["version": "\(version)", "pid": "\(getpid())"])
            let signals = StopSignals { [logger] signal in
                logger.info("stopping", metadata: ["signal": "\(signal)"])
                Task { await group.triggerGracefulShutdown() }
            }
            try await group.run()
            withExtendedLifetime(signals) {}
            logger.info("stopped")
            return 0
        } catch let error as InvalidDocument {
            return refuse(table, error.faults)
        } catch {
            logger.critical("stopped by an error", metadata: ["error": "\(words(error))"])
            return 1
        }
    }

    /// Raises the soft limit of open files, often 1,024, to the hard limit: each connection and segment file holds a descriptor.
    private static func raiseFileLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    private static func refuse(_ table: SettingsTable, _ faults: [FieldFault]) -> Int32 {
        for fault in faults { errorLine("\(table.program): \(fault.field) \(fault.reason)") }
        return 2
    }

    private static func say(_ text: String) -> Int32 {
        _ = text.withCString { write(STDOUT_FILENO, $0, strlen($0)) }
        return 0
    }

    private static func errorLine(_ text: String) {
        _ = (text + "\n").withCString { write(STDERR_FILENO, $0, strlen($0)) }
    }
}

/// Stops this process when `sluice up` has ended, whose process id is in `SLUICE_PARENT_PID`. Also rotates the log file that
/// `SLUICE_LOG_FILE` names.
private struct ParentWatch: Service {
    static func services(_ environment: [String: String]) -> [any Service] {
        environment["SLUICE_PARENT_PID"].flatMap(Int32.init).map { [ParentWatch(parent: $0, log: environment["SLUICE_LOG_FILE"])] } ?? []
    }

    let parent: Int32
    let log: String?

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while getppid() == parent, !Task.isCancelled {
                if let log { LogFile.rotateOwn(log) }
                try? await Task.sleep(for: .milliseconds(500))
            }
            if !Task.isCancelled { kill(getpid(), SIGTERM) }
        }
        try? await gracefulShutdown()
    }
}

/// Settings that every service has.
package enum CommonSettings {
    /// `http` and `wire` are the default ports; `note` is appended to their help.
    package static func all(http: Int, wire: Int, note: String = "") -> [Setting] {
        [
            Setting("host", .text, default: "127.0.0.1", "address to listen on"),
            Setting("http-port", .integer(0...65_535), default: "\(http)", "HTTP port: API, health and metrics; 0 = any free port\(note)"),
            Setting("wire-port", .integer(0...65_535), default: "\(wire)", "port of the binary protocol; 0 = any free port\(note)"),
            Setting(
                "connections-per-address", .integer(0...65_536), default: "0",
                "max connections from one address to a port; 0 = half of all (512 of 1,024 on the wire, 2,048 of 4,096 over HTTP)"),
            Setting("cluster-secret", .text, secret: true, "the same for all services; needed off loopback, with 32 bytes or more"),
            Setting("allow-plain-text", .flag, default: "false", "allow listening off loopback without TLS, e.g. in a private network"),
            Setting("tls-cert", .text, default: "", "PEM file with the certificate chain, for HTTP and the binary protocol"),
            Setting("tls-key", .text, default: "", "PEM file with the private key of --tls-cert"),
            Setting("tls-ca", .text, default: "", "PEM file with the CA of the peers' certificates; by default the system's CAs"),
            Setting(
                "tls-client-ca", .text, default: "",
                "PEM file with the CA of the services' certificates; each must then name its role, as in shard.sluice"),
            Setting(
                "trusted-proxies", .list, default: "",
                "addresses and networks of proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, such as 10.1.0.0/16"),
            Setting("addresses-file", .text, default: "", "write the addresses to this file, as JSON, once both ports are open"),
            Setting("log-level", .choice(["trace", "debug", "info", "notice", "warning", "error"]), default: "info", "min level to log"),
        ]
    }

    /// The port to listen on. A shard adds its number to the default, so that several shards fit on one machine.
    package static func port(_ settings: Settings, _ name: String) -> Int {
        settings.integer(name) + (settings.isSet(name) ? 0 : settings.integer("shard"))
    }

    /// The max connections from one address, for a port with a max of `most`.
    package static func connectionsPerAddress(_ settings: Settings, of most: Int) -> Int {
        let set = settings.integer("connections-per-address")
        return set == 0 ? most / 2 : min(set, most)
    }

    /// Anyone who can connect sees a proof made with the secret, so the secret must be too long to guess from one.
    private static let secretBytesMin = 32

    /// Checks rules between settings: TLS files, and what is needed to listen off loopback.
    package static func check(_ settings: Settings) -> [FieldFault] {
        var faults: [FieldFault] = []
        let local = isLoopback(settings.text("host"))
        let tls = !settings.text("tls-cert").isEmpty
        if tls != !settings.text("tls-key").isEmpty { faults.append(FieldFault("--tls-cert", "and --tls-key go together")) }
        if !tls, !settings.text("tls-client-ca").isEmpty { faults.append(FieldFault("--tls-client-ca", "needs --tls-cert")) }
        if !local, settings.text("cluster-secret").utf8.count < secretBytesMin {
            faults.append(
                FieldFault(
                    "SLUICE_CLUSTER_SECRET",
                    "must have at least \(secretBytesMin) bytes to listen on \(settings.text("host")), off loopback"))
        }
        if !local, !tls, !settings.flag("allow-plain-text") {
            faults.append(FieldFault("--host", "\(settings.text("host")) is off loopback: give --tls-cert, or --allow-plain-text"))
        }
        return faults
    }
}

package func environmentVariables() -> [String: String] {
    var variables: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
        let line = String(cString: text)
        if let equals = line.firstIndex(of: "=") {
            variables[String(line[..<equals])] = String(line[line.index(after: equals)...])
        }
        entry += 1
    }
    return variables
}

private func readText(_ path: String) -> String? {
    DurableFile.read(path).map { String(decoding: $0, as: UTF8.self) }
}

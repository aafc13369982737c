import FunnelModel
import Glibc
import Logging
import ServiceLifecycle

/// The frame around each service's main: settings in, a service group until SIGTERM or SIGINT, an exit code out.
package enum Program {
    package static let version = "0.2.0"

    package struct Run: Sendable {
        package var settings: Settings
        package var logger: Logger
        package var metrics: Metrics
    }

    /// - Parameters:
    ///   - health: asks the running process; used by the `health` subcommand.
    ///   - build: makes the services from checked settings; faults it throws are printed like those of the settings.
    /// - Returns: 0 after a clean stop, 1 after a failure while running, 2 where it could not start.
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
            errorLine("\(table.program): GET /healthz was not answered with 200; is it running, and are --host and --http-port its own?")
            return 1
        case .run: return await run(table, resolved.0, build)
        }
    }

    private static func run(
        _ table: SettingsTable, _ settings: Settings, _ build: (Run) async throws -> [any Service]
    ) async -> Int32 {
        // A peer that goes away while we write must be an error, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        raiseFileLimit()
        let level = Logger.Level(rawValue: settings.text("log-level")) ?? .info
        var logger = Logger(label: table.program) { LineLogHandler(service: $0, level: level) }
        logger.logLevel = level
        let environment = environmentVariables()
        // Whoever started this as a member of a cluster has said so already.
        if environment["SLUICE_PARENT_PID"] == nil {
            for warning in KnownVariables.warnings(environment) { logger.warning("\(warning)") }
        }
        let run = Run(settings: settings, logger: logger, metrics: Metrics())
        ProcessMetrics.add(to: run.metrics, version: version)
        do {
            let services = try await build(run) + ParentWatch.services(environment)
            var configuration = ServiceGroupConfiguration(services: services, logger: logger)
            // A caller that never reads, or never ends its request, must not hold the process.
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

    /// Connections and segments each hold a descriptor, and the usual soft limit of 1,024 is soon reached.
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

/// Ends this process when the one that started it is gone: `sluice up` asks for it by SLUICE_PARENT_PID. Keeps the log, which
/// that one has named by SLUICE_LOG_FILE, from growing without bound.
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
    package static func all(http: Int, wire: Int, note: String = "") -> [Setting] {
        [
            Setting("host", .text, default: "127.0.0.1", "address to listen on"),
            Setting("http-port", .integer(0...65_535), default: "\(http)", "HTTP: health and metrics, and the API; 0 = any\(note)"),
            Setting("wire-port", .integer(0...65_535), default: "\(wire)", "binary protocol; 0 = any\(note)"),
            Setting(
                "connections-per-address", .integer(0...65_536), default: "0",
                "connections of one address to a port; 0 = half of what it takes (512 of 1,024 on the wire, 2,048 of 4,096 over HTTP)"),
            Setting("cluster-secret", .text, secret: true, "shared by all services of a cluster; needed off loopback"),
            Setting("allow-plain-text", .flag, default: "false", "listen off loopback without TLS, e.g. in a private network"),
            Setting("tls-cert", .text, default: "", "PEM file: certificate chain of the binary protocol"),
            Setting("tls-key", .text, default: "", "PEM file: private key"),
            Setting("tls-ca", .text, default: "", "PEM file: authority that peers' certificates are checked against"),
            Setting("addresses-file", .text, default: "", "write the bound addresses to this file, as JSON, once ready"),
            Setting("log-level", .choice(["trace", "debug", "info", "notice", "warning", "error"]), default: "info", "least level logged"),
        ]
    }

    /// The port to listen on: a shard's default rises with its number, so that several fit on one machine.
    package static func port(_ settings: Settings, _ name: String) -> Int {
        settings.integer(name) + (settings.isSet(name) ? 0 : settings.integer("shard"))
    }

    /// - Parameter most: connections that the port takes in all.
    package static func connectionsPerAddress(_ settings: Settings, of most: Int) -> Int {
        let set = settings.integer("connections-per-address")
        return set == 0 ? most / 2 : min(set, most)
    }

    /// Anybody who can connect sees a proof made with the secret, so it must be too long to be guessed from one.
    private static let secretBytesMin = 32

    /// Rules that hold between settings: what may listen off loopback.
    package static func check(_ settings: Settings) -> [FieldFault] {
        var faults: [FieldFault] = []
        let local = isLoopback(settings.text("host"))
        let tls = !settings.text("tls-cert").isEmpty
        if tls != !settings.text("tls-key").isEmpty { faults.append(FieldFault("--tls-cert", "and --tls-key go together")) }
        if !local, settings.text("cluster-secret").utf8.count < secretBytesMin {
            faults.append(
                FieldFault(
                    "SLUICE_CLUSTER_SECRET",
                    "of \(secretBytesMin) bytes or more is needed to listen on \(settings.text("host")), off loopback"))
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

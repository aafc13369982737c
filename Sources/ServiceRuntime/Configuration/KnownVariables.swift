import FunnelModel

/// The environment variables that the programs of this release know. Unknown `SLUICE_` names are reported at the start: a misspelt
/// name would otherwise go unnoticed, and a cluster could run without its keys.
package enum KnownVariables {
    /// Settings of all services; a container's environment is often shared by several.
    private static let settings = [
        "host", "http-port", "wire-port", "connections-per-address", "cluster-secret", "allow-plain-text", "tls-cert", "tls-key", "tls-ca",
        "tls-client-ca", "trusted-proxies",
        "addresses-file", "log-level", "coordinator", "data", "body-mb", "bodies-mb", "events-per-request", "in-flight-mb", "rejected-mb",
        "advertise", "shard",
        "seal-rows", "merge-mb", "reserve-mb", "query-threads", "query-queue", "event-names-max", "property-keys-max",
        "users-per-bucket-max",
        "new-names-per-hour", "shards", "new-shards", "write-keys", "read-keys", "admin-keys",
        "http-connections", "wire-connections", "header-kb", "head-seconds", "body-seconds-max", "body-bytes-per-second",
        "key-events-per-second", "key-kb-per-second", "address-events-per-second", "address-kb-per-second", "rate-burst-seconds",
        "rows-per-day-max", "queries-running", "queries-queued", "chart-library",
        "alert-seconds", "allowed-targets", "target-authorities", "sendmail", "mail-from", "notice-directory", "public-url",
        "kafka-brokers", "kafka-topics", "kafka-group", "kafka-project", "kafka-config",
    ]
    /// Variables that are not settings: some are for the programs (`CONFIG` to `LOG_FILE`), the others for scripts and tests of the
    /// repository.
    private static let others = [
        "CONFIG", "KEY", "INSTANCE", "PARENT_PID", "LOG_FILE", "PROGRAMS", "IMAGE", "BENCH", "HOSTILE", "LOGS", "VECTORS", "BROWSER_SLACK",
        "DASHBOARD_COMMAND", "DEMO_ONCE", "DEMO_PORTS", "DEMO_USERS",
    ]
    private static let prefix = "SLUICE_"
    private static let all = settings.map { Setting($0, .text, "").variable } + others.map { prefix + $0 }

    /// True for the variables by which Kubernetes and old Docker links describe services, such as `SLUICE_SHARD_0_SERVICE_HOST` and
    /// `SLUICE_INGEST_PORT_8080_TCP_ADDR`.
    private static func isOfService(_ name: String, _ value: String) -> Bool {
        // `SLUICE_INGEST_PORT` is `tcp://10.0.0.1:8080`; a plain number is meant for a setting.
        name.hasSuffix("_SERVICE_HOST") || name.hasSuffix("_PORT") && value.contains("://") || name.contains("_SERVICE_PORT")
            || name.contains("_PORT_") || name.hasSuffix("_ENV") || name.contains("_ENV_") || name.hasSuffix("_NAME")
    }

    /// The variables that begin with `SLUICE_` and that no program knows, sorted by name, with the known name most like each.
    package static func unknown(in environment: [String: String]) -> [(name: String, nearest: String?)] {
        let names = environment.filter { $0.key.hasPrefix(prefix) && !all.contains($0.key) && !isOfService($0.key, $0.value) }.keys
        let known = all.map { $0.dropFirst(prefix.count) }.map(String.init)
        return names.sorted().map { name in
            (name, NearestNames.of(String(name.dropFirst(prefix.count)), among: known, count: 1).first.map { prefix + $0 })
        }
    }

    /// One warning for each unknown variable.
    package static func warnings(_ environment: [String: String]) -> [String] {
        unknown(in: environment).map { name, nearest in
            "\(name) is not known to any program and is ignored" + (nearest.map { "; is \($0) meant?" } ?? "")
        }
    }

    /// Whether the variable is known. A test compares the list with the settings of the services.
    package static func knows(_ variable: String) -> Bool { all.contains(variable) }
}

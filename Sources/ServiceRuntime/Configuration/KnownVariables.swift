/// The variables of the environment that programs of this release know. A name that none of them knows is a typing error that
/// would be found late: a cluster without the keys that its operator believes it has.
package enum KnownVariables {
    /// Settings of all services; a container's environment is often shared by several.
    private static let settings = [
        "host", "http-port", "wire-port", "connections-per-address", "cluster-secret", "allow-plain-text", "tls-cert", "tls-key", "tls-ca",
        "addresses-file", "log-level", "coordinator", "data", "body-mb", "bodies-mb", "events-per-request", "in-flight-mb", "shard",
        "seal-rows", "merge-mb", "reserve-mb", "query-threads", "query-queue", "event-names-max", "property-keys-max",
        "users-per-bucket-max",
        "new-names-per-hour", "shards", "new-shards", "write-keys", "read-keys", "admin-keys",
        "queries-running", "queries-queued", "chart-library",
    ]
    /// What programs are given beside settings, and what scripts of the repository take.
    private static let others = [
        "CONFIG", "KEY", "INSTANCE", "PARENT_PID", "LOG_FILE", "PROGRAMS", "IMAGE", "BENCH", "HOSTILE", "LOGS", "VECTORS", "BROWSER_SLACK",
        "DASHBOARD_COMMAND", "DEMO_ONCE", "DEMO_PORTS", "DEMO_USERS",
    ]
    private static let all = settings.map { Setting($0, .text, "").variable } + others.map { "SLUICE_" + $0 }

    /// Kubernetes and old Docker links describe services by variables such as `SLUICE_SHARD_0_SERVICE_HOST` and
    /// `SLUICE_INGEST_PORT_8080_TCP_ADDR`.
    private static func isOfService(_ name: String) -> Bool {
        name.hasSuffix("_SERVICE_HOST") || name.hasSuffix("_PORT") || name.contains("_SERVICE_PORT") || name.contains("_PORT_")
            || name.hasSuffix("_ENV") || name.contains("_ENV_") || name.hasSuffix("_NAME")
    }

    /// Names of the environment that begin with `SLUICE_` and mean nothing to any program, each with the known one that is nearest to
    /// it, where one is near.
    package static func unknown(in environment: [String: String]) -> [(name: String, nearest: String?)] {
        environment.keys.filter { $0.hasPrefix("SLUICE_") && !all.contains($0) && !isOfService($0) }.sorted().map { name in
            let nearest = all.map { (distance(name, $0), $0) }.min { $0.0 < $1.0 }
            return (name, nearest.flatMap { $0.0 <= 3 ? $0.1 : nil })
        }
    }

    /// The same as words for an operator.
    package static func warnings(_ environment: [String: String]) -> [String] {
        unknown(in: environment).map { name, nearest in
            "\(name) is not known to any program and is ignored" + (nearest.map { "; is \($0) meant?" } ?? "")
        }
    }

    /// Characters to change, add or take away until one is the other.
    private static func distance(_ a: String, _ b: String) -> Int {
        let (a, b) = (Array(a.utf8), Array(b.utf8))
        var row = Array(0...b.count)
        for i in a.indices {
            var diagonal = row[0]
            row[0] = i + 1
            for j in b.indices {
                let change = diagonal + (a[i] == b[j] ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(change, diagonal + 1, row[j] + 1)
            }
        }
        return row[b.count]
    }

    /// Whether a setting's variable is among them: a test holds the list to the settings of the services.
    package static func knows(_ variable: String) -> Bool { all.contains(variable) }
}

/// The environment variables that the programs of this release know. Unknown `SLUICE_` names are reported at the start: a misspelt
/// name would otherwise go unnoticed, and a cluster could run without its keys.
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
    /// Variables that are not settings: some are for the programs (`CONFIG` to `LOG_FILE`), the others for scripts and tests of the
    /// repository.
    private static let others = [
        "CONFIG", "KEY", "INSTANCE", "PARENT_PID", "LOG_FILE", "PROGRAMS", "IMAGE", "BENCH", "HOSTILE", "LOGS", "VECTORS", "BROWSER_SLACK",
        "DASHBOARD_COMMAND", "DEMO_ONCE", "DEMO_PORTS", "DEMO_USERS",
    ]
    private static let all = settings.map { Setting($0, .text, "").variable } + others.map { "SLUICE_" + $0 }

    /// True for the variables by which Kubernetes and old Docker links describe services, such as `SLUICE_SHARD_0_SERVICE_HOST` and
    /// `SLUICE_INGEST_PORT_8080_TCP_ADDR`.
    private static func isOfService(_ name: String, _ value: String) -> Bool {
        // `SLUICE_INGEST_PORT` is `tcp://10.0.0.1:8080`; a plain number is meant for a setting.
        name.hasSuffix("_SERVICE_HOST") || name.hasSuffix("_PORT") && value.contains("://") || name.contains("_SERVICE_PORT")
            || name.contains("_PORT_") || name.hasSuffix("_ENV") || name.contains("_ENV_") || name.hasSuffix("_NAME")
    }

    /// The variables that begin with `SLUICE_` and that no program knows, sorted by name. `nearest` is the most similar known name;
    /// nil if none is within an edit distance of 3.
    package static func unknown(in environment: [String: String]) -> [(name: String, nearest: String?)] {
        let names = environment.filter { $0.key.hasPrefix("SLUICE_") && !all.contains($0.key) && !isOfService($0.key, $0.value) }.keys
        return names.sorted().map { name in
            let nearest = all.map { (distance(name, $0), $0) }.min { $0.0 < $1.0 }
            return (name, nearest.flatMap { $0.0 <= 3 ? $0.1 : nil })
        }
    }

    /// One warning for each unknown variable.
    package static func warnings(_ environment: [String: String]) -> [String] {
        unknown(in: environment).map { name, nearest in
            "\(name) is not known to any program and is ignored" + (nearest.map { "; is \($0) meant?" } ?? "")
        }
    }

    /// The edit distance (Levenshtein), in bytes.
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

    /// Whether the variable is known. A test compares the list with the settings of the services.
    package static func knows(_ variable: String) -> Bool { all.contains(variable) }
}

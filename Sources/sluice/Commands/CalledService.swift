/// A service that commands call.
enum CalledService: String {
    case ingest, coordinator

    var wirePort: Int { self == .ingest ? 8081 : 8091 }

    /// The address of its binary protocol, by default.
    var wire: String { "127.0.0.1:\(wirePort)" }

    /// The address of its HTTP API, by default: the port before the wire port.
    var http: String { "127.0.0.1:\(wirePort - 1)" }

    /// What `--to` of a command needs that calls the binary protocol.
    var needsWire: String { "--to must be the wire port of \(name), by default \(wire)" }

    /// What `--to` of a command needs that calls the HTTP API.
    var needsHTTP: String { "--to must be the HTTP port of \(name), by default \(http)" }

    private var name: String { self == .ingest ? "ingest" : "the coordinator" }
}

import Foundation
import FunnelModel

/// The processes of a cluster on this machine: programs, arguments, addresses.
struct ClusterPlan {
    struct Member {
        let name: String
        let program: String
        let arguments: [String]
        let http: Int
        let wire: Int
        /// Number of the shard; nil for the others.
        let shard: Int?
    }

    let members: [Member]
    var coordinator: Member { members[members.count - 2] }
    var ingest: Member { members[members.count - 1] }
    var shards: [Member] { members.filter { $0.shard != nil } }

    struct Ports {
        var ingestHTTP, ingestWire, coordinatorHTTP, coordinatorWire, shardHTTP, shardWire: Int
    }

    /// Plans the members.
    /// - Parameters:
    ///   - ports: 0 = any free port. It is chosen here, since the members must know each other's ports before they start. If
    ///     another process takes it meanwhile, the member fails to start, with its name.
    ///   - newShards: numbers of shards that may start with other data than the coordinator knows.
    init(shards count: Int, data: String, ports: Ports, newShards: [Int], extra: [String]) throws {
        var free = FreePorts()
        func port(_ wanted: Int, _ offset: Int = 0) throws -> Int { wanted == 0 ? try free.next() : wanted + offset }
        // As by default, HTTP is before wire.
        func pair(_ http: Int, _ wire: Int) throws -> (http: Int, wire: Int) {
            http == 0 && wire == 0 ? try free.pair() : (try port(http), try port(wire))
        }
        let (coordinatorHTTP, coordinatorWire) = try pair(ports.coordinatorHTTP, ports.coordinatorWire)
        let coordinator = "127.0.0.1:\(coordinatorWire)"
        var members: [Member] = []
        for id in 0..<count {
            let (http, wire) = (try port(ports.shardHTTP, id), try port(ports.shardWire, id))
            members.append(
                Member(
                    name: "shard-\(id)", program: "sluice-shard",
                    arguments: Self.common("\(data)/shard-\(id)", http, wire) + ["--shard", "\(id)", "--coordinator", coordinator] + extra,
                    http: http, wire: wire, shard: id))
        }
        let list = members.map { "127.0.0.1:\($0.wire)" }.joined(separator: ",")
        members.append(
            Member(
                name: "coordinator", program: "sluice-coordinator",
                arguments: Self.common("\(data)/coordinator", coordinatorHTTP, coordinatorWire) + ["--shards", list]
                    + (newShards.isEmpty ? [] : ["--new-shards", newShards.map(String.init).joined(separator: ",")]),
                http: coordinatorHTTP, wire: coordinatorWire, shard: nil))
        let (ingestHTTP, ingestWire) = try pair(ports.ingestHTTP, ports.ingestWire)
        members.append(
            Member(
                name: "ingest", program: "sluice-ingest",
                arguments: Self.common("\(data)/ingest", ingestHTTP, ingestWire) + ["--coordinator", coordinator],
                http: ingestHTTP, wire: ingestWire, shard: nil))
        self.members = members
    }

    private static func common(_ data: String, _ http: Int, _ wire: Int) -> [String] {
        ["--data", data, "--host", "127.0.0.1", "--http-port", "\(http)", "--wire-port", "\(wire)"]
    }

    /// The addresses and process ids of a running cluster, for scripts.
    func info(pids: [String: Int32]) -> JSONValue {
        func addresses(_ member: Member) -> JSONValue {
            ["http": .text("127.0.0.1:\(member.http)"), "wire": .text("127.0.0.1:\(member.wire)")]
        }
        let shards = self.shards.map { member -> JSONValue in
            [
                "id": .count(member.shard ?? 0), "wire": .text("127.0.0.1:\(member.wire)"), "http": .text("127.0.0.1:\(member.http)"),
                "pid": .count(Int(pids[member.name] ?? 0)),
            ]
        }
        let list = members.map { JSONValue.Member(ByteString($0.name), .count(Int(pids[$0.name] ?? 0))) }
        return [
            "ingest": addresses(ingest), "coordinator": addresses(coordinator), "shards": .array(shards), "pids": .object(list),
        ]
    }
}

/// Ports on which no process listens now, below the range that the system uses for outgoing connections.
private struct FreePorts {
    private static let range = 20_000..<32_000
    /// Each port is given to one member only.
    private var given: Set<Int> = []

    mutating func next() throws -> Int { try next(1) }

    /// A port, and the one behind it.
    mutating func pair() throws -> (Int, Int) {
        let first = try next(2)
        return (first, first + 1)
    }

    /// The first of some ports in a row.
    private mutating func next(_ count: Int) throws -> Int {
        for _ in 0..<1_000 {
            let first = Int.random(in: Self.range)
            let ports = first..<first + count
            guard ports.allSatisfy({ !given.contains($0) && LocalPort.isFree($0) }) else { continue }
            given.formUnion(ports)
            return first
        }
        throw Failure("cannot find a free port from \(Self.range.lowerBound) to \(Self.range.upperBound)")
    }
}

enum LocalPort {
    /// Whether a program could listen on the port of 127.0.0.1.
    static func isFree(_ port: Int) -> Bool {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard socket >= 0 else { return false }
        defer { close(socket) }
        // As services do: connections that have ended do not keep the port.
        var isReused: Int32 = 1
        setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &isReused, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        address.sin_port = UInt16(port).bigEndian
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(socket, $0, size) == 0 }
        }
    }
}

import FunnelModel
import FunnelProtocol
import Logging
import NIOCore
import RPC
import ServiceRuntime
import Synchronization

/// The ingests that have announced their wire addresses lately. In memory only: each announces itself every 5 s.
package final class IngestList: Sendable {
    private struct Known {
        var client: FrameClient
        var heard: ContinuousClock.Instant
    }

    /// An ingest that was not heard of for this long is forgotten.
    package static let patience = Duration.seconds(900)
    /// Max ingests.
    package static let countMax = 256
    /// How long the coordinator waits for an ingest. The dashboard asks every 2 s.
    private static let answerMax = Duration.seconds(2)

    private let known = Mutex<[String: Known]>([:])
    private let makeClient: @Sendable (_ host: String, _ port: Int) -> FrameClient

    /// - Parameter makeClient: makes the client of a wire address.
    package init(makeClient: @escaping @Sendable (_ host: String, _ port: Int) -> FrameClient) { self.makeClient = makeClient }

    /// Addresses, sorted.
    package var addresses: [String] { known.withLock { $0.keys.sorted() } }

    /// Notes an address: `host:port`, or `:port` at the host that the call came from.
    package func hear(_ text: String, from caller: String?, now: ContinuousClock.Instant = .now) throws(ProtocolError) {
        let address = try Self.address(text, caller)
        let name = addressText(address.host, address.port)
        let isFull = known.withLock { known in
            if known[name] == nil, known.count >= Self.countMax { return true }
            known[name] = Known(client: known[name]?.client ?? makeClient(address.host, address.port), heard: now)
            return false
        }
        if isFull { throw ProtocolError(.overloaded, "the coordinator knows \(Self.countMax) ingests, the limit") }
    }

    private static func address(_ text: String, _ caller: String?) throws(ProtocolError) -> (host: String, port: Int) {
        let whole = text.hasPrefix(":") ? caller.map { addressText($0, Int(text.dropFirst()) ?? 0) } : text
        guard let address = whole.flatMap({ parseAddress($0) }) else {
            throw ProtocolError(.invalidMessage, "address: " + (addressFault(text) ?? "must be host:port"))
        }
        return address
    }

    /// Forgets an ingest that stops. One that ends without saying so is silent.
    package func forget(_ text: String, from caller: String?) async throws(ProtocolError) {
        let address = try Self.address(text, caller)
        let gone = known.withLock { $0.removeValue(forKey: addressText(address.host, address.port)) }
        await gone?.client.shutdown()
    }

    /// Forgets ingests that were not heard of for long.
    package func sweep(now: ContinuousClock.Instant = .now) async {
        let gone = known.withLock { known in
            let gone = known.filter { now - $0.value.heard >= Self.patience }
            for name in gone.keys { known[name] = nil }
            return gone
        }
        for ingest in gone.values { await ingest.client.shutdown() }
    }

    /// Until cancelled.
    func follow() async {
        while (try? await Task.sleep(for: .seconds(30))) != nil { await sweep() }
    }

    package func shutdown() async {
        let all = known.withLock { known in
            defer { known = [:] }
            return known
        }
        for ingest in all.values { await ingest.client.shutdown() }
    }

    /// Asks all ingests for the incoming events of a project.
    func ask(_ request: IncomingRequest, project: UInt32) async -> IncomingAnswer {
        let clients = known.withLock { $0.mapValues(\.client) }
        let body = request.json.encode()
        return await withTaskGroup(of: (String, [IncomingEvent]?).self) { group in
            for (name, client) in clients { group.addTask { (name, await Self.ask(client, body, project)) } }
            var answer = IncomingAnswer(ingests: clients.count, limit: request.limit)
            for await (name, events) in group { answer.add(events, of: name) }
            return answer
        }
    }

    private static func ask(_ client: FrameClient, _ body: [UInt8], _ project: UInt32) async -> [IncomingEvent]? {
        guard let bytes = try? await client.call(.incoming, body, project: project, timeout: answerMax),
            let events = (try? JSONParser.parse(bytes))?["events"]?.asArray
        else { return nil }
        return events.prefix(IncomingRequest.limitMax).compactMap { IncomingEvent($0) }
    }
}

/// The incoming events of all ingests.
package struct IncomingAnswer: Sendable {
    private let ingests: Int
    private let limit: Int
    private var events: [(ingest: String, event: IncomingEvent)] = []
    private var silent: [String] = []

    package init(ingests: Int, limit: Int) {
        self.ingests = ingests
        self.limit = limit
    }

    /// - Parameter events: nil if the ingest did not answer.
    package mutating func add(_ found: [IncomingEvent]?, of ingest: String) {
        guard let found else { return silent.append(ingest) }
        events += found.map { (ingest, $0) }
    }

    package var json: JSONValue {
        let newest = events.sorted { ($0.event.time, $0.ingest) > ($1.event.time, $1.ingest) }.prefix(limit)
        return [
            "events": .array(newest.map { $0.event.json(ingest: $0.ingest) }), "silent": .array(silent.sorted().map { .text($0) }),
            "ingests": .count(ingests),
        ]
    }
}

import FunnelModel
import FunnelProtocol
import NIOCore
import NIOPosix
import RPC
import Testing

/// What a caller concludes from an answer that is no answer: the peer is at fault, never the caller's own request, and the error
/// names the peer once.
@Suite(.timeLimit(.minutes(2)))
struct FaultyAnswerTests {
    private static let name = "shard-1"
    private static let context = FrameContext()

    private static func client(_ port: Int) -> FrameClient {
        FrameClient(
            name: name, host: "127.0.0.1", port: port, service: ServiceSelf(role: .client, secret: []) { ClusterState() },
            group: MultiThreadedEventLoopGroup.singleton, tls: nil, connections: 1, logger: quiet)
    }

    /// The error of a discovery call that is answered with these bytes.
    private static func failure(_ bytes: [UInt8], status: Int = 200) async throws -> ProtocolError? {
        let handler = ClosureHandler { call in
            try await call.respond(status: status, contentType: "application/x-sluice")
            if !bytes.isEmpty { try await call.write(ByteBuffer(bytes: bytes)) }
            try await call.finish()
        }
        return try await withServer(handler) { _, port in
            let client = client(port)
            var failure: ProtocolError?
            do throws(ProtocolError) {
                _ = try await client.call(.partialDiscovery, DiscoveryQuery.names.body, timeout: .seconds(20))
            } catch { failure = error }
            await client.shutdown()
            return failure
        }
    }

    private static func answer(_ kind: FrameKind, _ body: [UInt8]) -> [UInt8] {
        var writer = AnswerWriter(context)
        let frame = writer.frame(kind, body)
        return frame + writer.end(rows: 1)
    }

    private static var changedHeader: [UInt8] {
        var bytes = answer(.discoveryResult, [])
        bytes[4] = 9
        return bytes
    }

    private static let faulty: [(what: String, bytes: [UInt8], code: ProtocolError.Code)] = [
        ("nothing", [], .truncatedAnswer), ("other bytes", Array(repeating: 7, count: 64), .malformedFrame),
        ("no trailer", Frame(.discoveryResult, context, body: [1]).encode(), .truncatedAnswer),
        ("another kind", answer(.healthResult, [1]), .malformedFrame), ("no result", AnswerWriter(context).end(rows: 0), .malformedFrame),
        ("too long", answer(.healthResult, Array(repeating: 0, count: FrameKind.healthResult.bodyMax + 1)), .malformedFrame),
        ("a changed header", changedHeader, .badChecksum),
        ("half an error", answer(.error, [7]), .malformedFrame),
        ("half a trailer", Frame(.trailer, context, body: [0]).encode(), .malformedFrame),
    ]

    @Test(arguments: faulty.indices)
    func faultsOfAnAnswerAreThePeers(index: Int) async throws {
        let (what, bytes, code) = Self.faulty[index]
        let error = try #require(try await Self.failure(bytes), "\(what)")
        #expect(error.code == code && error.shards == [Self.name], "\(what): \(error)")
        #expect(!error.message.contains(Self.name), "\(error.message)")
    }

    @Test(arguments: [(404, ProtocolError.Code.unknownKind), (413, .tooLarge), (400, .malformedFrame), (500, .malformedFrame)])
    func otherStatuses(status: Int, code: ProtocolError.Code) async throws {
        let error = try await Self.failure(Array("no".utf8), status: status)
        #expect(error == ProtocolError(code, "HTTP \(status): no", shards: [Self.name]))
    }

    /// An error frame comes as it is: it may be about the request.
    @Test(arguments: [ProtocolError.Code.tooLarge, .invalidQuery, .invalidMessage, .workBudget])
    func thePeersOwnErrorIsKept(code: ProtocolError.Code) async throws {
        var writer = AnswerWriter(Self.context)
        let sent = ProtocolError(code, "as the shard says", faults: [FieldFault("a", "b")])
        #expect(try await Self.failure(writer.fail(sent)) == sent)
    }

    @Test func aMessageThatDoesNotDecodeIsThePeersFault() {
        let error = #expect(throws: ProtocolError.self) {
            try decodingAnswer("discovery result", of: Self.name) { () throws(ByteError) in try Discovery(body: [9]) }
        }
        #expect(error?.code == .malformedFrame && error?.shards == [Self.name])
        #expect(error?.message.hasPrefix("discovery result: byte ") == true)
    }

    /// Ids of clusters are in the form of `/v1/status`.
    @Test func aCallForAnotherClusterNamesBothInHexadecimal() async throws {
        let service = ServiceSelf(role: .shard, secret: []) { ClusterState(id: 0xC0FFEE, epoch: 1) }
        let route = FrameServer.Route(.health, .anyone) { _ in }
        try await withServer(FrameServer(service, routes: [route], logger: quiet)) { _, port in
            let client = FrameClient(
                name: Self.name, host: "127.0.0.1", port: port,
                service: ServiceSelf(role: .client, secret: []) { ClusterState(id: 0xDECAF, epoch: 1) },
                group: MultiThreadedEventLoopGroup.singleton, tls: nil, connections: 1, logger: quiet)
            let error = await #expect(throws: ProtocolError.self) { try await client.call(.health, [], timeout: .seconds(20)) }
            #expect(error == ProtocolError(.foreignCluster, "this is cluster c0ffee, the call is for decaf"))
            await client.shutdown()
        }
    }

    /// The message has the address, and not the name before it.
    @Test func aPeerThatIsNotThereIsNamedOnce() async throws {
        let port = try await withServer(ClosureHandler.echo) { _, port in port }
        let client = Self.client(port)
        for _ in 0..<2 {
            do throws(ProtocolError) {
                _ = try await client.call(.health, [], timeout: .seconds(20))
                Issue.record("nobody listens there")
            } catch {
                #expect(error.code == .unreachable && error.shards == [Self.name])
                #expect(
                    error.message == "cannot connect to 127.0.0.1:\(port): Connection refused"
                        || error.message == "not connected, waiting to try again: Connection refused")
            }
        }
        await client.shutdown()
    }
}

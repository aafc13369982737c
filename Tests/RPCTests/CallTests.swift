import HTTP2
import NIOCore
import NIOPosix
import RPC
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2)))
struct CallTests {
    @Test(arguments: [0, 1, 1000, 100_000, 5_000_000])
    func bodiesComeBackAsSent(size: Int) async throws {
        try await withServer(ClosureHandler.echo) { server, port in
            try await withClient(port) { client in
                let body = pattern(size)
                let response = try await client.call("/echo", body)
                #expect(response.status == 200)
                #expect(response.contentType == "application/x-sluice")
                let isEqual = try await response.collect(upTo: size) == body
                #expect(isEqual)
            }
        }
    }

    @Test func manyMegabytesOneAfterTheOther() async throws {
        try await withServer(ClosureHandler.echo) { server, port in
            try await withClient(port) { client in
                for round in 0..<40 {
                    let body = ByteBuffer(repeating: UInt8(round), count: 1 << 20)
                    let isEqual = try await client.call("/", body).collect(upTo: 1 << 20) == body
                    #expect(isEqual)
                }
            }
            #expect(server.stats.callsTotal == 40)
            let isReleased = await eventually { server.stats.bodyBytes == 0 && server.stats.callsRunning == 0 }
            #expect(isReleased)
        }
    }

    @Test(arguments: [1, 3])
    func hundredParallelStreams(connections: Int) async throws {
        try await withServer(ClosureHandler.echo) { server, port in
            try await withClient(port, connections: connections) { client in
                try await withThrowingTaskGroup(of: Bool.self) { group in
                    for index in 0..<100 {
                        group.addTask {
                            let body = pattern(50_000, seed: index)
                            return try await client.call("/\(index)", body).collect(upTo: 50_000) == body
                        }
                    }
                    for try await isEqual in group { #expect(isEqual) }
                }
            }
            #expect(server.stats.callsTotal == 100)
        }
    }

    @Test func callsOverTheStreamLimitWaitTheirTurn() async throws {
        var limits = TransportLimits()
        limits.http2.maxConcurrentStreams = 4
        try await withServer(ClosureHandler.echo, limits: limits) { server, port in
            try await withClient(port) { client in
                try await withThrowingTaskGroup(of: Int.self) { group in
                    for _ in 0..<60 {
                        group.addTask { try await client.call("/", pattern(1000)).collect(upTo: 1000).readableBytes }
                    }
                    for try await size in group { #expect(size == 1000) }
                }
            }
        }
    }

    @Test func headAndAttachmentReachTheHandler() async throws {
        let handler = ClosureHandler { call in
            if call.head.path == "/hello" { call.connection.setAttachment("known") }
            let known = call.connection.attachment() as? String ?? "stranger"
            let timeout = call.head.timeout ?? .zero
            let isRight = timeout > .seconds(600) && timeout <= .seconds(700) && call.deadline != nil
            let text = "\(call.head.method) \(call.head.path) \(call.head.authorization ?? "-") \(known) \(isRight)"
            try await call.respond(status: 201, contentType: "text/plain")
            try await call.write(ByteBuffer(string: text))
            try await call.finish()
        }
        try await withServer(handler) { _, port in
            let handshake: TransportClient.Handshake = { connection in
                _ = try await connection.call(
                    path: "/hello", authorization: nil, body: ByteBuffer(), timeout: .seconds(650)
                ).collect(upTo: 1000)
            }
            try await withClient(port, handshake: handshake) { client in
                let response = try await client.call(
                    path: "/a?b=c", authorization: "Bearer x", body: ByteBuffer(), timeout: .seconds(700))
                #expect(response.status == 201)
                let text = String(buffer: try await response.collect(upTo: 1000))
                #expect(text == "POST /a?b=c Bearer x known true")
            }
        }
    }

    @Test func deadlineIsEnforcedOnBothSides() async throws {
        let seen = Counter()
        let handler = ClosureHandler { call in
            if call.head.path == "/warm" { return try await ClosureHandler.echo.body(call) }
            while !call.isCancelled { try? await Task.sleep(for: .milliseconds(1)) }
            seen.add()
        }
        try await withServer(handler) { _, port in
            try await withClient(port) { client in
                #expect(await client.failure("/warm") == nil)
                let error = try #require(await client.failure(timeout: .milliseconds(500)))
                #expect(error.isDeadline)
                #expect(error.outcome == .unknown)
                let wasSeen = await eventually { seen.value == 1 }
                #expect(wasSeen)
            }
        }
    }

    @Test func deadlineEndsABodyHalfRead() async throws {
        let handler = ClosureHandler { call in
            if call.head.path == "/warm" { return try await ClosureHandler.echo.body(call) }
            try await call.respond(status: 200, contentType: "x")
            try await call.write(ByteBuffer(string: "first"))
            while !call.isCancelled { try? await Task.sleep(for: .milliseconds(1)) }
        }
        try await withServer(handler) { _, port in
            try await withClient(port) { client in
                #expect(await client.failure("/warm") == nil)
                let response = try await client.call(timeout: .seconds(1))
                #expect(try await response.next() == ByteBuffer(string: "first"))
                await #expect(throws: TransportError.self) { try await response.next() }
            }
        }
    }

    @Test func serverEnforcesTheDeadlineOfAClientThatDoesNot() async throws {
        let cancelled = Counter()
        let handler = ClosureHandler { call in
            call.onCancel { cancelled.add() }
            while !call.isCancelled { try? await Task.sleep(for: .milliseconds(1)) }
        }
        try await withServer(handler) { server, port in
            let session = try HTTP2Session(role: .client, limits: HTTP2Limits())
            var fields = HTTP2Fields()
            for (name, value) in [
                (":method", "POST"), (":scheme", "http"), (":authority", "x"), (":path", "/"),
                ("sluice-timeout-ms", "50"),
            ] { fields.append(name, value) }
            _ = session.submitRequest(fields, hasBody: false)
            _ = try session.pump(upTo: 1 << 16)
            let bytes = session.takeOutput().flatMap { Array($0.readableBytesView) }
            try await RawSocket.open(port).executeThenClose { inbound, outbound in
                try await outbound.write(ByteBuffer(bytes: bytes))
                let wasCancelled = await eventually { cancelled.value == 1 && server.stats.callsRunning == 0 }
                #expect(wasCancelled)
            }
        }
    }

    @Test func taskCancellationReachesTheServer() async throws {
        let started = Counter()
        let cancelled = Counter()
        let handler = ClosureHandler { call in
            call.onCancel { cancelled.add() }
            started.add()
            // The handler's task is cancelled too, so this ends early.
            try await Task.sleep(for: .seconds(60))
        }
        try await withServer(handler) { server, port in
            try await withClient(port) { client in
                let task = Task { await client.failure() }
                let hasStarted = await eventually { started.value == 1 }
                #expect(hasStarted)
                task.cancel()
                #expect(await task.value?.isCancellation == true)
                let wasSeen = await eventually { cancelled.value == 1 && server.stats.callsRunning == 0 }
                #expect(wasSeen)
            }
        }
    }

    @Test func droppingAnUnreadResponseCancelsTheCall() async throws {
        let cancelled = Counter()
        let handler = ClosureHandler { call in
            call.onCancel { cancelled.add() }
            try await call.respond(status: 200, contentType: "x")
            while true { try await call.write(ByteBuffer(repeating: 1, count: 100_000)) }
        }
        try await withServer(handler) { server, port in
            try await withClient(port) { client in
                #expect(try await client.call().status == 200)
                let wasSeen = await eventually { cancelled.value == 1 && server.stats.callsRunning == 0 }
                #expect(wasSeen)
                // The connection is as good as new.
                let second = try await client.call()
                #expect(try await second.next() != nil)
            }
        }
    }

    @Test func lostConnectionCancelsCallsOnTheServer() async throws {
        let cancelled = Counter()
        let handler = ClosureHandler { call in
            call.onCancel { cancelled.add() }
            try await Task.sleep(for: .seconds(60))
        }
        try await withServer(handler) { server, port in
            try await withClient(port) { client in
                let task = Task { await client.failure() }
                let isRunning = await eventually { server.stats.callsRunning == 1 }
                #expect(isRunning)
                await client.shutdown()
                #expect(await task.value?.outcome == .unknown)
            }
            let wasSeen = await eventually { cancelled.value == 1 && server.stats.callsRunning == 0 }
            #expect(wasSeen)
        }
    }

    @Test func handlerThatForgetsToFinishResetsTheStream() async throws {
        try await withServer(ClosureHandler { _ in }) { _, port in
            try await withClient(port) { client in
                let error = try #require(await client.failure())
                #expect(error.outcome == .unknown)
                #expect(error.resetCode == .internalError)
            }
        }
    }

    @Test func misuseOfACallIsAnErrorNotATrap() async throws {
        let handler = ClosureHandler { call in
            await #expect(throws: TransportError.self) { try await call.write(ByteBuffer(string: "x")) }
            await #expect(throws: TransportError.self) { try await call.finish() }
            try await call.respond(status: 200, contentType: "x")
            await #expect(throws: TransportError.self) { try await call.respond(status: 200, contentType: "x") }
            try await call.finish()
            await #expect(throws: TransportError.self) { try await call.write(ByteBuffer(string: "x")) }
        }
        try await withServer(handler) { _, port in
            try await withClient(port) { client in #expect(await client.failure() == nil) }
        }
    }

    @Test func responseLargerThanTheCollectorsLimitIsCancelled() async throws {
        try await withServer(ClosureHandler.echo) { _, port in
            try await withClient(port) { client in
                let response = try await client.call("/", pattern(100_000))
                await #expect(throws: TransportError.self) { try await response.collect(upTo: 99_999) }
            }
        }
    }
}

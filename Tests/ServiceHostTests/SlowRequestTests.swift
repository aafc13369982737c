import Foundation
import FunnelModel
import FunnelProtocol
import Hummingbird
import NIOCore
import RPC
import ServiceHost
import Synchronization
import Testing

/// Requests that trickle, memory that they hold, and connections that do nothing.
@Suite(.timeLimit(.minutes(2)))
struct SlowRequestTests {
    private static func limits() -> HTTPPortState.Limits {
        var limits = HTTPPortState.Limits()
        limits.head = .seconds(1)
        limits.body.window = .seconds(1)
        limits.body.bytesPerSecond = 8_192
        return limits
    }

    private static func routes(_ bodies: BodyMemory) -> (ServiceRouter) -> Void {
        { router in
            router.post("/{project}") { request, context in
                let project = UInt32(context.parameters.get("project") ?? "") ?? 0
                let bytes = try await bodies.with(project, context) {
                    try await ReceivedBody.read(request, limit: 16 << 20, lease: $0).content()
                }
                return JSONResponse.text("\(bytes.count)\n")
            }
        }
    }

    @Test func aTrickleEndsAndAnHonestSlowSenderDoesNot() async throws {
        for _ in 0..<20 { if try await isAnHonestSenderServed() { return } }
        Issue.record("the senders of this test were held up by other tests every time")
    }

    /// False if the senders were held up for long: then they were no honest ones.
    private func isAnHonestSenderServed() async throws -> Bool {
        let longest = Mutex(Duration.zero)
        let door = HTTPPortState(limits: Self.limits())
        let bodies = BodyMemory(bytes: 64 << 20)
        try await withEdge(door, Self.routes(bodies)) { port in
            let (trickle, phone) = (try await RawHTTP(port), try await RawHTTP(port))
            await trickle.post("/1", "Content-Length: 1000000")
            await trickle.send(String(repeating: "x", count: 200_000))
            await phone.post("/1", "Content-Length: \(60 * 16_384)")
            for piece in 0..<60 {
                let begun = ContinuousClock.now
                await phone.send(String(repeating: "x", count: 16_384))
                if piece % 10 == 0 { await trickle.send("x") }
                try await Task.sleep(for: .milliseconds(50))
                longest.withLock { $0 = max($0, .now - begun) }
            }
            guard longest.withLock({ $0 }) < .milliseconds(500) else { return }
            let isDone = await eventually { phone.statuses == [200] }
            #expect(isDone, "\(phone.text)")
            let isCut = await eventually { trickle.statuses == [408] && trickle.isOver }
            #expect(isCut, "\(trickle.text)")
            #expect(door.refusals[.slow] == 1)
            #expect(bodies.bytes == 0)
        }
        return longest.withLock { $0 } < .milliseconds(500)
    }

    @Test(arguments: ["", "GET /healthz HTTP/1.1\r\nHost: local"])
    func aHeadThatDoesNotComeEndsTheConnection(begun: String) async throws {
        let door = HTTPPortState(limits: Self.limits())
        try await withEdge(door, { _ in }) { port in
            let first = try await RawHTTP(port)
            await first.send(begun)
            let isOver = await eventually { first.isOver }
            #expect(isOver)
            // The same for a second request; until it begins the connection may be idle.
            let second = try await RawHTTP(port)
            await second.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            let isAnswered = await eventually { second.statuses == [200] }
            #expect(isAnswered)
            if !begun.isEmpty {
                try await Task.sleep(for: .milliseconds(1_500))
                #expect(!second.isOver)
                await second.send(begun)
                let isOver = await eventually { second.isOver }
                #expect(isOver)
            }
            #expect(door.refusals[.slowHead] >= 1)
            await second.close()
        }
    }

    @Test func slowBodiesOfOneProjectLeaveRoomToAnother() async throws {
        let door = HTTPPortState()
        let bodies = BodyMemory(bytes: 8 << 20)
        try await withEdge(door, Self.routes(bodies)) { port in
            var attackers: [RawHTTP] = []
            for _ in 0..<8 {
                let peer = try await RawHTTP(port)
                await peer.post("/2", "Content-Length: 1000000")
                await peer.send(String(repeating: "x", count: 990_000))
                attackers.append(peer)
            }
            let isFull = await eventually { bodies.bytes > 3 << 20 }
            #expect(isFull)
            // Another project is not touched by it; a new request of the same one displaces the slowest.
            try await Task.sleep(for: .milliseconds(1_200))
            for project in [1, 1, 2, 2] {
                let peer = try await RawHTTP(port)
                await peer.post("/\(project)", "Content-Length: 3000000")
                await peer.send(String(repeating: "x", count: 3_000_000))
                let isTaken = await eventually { peer.statuses == [200] }
                #expect(isTaken, "project \(project): \(peer.text)")
                await peer.close()
            }
            #expect(bodies.bytes <= 4 << 20)
            #expect(attackers.contains { $0.statuses == [503] })
            for peer in attackers { await peer.close() }
            let isFree = await eventually { bodies.bytes == 0 }
            #expect(isFree)
        }
    }

    @Test func idleConnectionsShutNobodyOut() async throws {
        let door = HTTPPortState(connections: 20, connectionsPerAddress: 12, reserved: 4)
        try await withEdge(door, { _ in }) { port in
            var idle: [RawHTTP] = []
            for _ in 0..<60 { idle.append(try await RawHTTP(port)) }
            for _ in 0..<5 {
                let peer = try await RawHTTP(port)
                await peer.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                let isAnswered = await eventually { peer.statuses == [200] }
                #expect(isAnswered)
                await peer.close()
            }
            #expect(door.places.count <= 13)
            #expect(door.places.displaced >= 48)
            for peer in idle { await peer.close() }
        }
    }

    @Test func busyConnectionsLeaveHealthChecksAPlace() async throws {
        let door = HTTPPortState(connections: 10, connectionsPerAddress: 10, reserved: 4)
        try await withEdge(
            door,
            { router in
                router.get("/wait") { _, _ in
                    try await Task.sleep(for: .seconds(60))
                    return JSONResponse.text("late\n")
                }
            }
        ) { port in
            var busy: [RawHTTP] = []
            for number in 1...6 {
                let peer = try await RawHTTP(port)
                await peer.send("GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
                busy.append(peer)
                _ = await eventually { door.places.count == number }
            }
            try await Task.sleep(for: .milliseconds(50))
            for _ in 0..<10 {
                let peer = try await RawHTTP(port)
                await peer.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                let isAnswered = await eventually { peer.statuses == [200] && peer.isOver }
                #expect(isAnswered, "\(peer.text)")
            }
            #expect(busy.allSatisfy { !$0.isOver })
            for peer in busy { await peer.close() }
        }
    }

    /// S4: what a body decodes to is taken from the budget, and bounded by the limit.
    @Test func decodedBytesHaveABudgetAndALimit() async throws {
        let zeros = try Self.gzipOfZeros(12 << 20)
        let bodies = BodyMemory(bytes: 8 << 20)
        try await withEdge(
            HTTPPortState(),
            { router in
                Self.routes(bodies)(router)
                router.post("/limited/{project}") { request, _ in
                    JSONResponse.text("\(try await ReceivedBody.read(request, limit: 1 << 20).content().count)\n")
                }
            }
        ) { port in
            for (path, status) in [("/1", 503), ("/limited/1", 413)] {
                let sender = try await RawHTTP(port)
                await sender.post(path, "Content-Encoding: gzip", "Content-Length: \(zeros.count)")
                await sender.send(ByteBuffer(bytes: zeros))
                let isAnswered = await eventually { sender.statuses == [status] }
                #expect(isAnswered, "\(sender.text)")
                #expect(bodies.bytes == 0)
                await sender.close()
            }
        }
    }

    private static func gzipOfZeros(_ bytes: Int) throws -> [UInt8] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "head -c \(bytes) /dev/zero | gzip -nc"]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let packed = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Array(packed)
    }

    /// The answer that has waited for longest goes; whoever reads gets theirs.
    @Test func answersThatNobodyReadsMakeRoom() async throws {
        let size = 16 << 20
        let door = HTTPPortState(answers: AnswerBudget(bytes: 24 << 20))
        let whole = String(repeating: "x", count: size)
        try await withEdge(door, { $0.get("/large") { _, _ in JSONResponse.text(whole) } }) { port in
            let get = "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n"
            let deaf = (try await RawHTTP(port, reads: false), try await RawHTTP(port, reads: false))
            await deaf.0.send(get)
            let isHeld = await eventually { door.answers.bytes >= size }
            #expect(isHeld)
            await deaf.1.send(get)
            let isFirstGone = await eventually { door.refusals[.unread] == 1 }
            #expect(isFirstGone)
            let reader = try await RawHTTP(port)
            await reader.send(get)
            let isWhole = await eventually { reader.text.utf8.count > size }
            #expect(isWhole && reader.statuses == [200])
            #expect(door.refusals[.unread] == 2)
            let isFree = await eventually { door.answers.bytes == 0 }
            #expect(isFree)
            for one in [deaf.0, deaf.1, reader] { await one.close() }
        }
    }
}

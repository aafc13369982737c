import HTTP2
import NIOCore
import RPC
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(2)))
struct PressureTests {
    @Test func slowReaderSuspendsTheWriter() async throws {
        let written = Counter()
        let handler = ClosureHandler { call in
            try await call.respond(status: 200, contentType: "x")
            for index in 0..<64 {
                try await call.write(ByteBuffer(repeating: UInt8(index), count: 1 << 20))
                written.add()
            }
            try await call.finish()
        }
        try await withServer(handler) { _, port in
            try await withClient(port) { client in
                let response = try await client.call()
                // The window is 4 MiB and the buffer 256 KiB: one chunk in each of them, and one that waits.
                #expect(await settled { written.value } <= 5)
                var total = 0
                while let chunk = try await response.next() { total += chunk.readableBytes }
                #expect(total == 64 << 20)
                #expect(written.value == 64)
            }
        }
    }

    @Test func unreadResponsesDoNotBlockOthersOnTheConnection() async throws {
        let handler = ClosureHandler { call in
            try await call.respond(status: 200, contentType: "x")
            for _ in 0..<8 { try await call.write(ByteBuffer(repeating: 1, count: 1 << 20)) }
            try await call.finish()
        }
        try await withServer(handler) { _, port in
            try await withClient(port) { client in
                // Six unread streams of 4 MiB are more than the connection's window of 16 MiB.
                var waiting: [ClientResponse] = []
                for _ in 0..<6 { waiting.append(try await client.call()) }
                #expect(try await client.call().collect(upTo: 1 << 23).readableBytes == 8 << 20)
                for response in waiting {
                    #expect(try await response.collect(upTo: 1 << 23).readableBytes == 8 << 20)
                }
            }
        }
    }

    @Test func writerIsLetGoWhenThePeerLeaves() async throws {
        let failed = Counter()
        let handler = ClosureHandler { call in
            try await call.respond(status: 200, contentType: "x")
            do {
                while true { try await call.write(ByteBuffer(repeating: 1, count: 1 << 20)) }
            } catch {
                failed.add()
            }
        }
        try await withServer(handler) { server, port in
            try await withClient(port) { client in
                let response = try await client.call()
                _ = try await response.next()
                await client.shutdown()
                let isDone = await eventually { failed.value == 1 && server.stats.callsRunning == 0 }
                #expect(isDone)
            }
        }
    }

    @Test func heldCallsSlowTheirProducer() async throws {
        let gate = Gate()
        var limits = TransportLimits()
        limits.maxBacklogBytes = 1 << 20
        limits.http2.connectionWindowBytes = 2 << 20
        let handler = ClosureHandler { call in
            await gate.pass()
            try await ClosureHandler.echo.body(call)
        }
        try await withServer(handler, limits: limits) { server, port in
            try await withClient(port) { client in
                let size = 512 << 10
                try await withThrowingTaskGroup(of: Int.self) { group in
                    // 16 MiB want in, one call after the other so that the first ones are complete early. The backlog
                    // and one window are all that gets in.
                    for index in 0..<32 {
                        group.addTask {
                            try await client.call("/", ByteBuffer(repeating: 1, count: size)).collect(upTo: size)
                                .readableBytes
                        }
                        if index < 4 { _ = await eventually { server.stats.bodyBytes >= (index + 1) * size } }
                    }
                    let held = await settled { server.stats.bodyBytes }
                    #expect(held > 1 << 20)
                    #expect(held <= 4 << 20)
                    gate.open()
                    for try await size in group { #expect(size == 512 << 10) }
                }
            }
            #expect(server.stats.callsTotal == 32)
            let isReleased = await eventually { server.stats.bodyBytes == 0 }
            #expect(isReleased)
        }
    }

    @Test func bodyOverTheLimitIsAnswered413() async throws {
        var limits = TransportLimits()
        limits.maxBodyBytes = 1 << 20
        try await withServer(ClosureHandler.echo, limits: limits) { server, port in
            try await withClient(port) { client in
                let response = try await client.call("/", ByteBuffer(repeating: 1, count: 12 << 20))
                #expect(response.status == 413)
                #expect(String(buffer: try await response.collect(upTo: 1_000)).contains("over the limit"))
                #expect(try await client.call("/", pattern(1 << 20)).status == 200)
            }
            #expect(server.stats.callsTotal == 1)
            let isReleased = await eventually { server.stats.bodyBytes == 0 }
            #expect(isReleased)
        }
    }

    @Test func bodiesAreRefusedWhileTheServerHoldsTooMuch() async throws {
        let gate = Gate()
        var limits = TransportLimits()
        // Three quarters of it for callers without a role.
        limits.maxGlobalBodyBytes = 200_000
        let handler = ClosureHandler { call in
            await gate.pass()
            try await ClosureHandler.echo.body(call)
        }
        try await withServer(handler, limits: limits) { server, port in
            try await withClient(port) { client in
                async let first = client.failure("/", pattern(150_000))
                let isHeld = await eventually { server.stats.callsRunning == 1 }
                #expect(isHeld)
                // Whole bodies stay, so it is the newcomer that goes.
                let error = try #require(await client.failure("/", pattern(1)))
                #expect(error.outcome == .refused)
                #expect(error.resetCode == .refusedStream)
                #expect(server.stats.bodyBytes == 150_000)
                #expect(server.refusals[.memory] == 1)
                gate.open()
                #expect(await first == nil)
                #expect(await client.failure("/", pattern(1)) == nil)
            }
        }
    }

    @Test func honestReaderOfALargeAnswerIsNotCutOff() async throws {
        let handler = ClosureHandler { call in
            try await call.respond(status: 200, contentType: "x")
            let chunk = ByteBuffer(repeating: 1, count: 1 << 20)
            for _ in 0..<200 { try await call.write(chunk) }
            try await call.finish()
        }
        try await withServer(handler) { _, port in
            try await withClient(port) { client in
                let response = try await client.call(timeout: .seconds(100))
                var total = 0
                while let chunk = try await response.next() { total += chunk.readableBytes }
                #expect(total == 200 << 20)
            }
        }
    }

    @Test func memoryOfAnswersIsTheirUnsentPartsAlone() {
        let budget = AnswerBudget(bytes: 100)
        let evicted = Counter()
        let one = budget.take(60, ticket: nil) { evicted.add() }
        #expect(budget.take(40, ticket: one) {} == one)
        budget.giveBack(60, of: one)
        #expect(budget.bytes == 40)
        let two = budget.take(50, ticket: nil) {}
        #expect(evicted.value == 0)
        // Who has sent all begins anew, as the youngest.
        budget.giveBack(40, of: one)
        let again = budget.take(30, ticket: one) { evicted.add() }
        #expect(again > two)
        _ = budget.take(50, ticket: nil) {}
        #expect(evicted.value == 0 && budget.bytes == 80)
        // What was evicted has nothing left to give back.
        budget.giveBack(50, of: two)
        budget.release(two)
        #expect(budget.bytes == 80)
        budget.release(again)
        #expect(budget.bytes == 50)
    }
}

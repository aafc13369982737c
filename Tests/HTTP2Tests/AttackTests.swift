import HTTP2
import NIOCore
import Testing

struct AttackTests {
    /// A server session that has had a good preface.
    private func victim(_ limits: HTTP2Limits = HTTP2Limits()) throws -> HTTP2Session {
        let server = try HTTP2Session(role: .server, limits: limits)
        try server.receive(ByteBuffer(bytes: Raw.preface + Raw.settings), now: 0)
        _ = try server.drain()
        return server
    }

    /// Sends rounds until the session is over; returns how many it took, nil if it never ended.
    private func rounds(
        _ server: HTTP2Session, most: Int, drains: Bool = true, _ make: (Int) -> [UInt8]
    ) -> Int? {
        for index in 0..<most {
            do {
                try server.receive(ByteBuffer(bytes: make(index)), now: 0)
                if drains { _ = try server.drain() }
            } catch {
                return index
            }
            if server.isFinished { return index }
        }
        return nil
    }

    private func lastGoAway(_ server: HTTP2Session) -> UInt32? {
        var all = ByteBuffer()
        for piece in server.takeOutput() { all.writeImmutableBuffer(piece) }
        guard all.readableBytes >= 17 else { return nil }
        return all.getInteger(at: all.writerIndex - 4)
    }

    @Test(arguments: [
        "GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "\u{16}\u{03}\u{01}hello there, tls",
    ])
    func badPrefaceIsAnError(text: String) throws {
        let server = try HTTP2Session(role: .server, limits: HTTP2Limits())
        #expect(throws: HTTP2Error.self) { try server.receive(ByteBuffer(string: text), now: 0) }
        #expect(server.failure?.code == .badPreface)
        #expect(server.isFinished)
    }

    @Test func clientTakesAnyGarbageAsAnErrorOrAGoodbye() throws {
        let client = try HTTP2Session(role: .client, limits: HTTP2Limits())
        try? client.receive(ByteBuffer(string: "HTTP/1.1 400 Bad Request\r\n\r\n"), now: 0)
        _ = try? client.drain()
        #expect(client.isFinished)
    }

    @Test(arguments: [
        "ping", "settings", "empty data", "padding only", "window update", "priority", "unknown", "goaway",
    ])
    func floodsOfFramesThatMoveNothingAreCut(kind: String) throws {
        let server = try victim()
        try server.receive(ByteBuffer(bytes: Raw.request(1)), now: 0)
        let frame: [UInt8] =
            switch kind {
            case "ping": Raw.frame(6, Array(repeating: 1, count: 8))
            case "settings": Raw.settings
            case "empty data": Raw.frame(0, stream: 1)
            case "padding only": Raw.frame(0, flags: 8, stream: 1, [9] + Array(repeating: 0, count: 9))
            case "window update": Raw.frame(8, stream: 1, Raw.bytes(1))
            case "priority": Raw.frame(2, stream: 1, Raw.bytes(0) + [16])
            case "goaway": Raw.frame(7, Raw.bytes(0) + Raw.bytes(0))
            default: Raw.frame(0xEE)
            }
        let cut = rounds(server, most: 5000) { _ in frame }
        #expect(cut != nil)
        #expect(server.failure?.code == .abuse)
        #expect(lastGoAway(server) == HTTP2ErrorCode.enhanceYourCalm.rawValue)
    }

    @Test func acknowledgementsDoNotPileUpWhenThePeerDoesNotRead() throws {
        let server = try victim()
        let cut = rounds(server, most: 5000, drains: false) { _ in Raw.frame(6, Array(repeating: 1, count: 8)) }
        #expect((cut ?? .max) <= 201)
    }

    @Test func timeGivesTokensBack() throws {
        let server = try victim()
        let ping = ByteBuffer(bytes: Raw.frame(6, Array(repeating: 1, count: 8)))
        for second in 0..<5000 {
            try server.receive(ping, now: UInt64(second) * 1_000_000_000)
            _ = try server.drain()
        }
        #expect(!server.isFinished)
    }

    @Test func rapidResetIsCut() throws {
        let server = try victim()
        let cut = rounds(server, most: 2000) { index in
            let stream = UInt32(index * 2 + 1)
            return Raw.request(stream) + Raw.frame(3, stream: stream, Raw.bytes(8))
        }
        #expect((cut ?? .max) < 300)
    }

    /// A peer that does not acknowledge the limit of streams is refused by stream, and may be that only so often.
    @Test func requestsBeyondTheLimitOfStreamsAreCut() throws {
        let limits = HTTP2Limits()
        let server = try victim(limits)
        let cut = try #require(rounds(server, most: 5000) { Raw.request(UInt32($0 * 2 + 1)) })
        #expect((limits.maxConcurrentStreams...limits.maxConcurrentStreams + limits.glitchBurst + 10).contains(cut))
        #expect(server.openStreams <= limits.maxConcurrentStreams)
        #expect(server.failure?.code == .abuse)
        #expect(lastGoAway(server) == HTTP2ErrorCode.enhanceYourCalm.rawValue)
    }

    @Test func headerBombClosesTheConnection() throws {
        let server = try victim()
        // One 3900-byte entry put into the dynamic table, then named again and again by one byte each.
        let value = [UInt8](repeating: 0x61, count: 3900)
        let length: [UInt8] = [0x7F] + hpackInteger(3900 - 127)
        let bomb = Raw.requestHeaders + [0x40, 0x01, 0x78] + length + value + [UInt8](repeating: 0xBE, count: 8000)
        #expect(throws: HTTP2Error.self) {
            try server.receive(ByteBuffer(bytes: Raw.frame(1, flags: 5, stream: 1, bomb)), now: 0)
        }
        #expect(server.failure?.code == .abuse)
        #expect(server.takeEvents().isEmpty)
        #expect(lastGoAway(server) == HTTP2ErrorCode.enhanceYourCalm.rawValue)
        // Deaf from here on.
        try server.receive(ByteBuffer(bytes: Raw.request(3)), now: 0)
        #expect(server.takeEvents().isEmpty)
    }

    @Test func continuationFloodIsCut() throws {
        let server = try victim()
        try server.receive(ByteBuffer(bytes: Raw.frame(1, stream: 1, Raw.requestHeaders)), now: 0)
        #expect(server.isInHeaderBlock)
        let cut = rounds(server, most: 100) { _ in Raw.frame(9, stream: 1, [0x00, 0x01, 0x78, 0x01, 0x79]) }
        #expect((cut ?? .max) < 10)
    }

    @Test func honestFastReaderOf200MBIsNotCut() throws {
        let server = try victim()
        try server.receive(ByteBuffer(bytes: Raw.request(1, ends: true)), now: 0)
        server.submitResponse(stream: 1, fields: .response(200), endStream: false)
        let chunk = ByteBuffer(repeating: 5, count: 1 << 20)
        var received = 0
        var fed = 0
        while received < 200 << 20 {
            if fed < 200 {
                server.send(stream: 1, data: chunk)
                fed += 1
                if fed == 200 { server.finish(stream: 1) }
            }
            // Updates both windows for each frame, as eager clients do.
            var updates: [UInt8] = []
            var output = try server.drain()
            while let length = output.getInteger(at: output.readerIndex, as: UInt32.self).map({ $0 >> 8 }) {
                let type = output.getInteger(at: output.readerIndex + 3, as: UInt8.self)
                output.moveReaderIndex(forwardBy: 9 + Int(length))
                guard type == 0, length > 0 else { continue }
                received += Int(length)
                updates += Raw.frame(8, Raw.bytes(length)) + Raw.frame(8, stream: 1, Raw.bytes(length))
            }
            try server.receive(ByteBuffer(bytes: updates), now: 0)
        }
        #expect(received == 200 << 20)
        #expect(server.failure == nil)
    }

    @Test func randomBytesAfterAGoodPrefaceNeverCrash() throws {
        for seed in 0..<2000 {
            var random = SplitMix64(state: UInt64(seed))
            let server = try victim()
            var input: [UInt8] = []
            for _ in 0..<Int.random(in: 1...40, using: &random) {
                if seed % 3 == 0 {
                    input += (0..<40).map { _ in UInt8.random(in: 0...255, using: &random) }
                } else {
                    input += randomFrame(&random)
                }
            }
            do {
                let step = Int.random(in: 1...200, using: &random)
                for start in stride(from: 0, to: input.count, by: step) {
                    let part = input[start..<min(input.count, start + step)]
                    try server.receive(ByteBuffer(bytes: part), now: 0)
                    for (stream, _) in server.takeEvents().heads() {
                        server.submitResponse(stream: stream, fields: .response(200), endStream: stream % 3 == 0)
                        server.send(stream: stream, data: ByteBuffer(repeating: 1, count: 5000))
                    }
                    _ = try server.drain()
                }
            } catch {
                #expect(server.isFinished)
            }
        }
    }

    private func randomFrame(_ random: inout SplitMix64) -> [UInt8] {
        let type = UInt8.random(in: 0...10, using: &random)
        let stream = UInt32.random(in: 0...9, using: &random)
        let flags = UInt8.random(in: 0...255, using: &random) & 0x2D
        if type == 1 && Bool.random(using: &random) {
            return Raw.request(stream | 1, ends: Bool.random(using: &random))
        }
        let lengths = [0, 4, 5, 6, 8, 12, 30]
        let length = lengths.randomElement(using: &random) ?? 0
        let payload = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
        return Raw.frame(type, flags: flags, stream: stream, payload)
    }

    private func hpackInteger(_ value: Int) -> [UInt8] {
        var rest = value
        var bytes: [UInt8] = []
        while rest >= 128 {
            bytes.append(UInt8(rest % 128 + 128))
            rest /= 128
        }
        return bytes + [UInt8(rest)]
    }
}

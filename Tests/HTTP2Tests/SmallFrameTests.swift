import HTTP2
import NIOCore
import Testing

/// DATA frames that cost more than they carry, and DATA of streams that are over; honest senders beside them.
struct SmallFrameTests {
    private func victim() throws -> HTTP2Session {
        let server = try HTTP2Session(role: .server, limits: HTTP2Limits())
        try server.receive(ByteBuffer(bytes: Raw.preface + Raw.settings), now: 0)
        _ = try server.drain()
        return server
    }

    /// Sends frames and credits what they carry; returns how many were taken.
    private func taken(_ server: HTTP2Session, most: Int, _ frame: [UInt8]) -> Int {
        for index in 0..<most {
            do {
                try server.receive(ByteBuffer(bytes: frame), now: 0)
                for case .data(let stream, let bytes) in server.takeEvents() {
                    server.creditStream(stream, bytes: bytes.readableBytes)
                    server.creditConnection(bytes: bytes.readableBytes)
                }
                _ = try server.drain()
            } catch {
                return index
            }
        }
        return most
    }

    @Test func framesOfOneByteAreCut() throws {
        let server = try victim()
        try server.receive(ByteBuffer(bytes: Raw.request(1)), now: 0)
        #expect(taken(server, most: 100_000, Raw.frame(0, stream: 1, [1])) < 1_100)
        #expect(server.failure?.code == .abuse)
    }

    @Test(arguments: [32, 63, 64, 100])
    func honestSmallPiecesAreNotCut(size: Int) throws {
        let server = try victim()
        try server.receive(ByteBuffer(bytes: Raw.request(1)), now: 0)
        let frame = Raw.frame(0, stream: 1, Array(repeating: 1, count: size))
        #expect(taken(server, most: 50_000, frame) == 50_000)
    }

    @Test func shortBodiesOfManyRequestsAreNotCut() throws {
        let server = try victim()
        for number in 0..<20_000 as Range<UInt32> {
            let stream = number * 2 + 1
            try server.receive(
                ByteBuffer(bytes: Raw.request(stream) + Raw.frame(0, stream: stream, [1, 2, 3]) + Raw.frame(0, flags: 1, stream: stream)),
                now: 0)
            _ = server.takeEvents()
            server.submitResponse(stream: Int32(stream), fields: .response(200), endStream: true)
            _ = try server.drain()
        }
        #expect(server.failure == nil)
    }

    @Test(arguments: [1, 1_000, 16_384])
    func dataOfARefusedStreamIsCut(size: Int) throws {
        let server = try victim()
        try server.receive(ByteBuffer(bytes: Raw.request(1)), now: 0)
        server.submitResponse(stream: 1, fields: .response(401), endStream: true)
        server.resetAfterEnd(stream: 1, code: .noError)
        _ = try server.drain()
        let frames = taken(server, most: 200_000, Raw.frame(0, stream: 1, Array(repeating: 1, count: size)))
        #expect(frames < 40_000)
        #expect(server.failure?.code == .abuse)
    }

    @Test func whatWasOnItsWayWhenStreamsWereRefusedIsTaken() throws {
        let server = try victim()
        // 100 streams refused with 160 KiB each on the way: a whole window of the connection.
        var late: [UInt8] = []
        for number in 0..<100 as Range<UInt32> {
            let stream = number * 2 + 1
            try server.receive(ByteBuffer(bytes: Raw.request(stream)), now: 0)
            server.reset(stream: Int32(stream), code: .refusedStream)
            for _ in 0..<10 { late += Raw.frame(0, stream: stream, Array(repeating: 1, count: 16_384)) }
        }
        _ = try server.drain()
        try server.receive(ByteBuffer(bytes: late), now: 0)
        _ = try server.drain()
        #expect(server.failure == nil)
    }
}

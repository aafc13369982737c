import NIOCore
import RPC
import Testing

/// The header `traceparent`: which values are valid, and that calls carry the one of their task.
struct TraceParentTests {
    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"

    @Test(arguments: [
        ("00-\(trace)-01", "00-\(trace)-01"), ("00-\(trace)-00", "00-\(trace)-00"), ("00-\(trace)-ff", "00-\(trace)-ff"),
        // A later version, with and without further fields.
        ("01-\(trace)-01", "00-\(trace)-01"), ("cc-\(trace)-01-what-the-future-brings", "00-\(trace)-01"),
    ])
    func validValues(text: String, sent: String) { #expect(TraceParent.read(text) == sent) }

    @Test(arguments: [
        "", "00", "00-\(trace)", "00-\(trace)-0", "00-\(trace)-01-", "00-\(trace)-01 ", " 00-\(trace)-01", "ff-\(trace)-01",
        "0G-\(trace)-01", "00-\(trace)-0X", "00_\(trace)-01", "00-\(trace)_01", "01-\(trace)-01.more", "01-\(trace)-011",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", "00-4bf92f3577b34da6a3ce929d0e0e473-000f067aa0ba902b7-01",
        "00-\(trace)-01, 00-\(trace)-01", "00-\(String(repeating: "é", count: 60))", String(repeating: "0", count: 1 << 20),
    ])
    func otherValuesAreIgnored(text: String) { #expect(TraceParent.read(text) == nil) }

    @Test func aCallCarriesTheTraceOfItsTask() async throws {
        let handler = ClosureHandler { call in
            try await call.respond(status: 200, contentType: "text/plain")
            try await call.write(ByteBuffer(string: call.head.trace ?? "none"))
            try await call.finish()
        }
        try await withServer(handler) { _, port in
            try await withClient(port) { client in
                func seen() async throws -> String { String(buffer: try await client.call().collect(upTo: 1_000)) }
                #expect(try await seen() == "none")
                let trace = "00-\(Self.trace)-01"
                try await TraceParent.of(trace) { () async throws in
                    #expect(try await seen() == trace)
                    // Child tasks and tasks of the request have it too, work that others share has not.
                    #expect(try await Task { try await seen() }.value == trace)
                    #expect(try await TraceParent.none { Task { try await seen() } }.value == "none")
                }
                #expect(try await seen() == "none")
            }
        }
    }
}

import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// The header `traceparent` from HTTP to the logs of shards, on real processes.
    struct TraceServiceTests {
        private static func trace(_ digit: Character) -> String {
            "00-\(String(repeating: digit, count: 32))-\(String(repeating: digit, count: 16))-01"
        }

        @Test func aTraceIsLoggedByAllServicesThatWorkForIt() async throws {
            try await Cluster.with(shards: 2, environment: ["SLUICE_LOG_LEVEL": "debug"]) { cluster in
                func call(_ address: String, _ path: String, _ body: JSONValue, _ trace: String) async throws -> HTTP.Answer {
                    let headers = ["traceparent": trace, "X-Request-Id": "request-\(trace.prefix(6))"]
                    let answer = try await HTTP.call("POST", address, path, body: body.encode(), headers: headers)
                    #expect(answer.headers["traceparent"] == nil && !answer.text.contains(trace))
                    return answer
                }
                // More events than a shared frame takes.
                let events = JSONValue.array((0..<400).map { event("u\($0)", "visit", Double($0)) })
                #expect(try await call(cluster.ingestHTTP, "/v1/events", events, Self.trace("a")).status == 200)
                let query: JSONValue = ["funnel": ["steps": ["visit", "buy"]]]
                #expect(try await call(cluster.coordinatorHTTP, "/v1/query", query, Self.trace("b")).status == 200)
                let wrong: JSONValue = ["funnel": ["steps": []]]
                #expect(try await call(cluster.coordinatorHTTP, "/v1/query", wrong, Self.trace("c")).status == 422)
                // Values that are not valid, and a small request: no calls carry them.
                let invalid = Self.trace("d").uppercased()
                #expect(try await call(cluster.coordinatorHTTP, "/v1/query", query, invalid).status == 200)
                #expect(try await call(cluster.ingestHTTP, "/v1/events", [event("small", "visit", 0)], Self.trace("e")).status == 200)
                #expect(try await call(cluster.ingestHTTP, "/v1/events", [["event": "visit"]], Self.trace("f")).status == 200)
                let command = try await Command.run(
                    "sluice", ["query", "--steps", "visit,buy", "--to", cluster.coordinatorWire], environment: [:])
                #expect(command.status == 0, "\(command.err)")

                func lines(_ name: String, _ digit: Character) throws -> [String] {
                    let file = cluster.directory.appendingPathComponent("data/logs/\(name).log")
                    let text = try String(contentsOf: file, encoding: .utf8)
                    return text.split(separator: "\n").filter { $0.contains("traceparent=\(Self.trace(digit))") }.map(String.init)
                }
                /// A line may come after the answer.
                func isLogged(_ name: String, _ digit: Character, _ path: String) async throws -> Bool {
                    for _ in 0..<600 {
                        if try lines(name, digit).contains(where: { $0.contains("path=/sluice/v1/\(path)") }) { return true }
                        try await Task.sleep(for: .milliseconds(50))
                    }
                    return false
                }
                for shard in ["shard-0", "shard-1"] {
                    #expect(try await isLogged(shard, "a", "shard-append"), "\(shard)")
                    #expect(try await isLogged(shard, "b", "partial-query"), "\(shard)")
                    for digit in "cdef" { #expect(try lines(shard, digit) == [], "\(shard)") }
                }
                let failed = try lines("coordinator", "c")
                #expect(failed.contains { $0.contains("request failed") && $0.contains("hb.request.id=request-00-ccc") }, "\(failed)")
                #expect(!cluster.log.contains(invalid))
            }
        }
    }
}

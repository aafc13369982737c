import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// Programs that are not ours against the wire port: nghttp2's load generator, and a client that an outsider wrote from
    /// `Protocol/` alone.
    struct InteropTests {
        static let h2load = Command.find("h2load")
        static let python = Command.find("python3")

        @Test(.enabled(if: h2load != nil, "h2load is not installed (nghttp2-client)"))
        func h2loadWithAHundredStreamsRunsClean() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let frame = cluster.directory.appendingPathComponent("health.frame")
                // The health call of the vectors: a header without a body.
                let vectors = try Repository.json("Protocol/vectors/health.json").asArray ?? []
                let entry = try #require(vectors.first { $0["name"] == "asked" })
                let hex = Array(try #require(entry["hex"]?.asString).bytes)
                let bytes = stride(from: 0, to: hex.count - 1, by: 2).compactMap {
                    UInt8(String(decoding: hex[$0..<($0 + 2)], as: UTF8.self), radix: 16)
                }
                try Data(bytes).write(to: frame)
                for address in [cluster.coordinatorWire, cluster.shardWire(0), cluster.ingestWire] {
                    let run = try await Command.run(
                        Self.h2load ?? "",
                        [
                            "-n", "20000", "-c", "2", "-m", "100", "-d", frame.path, "-H", "content-type: application/x-sluice",
                            "http://\(address)/sluice/v1/health",
                        ])
                    #expect(run.status == 0)
                    #expect(run.out.contains("20000 succeeded, 0 failed, 0 errored, 0 timeout"), "\(run.out)")
                }
            }
        }

        @Test(.enabled(if: python != nil, "python3 is not installed"))
        func anIndependentClientAppendsAndReadsAFunnel() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let info = cluster.directory.appendingPathComponent("info.json").path
                let run = try await Command.run(Self.python ?? "", [script("cluster_test.py"), info])
                #expect(run.status == 0, "\(run.out.suffix(3_000)) \(run.err.suffix(2_000))")
            }
        }

        @Test(.enabled(if: python != nil, "python3 is not installed"))
        func anIndependentDecoderReadsTheVectors() async throws {
            let run = try await Command.run(Self.python ?? "", [script("vectors_test.py")])
            #expect(run.status == 0, "\(run.err.suffix(3_000))")
        }

        @Test(.enabled(if: python != nil, "python3 is not installed"))
        func aThousandMalformedRequestsChangeNothing() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let info = cluster.directory.appendingPathComponent("info.json").path
                let run = try await Command.run(Self.python ?? "", [script("malformed.py"), info, "--count", "1000", "--seed", "1"])
                #expect(run.status == 0, "\(run.out.suffix(3_000)) \(run.err.suffix(2_000))")
            }
        }

        private func script(_ name: String) -> String { Repository.root.appendingPathComponent("Tests/Interop/\(name)").path }
    }
}

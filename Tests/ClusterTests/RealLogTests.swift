import Codec
import Crypto
import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// Both real logs through the command line into real clusters, against results that an independent program computed:
    /// counts, medians under two entry rules, and who is in each list. `SLUICE_FULL=1` runs every combination.
    struct RealLogTests {
        struct Setup: Sendable, CustomTestStringConvertible {
            var shards: Int
            var shuffled = false
            var pieces = 1
            var times = 1
            /// Many segments, which are made one a month between two rounds of questions.
            var compacted = false

            var testDescription: String {
                "\(shards) shard(s), \(shuffled ? "shuffled" : "file order"), \(pieces) piece(s), loaded \(times) time(s)"
                    + (compacted ? ", before and after compaction" : "")
            }
        }

        static let expected: [(name: String, json: JSONValue)] = {
            guard let folder = Repository.shared("expected") else { return [] }
            let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).sorted()
            return names.filter { $0.hasSuffix(".json") && $0 != "index.json" }.compactMap { name in
                ((try? Repository.sharedJSON("expected/\(name)")) ?? nil).map { (name, $0) }
            }
        }()

        static let setups: [Setup] = {
            if ProcessInfo.processInfo.environment["SLUICE_FULL"] == "1" {
                return [1, 2, 5].flatMap { shards in
                    [false, true].flatMap { shuffled in
                        [1, 10, 1_000].flatMap { pieces in
                            [(1, true), (2, false)].map {
                                Setup(shards: shards, shuffled: shuffled, pieces: pieces, times: $0.0, compacted: $0.1)
                            }
                        }
                    }
                }
            }
            return [
                Setup(shards: 1), Setup(shards: 2, shuffled: true, pieces: 100, times: 2, compacted: true),
                Setup(shards: 5, shuffled: true, times: 2),
            ]
        }()

        static var present: Bool { !expected.isEmpty && Repository.shared("data") != nil }

        @Test(.enabled(if: present, "the real logs are not beside the repository"), arguments: setups.indices)
        func countsMediansAndListsAreExact(index: Int) async throws {
            let setup = Self.setups[index]
            let arguments = setup.compacted ? ["--seal-rows", "1000"] : []
            try await Cluster.with(shards: setup.shards, arguments: arguments) { cluster in
                let logs = try RealLogs(cluster.directory)
                var random = SplitMix64(seed: UInt64(index) + 1)
                for log in logs.files {
                    let pieces = try logs.cut(log, into: setup.pieces, shuffle: setup.shuffled ? { $0.shuffle(using: &random) } : nil)
                    for _ in 0..<setup.times {
                        let done = try await Command.run("sluice", ["load"] + pieces.map(\.path) + ["--to", cluster.ingestWire])
                        #expect(done.status == 0, "\(done.err)")
                    }
                }
                try await Self.check(cluster, setup.testDescription)
                guard setup.compacted else { return }
                try await cluster.stop()
                for shard in 0..<setup.shards {
                    let folder = cluster.directory.appendingPathComponent("data/shard-\(shard)").path
                    let done = try await Command.run("sluice", ["compact", folder])
                    #expect(done.status == 0, "\(done.err)")
                    #expect(done.out.contains("0 rows in memory"), "\(done.out)")
                }
                try await cluster.start()
                try await Self.check(cluster, setup.testDescription)
            }
        }

        /// Ids taken away, ingest killed in the middle of the upload, then the whole sent again under the same key.
        @Test(.enabled(if: present, "the real logs are not beside the repository"))
        func withoutIdsAnIdempotencyKeyMakesResendingHarmless() async throws {
            try await Cluster.with(shards: 2) { cluster in
                let logs = try RealLogs(cluster.directory)
                for log in logs.files {
                    let stripped = try logs.withoutIDs(log)
                    let arguments = ["load", stripped.path, "--idempotency-key", "again", "--to", cluster.ingestWire]
                    let first = try Command.spawn("sluice", arguments)
                    try await Task.sleep(for: .milliseconds(250))
                    kill(first.processIdentifier, SIGKILL)
                    kill(cluster.pid("ingest"), SIGKILL)
                    await Command.wait(first)
                    let second = try await Command.run("sluice", arguments)
                    #expect(second.status == 0, "\(second.err)")
                    try cluster.reread()
                }
                try await Self.check(cluster, "without ids")
            }
        }

        static func check(_ cluster: Cluster, _ setup: String) async throws {
            #expect(expected.count == 37)
            for (name, want) in expected {
                let story = "\(name), \(setup)"
                for entry in ["shortest", "earliest"] {
                    let funnel = try definition(want, entry: entry)
                    let report = Report(try await cluster.query(["funnel": funnel]))
                    #expect(report.counts == want["counts"]?.asArray?.compactMap { $0.asInteger.map(Int.init) }, "\(story)")
                    let anchor = entry == "shortest" ? "anchor_shortest" : "anchor_first"
                    for (row, step) in (want["steps"]?.asArray ?? []).enumerated() {
                        let first = step[ByteString("seconds_from_first_\(anchor)")]
                        #expect(report.numbers("median_seconds")[row] == first?["median"]?.asDouble, "\(story) \(entry) row \(row)")
                        if let average = first?["average"]?.asDouble, let got = report.numbers("average_seconds")[row] {
                            #expect(abs(average - got) < 1e-5, "\(story) \(entry) row \(row)")
                        }
                        let previous = step[ByteString("seconds_from_previous_\(anchor)")]
                        if row > 0 {
                            #expect(
                                report.numbers("median_seconds_from_previous")[row] == previous?["median"]?.asDouble,
                                "\(story) \(entry) row \(row)")
                        }
                    }
                }
                for (row, step) in (want["steps"]?.asArray ?? []).enumerated() {
                    let users = try await cluster.users(
                        try definition(want, entry: "shortest"), step: row + 1, outcome: "reached", page: 3_000)
                    let hash = SHA256.hash(data: Array(users.joined(separator: "\n").utf8)).map {
                        ($0 < 16 ? "0" : "") + String($0, radix: 16)
                    }
                    #expect(hash.joined() == step["users_sha256"]?.asString?.string, "\(story) list of row \(row)")
                }
            }
        }

        /// The expected file's rules in the product's terms.
        private static func definition(_ want: JSONValue, entry: String) throws -> JSONValue {
            let rules = try #require(want["effective"])
            let steps = (want["definition"]?["steps"]?.asArray ?? []).enumerated().map { i, step -> JSONValue in
                step.asString.map { .string($0) } ?? ["name": .text("step \(i + 1)"), "events": step]
            }
            var members: [JSONValue.Member] = [
                .init("steps", .array(steps)), .init("entry", .text(entry)),
                .init("window_duration", .text("\(rules["window_seconds"]?.asInteger ?? 0)s")),
                .init("window_anchor", rules["window_mode"]?.asString == "from_previous" ? "previous_step" : "first_step"),
            ]
            if rules["mode"]?.asString == "flexible" {
                members.append(.init("conversion_order", ["flexible": ["limit": .text("\(rules["limit_seconds"]?.asInteger ?? 0)s")]]))
            }
            return .object(members)
        }
    }
}

/// The two logs, unpacked, and what can be done to them before they are loaded.
private struct RealLogs {
    let files: [URL]
    private let folder: URL

    init(_ folder: URL) throws {
        self.folder = folder
        files = ["sepsis_hospital", "bpi2012_loan_applications"].compactMap { Repository.shared("data/\($0).csv.gz") }
    }

    private func lines(_ log: URL) throws -> [ArraySlice<UInt8>] {
        try Inflate.decode(Array(try Data(contentsOf: log)), limit: 256 << 20).split(separator: 10)
    }

    func cut(_ log: URL, into count: Int, shuffle: ((inout [ArraySlice<UInt8>]) -> Void)?) throws -> [URL] {
        if count == 1, shuffle == nil { return [log] }
        let all = try lines(log)
        var rows = Array(all.dropFirst())
        shuffle?(&rows)
        return try (0..<count).map { i in
            let part = rows[(i * rows.count / count)..<((i + 1) * rows.count / count)]
            return try write([all[0]] + part, "\(log.lastPathComponent).\(i).csv")
        }
    }

    func withoutIDs(_ log: URL) throws -> URL {
        let rows = try lines(log).map { line in line.drop { $0 != UInt8(ascii: ",") }.dropFirst() }
        return try write(rows, "\(log.lastPathComponent).stripped.csv")
    }

    private func write(_ lines: [ArraySlice<UInt8>], _ name: String) throws -> URL {
        let url = folder.appendingPathComponent(name)
        try Data(lines.joined(separator: [10]) + [10]).write(to: url)
        return url
    }
}

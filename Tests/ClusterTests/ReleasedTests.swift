import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// Data that released versions wrote (`Tests/Released`) under the programs of today.
    struct ReleasedTests {
        @Test(arguments: ["0.1.0"])
        func dataOfAReleaseAnswersAsItDid(release: String) async throws {
            let recording = try Recording(release)
            let cluster = try Cluster(shards: 2, environment: recording.environment)
            defer { try? FileManager.default.removeItem(at: cluster.directory) }
            let data = cluster.directory.appendingPathComponent("data")
            try FileManager.default.copyItem(at: recording.folder.appendingPathComponent("data"), to: data)
            try await cluster.start()
            do {
                try await recording.ask(cluster, when: "at the first start", discovery: false)
                try await replay(recording, cluster)
                try await append(recording, cluster)
                try await recording.ask(cluster, when: "after appends", discovery: false)
                try await cluster.stop()
                try await cluster.start()
                try await recording.ask(cluster, when: "after a restart", discovery: false)
                try await cluster.stop()
                // All that the release wrote is now read once more, and written as today.
                for shard in ["shard-0", "shard-1"] {
                    for command in ["verify", "compact", "verify"] {
                        let run = try await Command.run("sluice", [command, data.appendingPathComponent(shard).path])
                        #expect(run.status == 0, "\(command) \(shard): \(run.out.suffix(1_000)) \(run.err)")
                    }
                }
                try await cluster.start()
                try await recording.ask(cluster, when: "after merges", discovery: false)
                try await append(recording, cluster)
                try await recording.ask(cluster, when: "after repeats of what was merged", discovery: false)
                try await cluster.stop()
            } catch {
                try? await cluster.stop()
                throw error
            }
        }

        /// Clients and services of the release, at their word: the bytes that they sent, and the answers that they know.
        private func replay(_ recording: Recording, _ cluster: Cluster) async throws {
            guard let python = InteropTests.python else { return }
            let script = Repository.root.appendingPathComponent("Tests/Released/replay.py").path
            let info = cluster.directory.appendingPathComponent("info.json").path
            let run = try await Command.run(python, ["-B", script, info, recording.folder.path])
            #expect(run.status == 0, "\(run.out.suffix(3_000)) \(run.err.suffix(2_000))")
        }

        /// What the data holds already, which counts once, and new users, who are in none of the recorded answers.
        private func append(_ recording: Recording, _ cluster: Cluster) async throws {
            for batch in recording.repeats {
                let events = batch["events"]?.asArray ?? []
                let headers = batch["idempotency_key"]?.asString.map { ["Idempotency-Key": $0.string] } ?? [:]
                let answer = try await send(events, headers, recording, cluster)
                #expect(answer.status == 200 && answer.json["accepted"] == .count(events.count), "\(answer.text)")
            }
            let users = (0..<50).map { "newcomer \($0)" }
            let events = users.flatMap { [event($0, "Came", 0, id: "\($0)/1"), event($0, "Stayed", 60, id: "\($0)/2")] }
            #expect(try await send(events, [:], recording, cluster).status == 200)
            let report = try await cluster.query(["funnel": ["steps": ["Came", "Stayed"]]], key: recording.readKey)
            #expect(Report(report).counts == [50, 50])
        }

        /// Sends again while that may help: after a start ingest goes by the addresses of the start before, until the coordinator
        /// has answered.
        private func send(
            _ events: [JSONValue], _ headers: [String: String], _ recording: Recording, _ cluster: Cluster
        ) async throws -> HTTP.Answer {
            var answer = try await cluster.send(events, headers: headers, key: recording.writeKey)
            for _ in 0..<300 where answer.status == 503 {
                try await Task.sleep(for: .milliseconds(100))
                answer = try await cluster.send(events, headers: headers, key: recording.writeKey)
            }
            return answer
        }
    }
}

/// What `Tests/Released/record.py` left of a release.
private struct Recording {
    let folder: URL
    let environment: [String: String]
    let repeats: [JSONValue]
    private let answers: [JSONValue]

    init(_ release: String) throws {
        let path = "Tests/Released/\(release)"
        folder = Repository.root.appendingPathComponent(path)
        let variables = try Repository.json("\(path)/environment.json").asObject ?? []
        environment = Dictionary(uniqueKeysWithValues: variables.map { ($0.key.string, $0.value.asString?.string ?? "") })
        repeats = try #require(try Repository.json("\(path)/repeats.json").asArray)
        answers = try #require(try Repository.json("\(path)/answers.json").asArray)
        try #require(!repeats.isEmpty && !answers.isEmpty)
    }

    /// Keys of project 1, which comes first.
    var writeKey: String? { key("SLUICE_WRITE_KEYS") }
    var readKey: String? { key("SLUICE_READ_KEYS") }

    private func key(_ variable: String) -> String? {
        environment[variable]?.split(separator: ",").first?.split(separator: ":").last.map(String.init)
    }

    /// Asks what the release was asked.
    /// - Parameter discovery: ask for names and values too, whose `rows` count stored rows, repeats and all.
    func ask(_ cluster: Cluster, when: String, discovery: Bool = true) async throws {
        for entry in answers {
            let path = try #require(entry["path"]?.asString?.string)
            if !discovery, path.hasPrefix("/v1/events") || path.hasPrefix("/v1/properties") { continue }
            let method = try #require(entry["method"]?.asString?.string)
            let body = entry["body"].flatMap { $0 == .null ? nil : $0.encode() }
            let answer = try await HTTP.call(method, cluster.coordinatorHTTP, path, body: body, key: entry["key"]?.asString?.string)
            let what = "\(when): \(method) \(path) \(String(decoding: body ?? [], as: UTF8.self))"
            #expect(entry["status"] == .count(answer.status), "\(what)")
            if answer.status != 200 {
                // The rest of a refusal is words for people.
                #expect(answer.json["type"] == entry["answer"]?["type"], "\(what)")
                continue
            }
            if Self.sawProfiles(path, body ?? []) { continue }
            let lost = Self.differences(try #require(entry["answer"]), answer.json, "")
            #expect(lost.isEmpty, "\(what): \(lost.prefix(5))")
        }
    }

    /// Whether the answer counted profile records as events, as no release after 0.1 does (`FUNNEL.md` section 1, "Profile records").
    private static func sawProfiles(_ path: String, _ body: [UInt8]) -> Bool {
        let body = String(decoding: body, as: UTF8.self)
        return ["/explain", "/paths", "/predictors"].contains { path.hasSuffix($0) }
            || body.contains(#""conversion_order":"strict""#) || body.contains(#""count_by":"sessions""#)
    }

    /// Where `new` lacks something of `old`. New members of objects are no difference.
    private static func differences(_ old: JSONValue, _ new: JSONValue, _ place: String) -> [String] {
        // Words for people, with the same facts in members beside it.
        if place.hasSuffix(".stopped.text") { return new.asString == nil ? ["\(place) is no text"] : [] }
        if let members = old.asObject, new.asObject != nil {
            return members.flatMap { member in
                let inner = "\(place).\(member.key)"
                return new[member.key].map { differences(member.value, $0, inner) } ?? ["\(inner) is missing"]
            }
        }
        if let list = old.asArray, let other = new.asArray, list.count == other.count {
            return zip(list, other).enumerated().flatMap { differences($1.0, $1.1, "\(place)[\($0)]") }
        }
        if old == new { return [] }
        return ["\(place): \(String(decoding: old.encode(), as: UTF8.self)) became \(String(decoding: new.encode(), as: UTF8.self))"]
    }
}

import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// `sluice reports` on real processes.
    struct ScheduledReportCommandTests {
        @Test func aReportIsSavedSentAndDeleted() async throws {
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-reports-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            try await Cluster.with(shards: 2, environment: ["SLUICE_NOTICE_DIRECTORY": folder.path]) { cluster in
                func sluice(_ arguments: String...) async throws -> Command.Result {
                    try await Command.run("sluice", arguments + ["--to", cluster.coordinatorHTTP])
                }
                func file(_ name: String, _ text: String) throws -> String {
                    let file = cluster.directory.appendingPathComponent(name)
                    try Data(text.utf8).write(to: file)
                    return file.path
                }
                let yesterday = (Int64(Date().timeIntervalSince1970) / 86_400 - 1) * 86_400_000
                let events = ["u1", "u2", "u3"].flatMap { user -> [JSONValue] in
                    let visit: JSONValue = ["user_id": .text(user), "event": "visit", "timestamp": .integer(yesterday + 1_000)]
                    return user == "u1" ? [visit, ["user_id": "u1", "event": "buy", "timestamp": .integer(yesterday + 2_000)]] : [visit]
                }
                #expect(try await cluster.send(events).status == 200)
                let shop = try file("f.json", #"{"funnel_id":"shop","steps":["visit","buy"]}"#)
                #expect(try await sluice("funnels", "apply", shop).status == 0)
                let log = try file("log.yaml", "id: log\nkind: file\nsettings: {file: reports.log}\n")
                #expect(try await sluice("channels", "apply", log).status == 0)

                let report = try file(
                    "daily.yaml", "id: daily\nfunnel_id: shop\nschedule: {every: day, at: '08:00'}\nchannels: [log]\n")
                #expect(try await sluice("reports", "list").err.contains("no reports"))
                let saved = try await sluice("reports", "apply", report)
                #expect(saved.status == 0 && saved.err.contains("saved daily"), "\(saved)")
                #expect(try await sluice("reports", "list").out.hasPrefix("daily: shop, each day at 08:00 (UTC); next 20"))
                let sent = try await sluice("reports", "send", "daily")
                #expect(sent.status == 0 && sent.err.contains("daily: on its way to log"), "\(sent)")
                let end = ContinuousClock.now + .seconds(60)
                var line = ""
                while line.isEmpty, ContinuousClock.now < end {
                    line = (try? String(contentsOf: folder.appendingPathComponent("reports.log"), encoding: .utf8)) ?? ""
                    try await Task.sleep(for: .milliseconds(50))
                }
                let notice = try JSONParser.parse(Array(line.utf8))
                #expect(notice["report"]?["answer"]?["entered"] == 3 && notice["report"]?["answer"]?["converted"] == 1, "\(line)")

                let get = try await sluice("reports", "get", "daily").out
                #expect(try await sluice("reports", "apply", try file("again.json", get)).status == 0)
                let wrong = try await sluice(
                    "reports", "apply",
                    try file("w.yaml", "id: w\nfunnel_id: none\nschedule: {every: day, at: '08:00'}\nchannels: [other]\n"))
                #expect(wrong.status == 1 && wrong.err.contains("names the funnel none, which does not exist"), "\(wrong)")
                #expect(wrong.err.contains("names the channel other, which does not exist"), "\(wrong)")
                #expect(try await sluice("reports", "delete", "daily").status == 0)
                #expect(try await sluice("reports", "get", "daily").status == 1)
            }
        }
    }
}

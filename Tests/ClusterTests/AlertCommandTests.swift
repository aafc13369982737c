import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// `sluice channels` and `sluice alerts` on real processes, with real events of the last hours.
    struct AlertCommandTests {
        @Test func aRuleIsTriedSavedFiresAndIsMuted() async throws {
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-notices-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let environment = ["SLUICE_NOTICE_DIRECTORY": folder.path, "SLUICE_ALERT_SECONDS": "1"]
            try await Cluster.with(shards: 2, environment: environment) { cluster in
                func sluice(_ arguments: String..., variables: [String: String] = [:]) async throws -> Command.Result {
                    try await Command.run("sluice", arguments + ["--to", cluster.coordinatorHTTP], environment: variables)
                }
                func file(_ name: String, _ text: String) throws -> String {
                    let file = cluster.directory.appendingPathComponent(name)
                    try Data(text.utf8).write(to: file)
                    return file.path
                }
                try await prepare(cluster)
                let funnel = try await sluice("funnels", "apply", try file("f.json", #"{"funnel_id":"shop","steps":["visit","buy"]}"#))
                #expect(funnel.status == 0, "\(funnel)")

                // A channel, and its secret from the environment.
                let log = try file("log.yaml", "id: log\nkind: file\nsettings: {file: alerts.log}\n")
                #expect(try await sluice("channels", "apply", log).status == 0)
                let tested = try await sluice("channels", "test", "log")
                #expect(tested.status == 0 && tested.err.contains("log: delivered"), "\(tested)")
                let hook = try file(
                    "hook.yaml", "id: hook\nkind: webhook\nsettings: {url: 'https://localhost/', secret_env: HOOK_SECRET}\n")
                #expect(try await sluice("channels", "apply", hook).err.contains("HOOK_SECRET"))
                let inside = try file("inside.yaml", "id: hook\nkind: webhook\nsettings: {url: 'https://192.0.2.1/'}\n")
                let internalTarget = try await sluice("channels", "apply", inside)
                #expect(internalTarget.status == 1 && internalTarget.err.contains("settings.url"), "\(internalTarget)")
                #expect(try await sluice("channels", "apply", hook, variables: ["HOOK_SECRET": "0123456789abcdef"]).status == 0)
                let shown = try await sluice("channels", "get", "hook").out
                #expect(shown.contains(#""secrets":["url","secret"]"#) && !shown.contains("0123456789abcdef"), "\(shown)")
                let refused = try await sluice("channels", "test", "hook")
                #expect(refused.status == 1 && refused.err.contains("internal"), "\(refused)")
                let listed = try await sluice("channels", "list").out.split(separator: "\n")
                #expect(listed.map { $0.prefix { $0 != ";" } } == ["hook: webhook", "log: file"], "\(listed)")

                // A rule: a dry run, then saved, evaluated and notified.
                let rule = try file(
                    "low.yaml",
                    """
                    id: low
                    funnel_id: shop
                    metric: {kind: conversion}
                    breakdown: {property: country}
                    condition: {threshold: {below: 0.4}}
                    period: 5m
                    within: 1m
                    delay: 0s
                    channels: [log]
                    """)
                let dry = try await sluice("alerts", "test", rule)
                #expect(dry.status == 0 && dry.out.contains("would have fired once in"), "\(dry)")
                #expect(dry.out.contains(#"country "DE": 25.0 % (5 of 20)"#), "\(dry)")
                #expect(try await sluice("alerts", "list").err.contains("no alert rules"))
                #expect(try await sluice("alerts", "apply", rule).status == 0)
                let list = try await until {
                    try await sluice("alerts", "list").out
                } is: {
                    $0.hasPrefix("low: firing; conversion of shop")
                }
                #expect(list.contains(#"country "DE""#) && !list.contains(#"country "FR""#), "\(list)")
                let history = try await sluice("alerts", "history", "low").out
                #expect(history.split(separator: "\n").count == 1 && history.contains(" firing: Conversion to step 2 (buy)"), "\(history)")
                let muted = try await sluice("alerts", "mute", "low", "4h")
                #expect(muted.status == 0 && muted.err.contains("low is muted until "), "\(muted)")
                #expect(try await sluice("alerts", "list").out.hasPrefix("low: firing; conversion of shop; muted until "))
                let get = try await sluice("alerts", "get", "low").out
                #expect(try await sluice("alerts", "apply", try file("again.json", get)).status == 0)

                // A rule that names what does not exist is refused; a deleted rule ends its firing.
                let wrong = try await sluice(
                    "alerts", "apply", try file("wrong.yaml", "id: w\nfunnel_id: none\nmetric: {kind: count}\ncondition: {no_data: {}}\n"))
                #expect(wrong.status == 1 && wrong.err.contains("names the funnel none, which does not exist"), "\(wrong)")
                #expect(try await sluice("alerts", "delete", "low").status == 0)
                let lines = try await until {
                    try String(contentsOf: folder.appendingPathComponent("alerts.log"), encoding: .utf8).split(separator: "\n")
                } is: {
                    $0.count == 3
                }
                let statuses = try lines.map { try JSONParser.parse(Array($0.utf8))["status"] }
                #expect(statuses == ["info", "firing", "resolved"])
                #expect(try await sluice("alerts", "get", "low").status == 1)
            }
        }

        /// Users of the two countries, 20 each in each of the last six periods of 5 minutes: in DE 5 buy, in FR 10.
        private func prepare(_ cluster: Cluster) async throws {
            let now = Int64(Date().timeIntervalSince1970)
            var events: [JSONValue] = []
            for period in 0..<6 {
                for user in 0..<40 {
                    let (name, time) = ("\(period)-\(user)", (now / 300 - Int64(period)) * 300 - 200)
                    let properties: JSONValue = ["country": user < 20 ? "DE" : "FR"]
                    events.append(
                        ["user_id": .text(name), "event": "visit", "timestamp": .integer(time * 1_000), "properties": properties])
                    if user % 20 < (user < 20 ? 5 : 10) {
                        events.append(["user_id": .text(name), "event": "buy", "timestamp": .integer(time * 1_000 + 5_000)])
                    }
                }
            }
            let answer = try await cluster.send(events)
            #expect(answer.status == 200, "\(answer.text)")
        }

        private func until<T>(_ read: () async throws -> T, is isRight: (T) -> Bool) async throws -> T {
            let end = ContinuousClock.now + .seconds(60)
            while true {
                let found = try await read()
                if isRight(found) || ContinuousClock.now > end { return found }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}

import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// `sluice apply` on a real cluster.
    struct ApplyCommandTests {
        /// A cluster and a folder of files.
        private struct Run {
            let cluster: Cluster

            var folder: URL { cluster.directory.appendingPathComponent("definitions") }

            func file(_ name: String, _ text: String?) throws {
                let file = folder.appendingPathComponent(name)
                guard let text else { return try FileManager.default.removeItem(at: file) }
                try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
                try Data(text.utf8).write(to: file)
            }

            func apply(_ options: String..., variables: [String: String] = [:]) async throws -> Command.Result {
                try await Command.run(
                    "sluice", ["apply", folder.path, "--to", cluster.coordinatorHTTP] + options, environment: variables)
            }

            func call(_ method: String, _ path: String, _ body: JSONValue? = nil) async throws -> HTTP.Answer {
                try await HTTP.call(method, cluster.coordinatorHTTP, path, body: body?.encode())
            }

            /// Names of what the coordinator notes of a set.
            func noted(_ name: String = "default") async throws -> [String] {
                let list = try await call("GET", "/v1/applied/\(name)").json["documents"]?.asArray ?? []
                return list.map { "\($0["kind"]?.asString?.string ?? "") \($0["id"]?.asString?.string ?? "")" }
            }
        }

        private static let shop = "kind: funnel\nid: shop\nsteps: [visit, cart, buy]\nwindow_duration: 7d\n"
        private static let rules = "kind: rules\nid: rules\nrules:\n  - rename_events: [Visit]\n    to: visit\n"

        @Test func funnelsAndRulesFollowTheFiles() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let run = Run(cluster: cluster)
                // Made by hand: never deleted.
                #expect(try await run.call("PUT", "/v1/funnels/manual", ["steps": ["a"]]).status == 201)
                try run.file("shop.yaml", "# The shop.\n" + Self.shop + "---\n" + Self.rules)
                try run.file("more/lead.json", #"{"kind": "funnel", "id": "lead", "steps": ["form", "deal"]}"#)
                try run.file(".hidden/x.yaml", "kind: nothing\n")

                let dry = try await run.apply("--dry-run", "--detailed-exitcode")
                #expect(dry.status == 2 && dry.out.contains("+ funnel shop (shop.yaml:2)\n"), "\(dry)")
                #expect(
                    dry.out.contains("+ rules rules (shop.yaml:7)\n") && dry.out.contains("+ funnel lead (more/lead.json:1)\n"),
                    "\(dry.out)")
                #expect(
                    dry.out.hasSuffix("3 to create, 0 unchanged; nothing was changed yet\n") && !dry.out.contains("\u{1B}"), "\(dry.out)")
                #expect(try await run.apply("--dry-run").status == 0)
                #expect(try await run.call("GET", "/v1/funnels/shop").status == 404)
                #expect(try await run.call("GET", "/v1/applied/default").status == 404)

                let first = try await run.apply()
                #expect(first.status == 0 && first.out.hasSuffix("3 created, 0 unchanged\n"), "\(first)")
                #expect(try await run.noted() == ["funnel lead", "funnel shop", "rules rules"])
                #expect(try await run.call("GET", "/v1/rules").json["rules"]?.asArray?.count == 1)

                // A second run changes nothing.
                let revision = try await run.call("GET", "/v1/funnels/shop").headers["etag"]
                let second = try await run.apply("--prune")
                #expect(second.status == 0 && second.out == "no changes: 3 documents of the files are saved as given\n", "\(second)")
                #expect(try await run.apply("--dry-run", "--detailed-exitcode").status == 0)
                #expect(try await run.call("GET", "/v1/funnels/shop").headers["etag"] == revision)

                // A changed document shows the lines that differ.
                try run.file("shop.yaml", Self.shop.replacing("7d", with: "30d"))
                let changed = try await run.apply()
                #expect(changed.status == 0 && changed.out.contains("~ funnel shop (shop.yaml:1)\n"), "\(changed)")
                #expect(changed.out.contains("  - window_duration: \"7d\"\n  + window_duration: \"30d\"\n"), "\(changed.out)")
                #expect(
                    changed.out.contains("in no file, though an earlier run created them: rules rules; --prune deletes them\n"),
                    "\(changed.out)")
                #expect(changed.out.hasSuffix("1 changed, 1 unchanged\n"), "\(changed.out)")
                #expect(try await run.call("GET", "/v1/rules").json["rules"]?.asArray?.count == 1)

                // What is in no file any more is deleted, what was made by hand is not, and another set is another one.
                try run.file("more/lead.json", nil)
                let other = try await run.apply("--prune", "--name", "other", "--dry-run")
                #expect(other.out == "no changes: 1 document of the files is saved as given\n", "\(other)")
                let pruned = try await run.apply("--prune")
                #expect(pruned.status == 0 && pruned.out.contains("- rules rules\n") && pruned.out.contains("- funnel lead\n"), "\(pruned)")
                #expect(pruned.out.hasSuffix("2 deleted, 1 unchanged\n"), "\(pruned.out)")
                let left = try await run.call("GET", "/v1/funnels").json["funnels"]?.asArray?.compactMap {
                    $0["funnel_id"]?.asString?.string
                }
                #expect(left == ["manual", "shop"])
                #expect(try await run.call("GET", "/v1/rules").json["rules"]?.asArray == [])
                #expect(try await run.noted() == ["funnel shop"])

                // A funnel that existed is changed, and stays when its file goes.
                try run.file("manual.yaml", "kind: funnel\nid: manual\nsteps: [a, b]\n")
                #expect(try await run.apply().out.contains("~ funnel manual"))
                try run.file("manual.yaml", "# nothing any more\n")
                try run.file("shop.yaml", nil)
                #expect(try await run.apply("--prune").out.hasSuffix("1 deleted, 0 unchanged\n"))
                #expect(try await run.call("GET", "/v1/funnels/manual").status == 200)
                #expect(try await run.call("GET", "/v1/applied/default").status == 404)
                try run.file("manual.yaml", nil)
                let empty = try await run.apply("--prune")
                #expect(empty.status == 1 && empty.err.contains("has no file .yaml, .yml or .json"), "\(empty)")
            }
        }

        @Test func allFaultsAreShownAndNothingIsChanged() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let run = Run(cluster: cluster)
                try run.file("a.yaml", Self.shop.replacing("7d", with: "soon") + "---\nkind: funnel\nid: a b\n---\nsteps: [a]\n")
                try run.file("b.yaml", "kind: funnel\nid: fine\nsteps: [a]\n---\nkind: [\n")
                try run.file("c.json", #"{"kind": "rules", "id": "mine", "rules": []}"#)
                try run.file("d.yaml", "kind: alert\nid: low\nfunnel_id: shop\nmetric: {kind: counts}\ncondition: {no_data: {}}\n")
                try run.file(
                    "e.yaml", "kind: channel\nid: hook\ntype: webhook\nsettings: {url_env: NO_URL, secret_file: /nowhere/secret}\n")
                let faulty = try await run.apply("--prune")
                #expect(faulty.status == 1 && faulty.out.isEmpty, "\(faulty)")
                for line in [
                    "nothing was changed; correct these faults:", "a.yaml:1 (funnel shop):\n  window_duration: must be <integer><unit>",
                    "a.yaml:6 (funnel a b):\n  id: must match",
                    "a.yaml:9:\n  kind: is required: one of channel, funnel, rules, alert, report, cohort\n  id: is required",
                    "b.yaml:\n  body: is not YAML: line 6", "c.json:1 (rules mine):\n  id: must be rules",
                    "d.yaml:1 (alert low):\n  metric.kind: ",
                    "e.yaml:1 (channel hook):\n  settings.url_env: names the variable NO_URL, which is not set\n"
                        + "  settings.secret_file: names the file /nowhere/secret, which cannot be read or is empty",
                ] {
                    #expect(faulty.err.contains(line), "\(line) in \(faulty.err)")
                }
                #expect(try await run.call("GET", "/v1/funnels").json["funnels"]?.asArray == [])

                // Faults of documents together.
                for name in ["b.yaml", "c.json", "d.yaml", "e.yaml"] { try run.file(name, nil) }
                try run.file("a.yaml", Self.shop + "default: true\n")
                try run.file("b.yaml", Self.shop + "---\nkind: funnel\nid: other\nsteps: [a]\ndefault: true\n")
                try run.file("d.yaml", "kind: alert\nid: low\nfunnel_id: none\nmetric: {kind: count}\ncondition: {no_data: {}}\n")
                let twice = try await run.apply()
                #expect(
                    twice.status == 1 && twice.err.contains("b.yaml:1 (funnel shop):\n  funnel shop is in a.yaml:1 too; give it once"),
                    "\(twice)")
                #expect(
                    twice.err.contains("b.yaml:6 (funnel other):\n  default: the funnel shop in a.yaml:1 is the default too"),
                    "\(twice.err)")
                try run.file("b.yaml", nil)
                let missing = try await run.apply()
                #expect(missing.status == 1 && missing.err.contains("it names the funnel none, which does not exist"), "\(missing)")
                #expect(try await run.call("GET", "/v1/funnels").json["funnels"]?.asArray == [])
            }
        }

        @Test func channelsAndAlertsAreSavedInOrder() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let run = Run(cluster: cluster)
                // The names are in the wrong order on purpose.
                let metric = "metric: {kind: conversion}\ncondition: {threshold: {below: 0.4}}\n"
                try run.file("a.yaml", "kind: alert\nid: low\nfunnel_id: shop\n\(metric)channels: [hook]\n")
                try run.file("b.yaml", Self.shop)
                let weekly = "kind: report\nid: weekly\nfunnel_id: shop\nschedule: {every: week, weekday: monday, at: '08:00'}\n"
                try run.file("d.yaml", weekly + "channels: [hook, nobody]\n")
                try run.file("e.yaml", weekly.replacing("weekly", with: "odd") + "segments: [{name: a, filter: [{property: x}]}]\n")
                let left = "kind: cohort\nid: left\nfunnel_id: shop\nstep: 2\noutcome: dropped\ndays: 2\nchannel: hook\n"
                try run.file("f.yaml", left.replacing("step: 2", with: "step: Nowhere"))
                try run.file("g.yaml", left.replacing("id: left", with: "id: right").replacing("hook", with: "mail"))
                try run.file("h.yaml", "kind: channel\nid: mail\ntype: file\nsettings: {file: notices}\n")
                let wrong = try await run.apply(variables: ["HOOK_SECRET": "0123456789abcdef"])
                #expect(wrong.status == 1 && wrong.err.contains("it names the channel nobody, which does not exist"), "\(wrong)")
                #expect(wrong.err.contains("e.yaml:1 (report odd):\n  segments[0]"), "\(wrong.err)")
                #expect(wrong.err.contains("f.yaml:1 (cohort left):\n  step:"), "\(wrong.err)")
                #expect(wrong.err.contains("it names the channel mail of the type file; it must be a webhook"), "\(wrong.err)")
                for name in ["e.yaml", "g.yaml", "h.yaml"] { try run.file(name, nil) }
                try run.file("f.yaml", left)
                try run.file("d.yaml", weekly + "channels: [hook]\n")
                try run.file(
                    "c.yaml", "kind: channel\nid: hook\ntype: webhook\nsettings: {url: 'https://localhost/', secret_env: HOOK_SECRET}\n")
                let secret = ["HOOK_SECRET": "0123456789abcdef"]
                let first = try await run.apply(variables: secret)
                #expect(first.status == 0 && first.out.hasSuffix("5 created, 0 unchanged\n"), "\(first)")
                #expect(!first.out.contains("0123456789abcdef") && first.out.contains(#"secrets: ["url","secret"]"#), "\(first.out)")

                // Secrets are compared by the coordinator.
                let same = try await run.apply(variables: secret)
                #expect(same.status == 0 && same.out.hasSuffix("no changes: 5 documents of the files are saved as given\n"), "\(same)")
                let turned = try await run.apply(variables: ["HOOK_SECRET": "another-secret-of-16"])
                #expect(turned.out.contains("~ channel hook: its secrets are replaced\n1 changed, 4 unchanged\n"), "\(turned)")

                // A rule that somebody muted stays so.
                let rule = try await run.call("GET", "/v1/alerts/low").json.asObject ?? []
                let muted = JSONValue.object(rule.filter { $0.key != "state" } + [.init("mute_until", "2099-01-01T00:00:00Z")])
                #expect(try await run.call("PUT", "/v1/alerts/low", muted).status == 200)
                #expect(try await run.apply("--dry-run", "--detailed-exitcode", variables: secret).status == 0)

                // A secret that the file leaves out is removed. References go before what they name.
                try run.file("c.yaml", "kind: channel\nid: hook\ntype: webhook\nsettings: {url: 'https://localhost/'}\n")
                #expect(try await run.apply().out.contains("1 changed, 4 unchanged\n"))
                #expect(try await run.call("GET", "/v1/channels/hook").json["settings"]?["secrets"] == ["url"])
                try run.file("b.yaml", "# no documents\n")
                for name in ["a.yaml", "c.yaml", "d.yaml", "f.yaml"] { try run.file(name, nil) }
                let pruned = try await run.apply("--prune")
                let lines = pruned.out.split(separator: "\n").filter { $0.hasPrefix("- ") }
                #expect(
                    lines == ["- cohort left", "- report weekly", "- alert low", "- funnel shop", "- channel hook"]
                        && pruned.out.hasSuffix("5 deleted, 0 unchanged\n"),
                    "\(pruned)")
            }
        }

        /// Two machines, one set: the second one fails and changes nothing.
        @Test func aSetThatChangesMeanwhileIsAFault() async throws {
            try await Cluster.with(shards: 1) { cluster in
                let run = Run(cluster: cluster)
                #expect(try await run.call("PUT", "/v1/applied/default", ["documents": [["kind": "later_kind", "id": "x"]]]).status == 201)
                let tag = try #require(try await run.call("GET", "/v1/applied/default").headers["etag"])
                let body: JSONValue = ["documents": [["kind": "funnel", "id": "y"]]]
                let stale = try await HTTP.call(
                    "PUT", cluster.coordinatorHTTP, "/v1/applied/default", body: body.encode(), headers: ["If-Match": "\"999\""])
                #expect(stale.status == 412, "\(stale.text)")
                let right = try await HTTP.call(
                    "PUT", cluster.coordinatorHTTP, "/v1/applied/default", body: body.encode(), headers: ["If-Match": tag])
                #expect(right.status == 200 && right.json["documents"] == [["kind": "funnel", "id": "y"]], "\(right.text)")
                for wrong in [["documents": [["kind": "Funnel", "id": "y"]]], ["documents": [["kind": "funnel"]]], ["other": []], []]
                    as [JSONValue]
                {
                    #expect(try await run.call("PUT", "/v1/applied/default", wrong).status == 422)
                }
                // A kind of another release is kept, and one that is gone is not.
                #expect(
                    try await run.call(
                        "PUT", "/v1/applied/default", ["documents": [["kind": "later_kind", "id": "x"], ["kind": "funnel", "id": "y"]]]
                    ).status == 200)
                try run.file("shop.yaml", Self.shop)
                let applied = try await run.apply("--prune")
                #expect(applied.status == 0 && applied.out.contains("later_kind x; this release cannot delete them"), "\(applied)")
                #expect(try await run.noted() == ["funnel shop", "later_kind x"])
            }
        }
    }
}

import ArgumentParser
import FunnelModel
import ServiceRuntime

struct Alerts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, show, save, test, mute and delete alert rules.",
        discussion: """
            An alert rule watches one number of a saved funnel and notifies channels when its \
            condition is met. ALERTS.md describes the members of a rule. Looking needs an API key of \
            the role read, changing one of the role admin, in the variable SLUICE_KEY or in \
            --key-file.

            Examples:
              sluice alerts test checkout.yaml
              sluice alerts apply checkout.yaml
              sluice alerts list
              sluice alerts mute checkout 4h
            """,
        subcommands: [List.self, Get.self, Apply.self, Delete.self, History.self, Test.self, Mute.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the alert rules and their states, one a line; then what fires.",
            discussion: """
                Examples:
                  sluice alerts list
                  sluice alerts list --format json
                """)
        @Option(help: "How the list is printed: table or json.") var format = ListFormat.table
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            let answer = try await target.client.call("GET", "/v1/alerts")
            if format == .json { return Terminal.out(json: answer) }
            let rules = try JSONParser.parse(answer)["alerts"]?.asArray ?? []
            if rules.isEmpty { return Terminal.note("no alert rules; 'sluice alerts apply FILE' saves one") }
            for rule in rules { for line in AlertText.lines(of: rule) { Terminal.out(line) } }
        }
    }

    struct Get: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print an alert rule as JSON, with all defaults and its state.",
            discussion: """
                The output can be saved again with 'sluice alerts apply', which ignores the state.

                Example:
                  sluice alerts get checkout > checkout.json
                """)
        @Argument(help: ArgumentHelp("Id of the rule.", valueName: "id")) var id: String
        @OptionGroup var target: HTTPTarget

        func run() async throws { Terminal.out(json: try await target.client.call("GET", "/v1/alerts/\(id)")) }
    }

    struct Apply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Save the alert rule in a file under its id.",
            discussion: """
                Creates the rule, or replaces the saved one. If anything but mute_until, \
                quiet_hours, cool_down and grouping changes, what fires is resolved, and the rule \
                begins anew.

                Examples:
                  sluice alerts apply checkout.yaml
                  sluice alerts apply - < checkout.json
                """)
        @Argument(help: "File with a rule, YAML or JSON; - reads standard input.", completion: .file(extensions: ["yaml", "yml", "json"]))
        var file: String
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            let document = try DocumentFile.read(file)
            let id = try DocumentFile.id(of: document, file)
            _ = try await target.client.call("PUT", "/v1/alerts/\(id)", document.encode())
            Terminal.note("saved \(id)")
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete an alert rule with its history; what fires is resolved.",
            discussion: """
                Example:
                  sluice alerts delete checkout
                """)
        @Argument(help: ArgumentHelp("Id of the rule.", valueName: "id")) var id: String
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            _ = try await target.client.call("DELETE", "/v1/alerts/\(id)")
            Terminal.note("deleted \(id)")
        }
    }

    struct History: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print when a rule fired, was resolved and could not be evaluated.",
            discussion: """
                The history has 90 days, the oldest entry first.

                Examples:
                  sluice alerts history checkout
                  sluice alerts history checkout --format json
                """)
        @Argument(help: ArgumentHelp("Id of the rule.", valueName: "id")) var id: String
        @Option(help: "How the history is printed: table or json.") var format = ListFormat.table
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            let answer = try await target.client.call("GET", "/v1/alerts/\(id)/history")
            if format == .json { return Terminal.out(json: answer) }
            let entries = try JSONParser.parse(answer)["history"]?.asArray ?? []
            if entries.isEmpty { return Terminal.note("\(id): nothing happened yet") }
            for entry in entries { Terminal.out(AlertText.line(entry, time: entry["at"])) }
        }
    }

    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what an alert rule would have done in the past; saves and sends nothing.",
            discussion: """
                Evaluates the rule in a file for each period of a range, as if it had been in \
                force. By default the range is the last 30 days. The chart has a column for each \
                period, or for several; ▲ marks those in which it fires.

                Examples:
                  sluice alerts test checkout.yaml
                  sluice alerts test checkout.yaml --start 2026-11-01 --end 2026-11-08
                """)
        @Argument(help: "File with a rule, YAML or JSON; - reads standard input.", completion: .file(extensions: ["yaml", "yml", "json"]))
        var file: String
        @Option(help: ArgumentHelp("Beginning of the range, as RFC 3339.", valueName: "time")) var start: String?
        @Option(help: ArgumentHelp("End of the range, as RFC 3339. By default now.", valueName: "time")) var end: String?
        @Option(help: "How the answer is printed: table or json.") var format = ListFormat.table
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            var members: [JSONValue.Member] = [.init("rule", try DocumentFile.read(file))]
            for (name, text) in [("start", start), ("end", end)] as [(ByteString, String?)] {
                guard let text else { continue }
                guard let time = try? Timestamp.parse(ByteString(text)) else {
                    throw ValidationError("--\(name.string) must be a time such as 2026-11-01; \"\(text.printable)\" is not")
                }
                members.append(.init(name, .text(Timestamp.format(time))))
            }
            let body = JSONValue.object(members).encode()
            let answer = try await target.client.call("POST", "/v1/alerts/dry-run", body, seconds: 600)
            if format == .json { return Terminal.out(json: answer) }
            for line in AlertText.dryRun(try JSONParser.parse(answer)) { Terminal.out(line) }
        }
    }

    struct Mute: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Hold back the notifications of an alert rule for a time.",
            discussion: """
                The rule is still evaluated. If it fires when the mute ends, it is notified then. A \
                duration of 0s ends the mute.

                Examples:
                  sluice alerts mute checkout 4h
                  sluice alerts mute checkout 0s
                """)
        @Argument(help: ArgumentHelp("Id of the rule.", valueName: "id")) var id: String
        @Argument(help: ArgumentHelp("How long, such as 30m, 4h or 2d.", valueName: "duration")) var duration: String
        @OptionGroup var target: HTTPTarget

        func validate() throws {
            guard Microseconds(parsing: ByteString(duration)) != nil else {
                throw ValidationError("the duration must be such as 30m, 4h or 2d; \"\(duration.printable)\" is not")
            }
        }

        func run() async throws {
            let length = Microseconds(parsing: ByteString(duration)) ?? 0
            let until = length == 0 ? nil : Timestamp.format(WallClock.now() + length.count)
            let path = "/v1/alerts/\(id)"
            let (body, tag) = try await target.client.read(path)
            let rule = try JSONParser.parse(body).asObject ?? []
            let kept = rule.filter { $0.key != "mute_until" && $0.key != "state" }
            let changed = JSONValue.object(kept + (until.map { [.init("mute_until", .text($0))] } ?? []))
            _ = try await target.client.call("PUT", path, changed.encode(), headers: tag.map { ["If-Match": $0] } ?? [:])
            Terminal.note(until.map { "\(id) is muted until \($0)" } ?? "\(id) is not muted")
        }
    }
}

enum ListFormat: String, ExpressibleByArgument, CaseIterable { case table, json }

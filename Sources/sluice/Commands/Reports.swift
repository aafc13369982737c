import ArgumentParser
import FunnelModel

struct Reports: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, show, save, delete and send scheduled reports.",
        discussion: """
            A report asks a saved funnel each day or week and sends the answer to channels: as \
            a mail with the drawn funnel, or as JSON. REPORTS.md describes the members of a \
            report. Looking needs an API key of the role read, the rest one of the role admin, \
            in the variable SLUICE_KEY or in --key-file.

            Examples:
              sluice reports apply weekly.yaml
              sluice reports send checkout-weekly
              sluice reports list
            """,
        subcommands: [List.self, Get.self, Apply.self, Delete.self, Send.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the reports, one a line, with the next time of each.",
            discussion: """
                Examples:
                  sluice reports list
                  sluice reports list --format json
                """)
        @Option(help: "How the list is printed: table or json.") var format = ListFormat.table
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            let answer = try await target.client.call("GET", "/v1/reports")
            if format == .json { return Terminal.out(json: answer) }
            let reports = try JSONParser.parse(answer)["reports"]?.asArray ?? []
            if reports.isEmpty { return Terminal.note("no reports; 'sluice reports apply FILE' saves one") }
            for report in reports { Terminal.out(Self.line(report)) }
        }

        private static func line(_ report: JSONValue) -> String {
            func text(_ value: JSONValue?) -> String { value?.asString?.string.printable ?? "" }
            let schedule = report["schedule"]
            let day = schedule?["weekday"].map { text($0) } ?? "each day"
            var line = "\(text(report["id"])): \(text(report["funnel_id"])), \(day) at \(text(schedule?["at"]))"
            line += " (\(text(schedule?["time_zone"]))); next \(text(report["state"]?["next"]))"
            let problem = text(report["state"]?["problem"])
            return problem.isEmpty ? line : line + "; the last one was not sent: \(problem)"
        }
    }

    struct Get: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print a report as JSON, with all defaults and its state.",
            discussion: """
                The output can be saved again with 'sluice reports apply', which ignores the state.

                Example:
                  sluice reports get checkout-weekly > weekly.json
                """)
        @Argument(help: ArgumentHelp("Id of the report.", valueName: "id")) var id: String
        @OptionGroup var target: HTTPTarget

        func run() async throws { Terminal.out(json: try await target.client.call("GET", "/v1/reports/\(id)")) }
    }

    struct Apply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Save the report in a file under its id.",
            discussion: """
                Creates the report, or replaces the saved one. A new report, and one with another \
                schedule than before, begins with the next time.

                Examples:
                  sluice reports apply weekly.yaml
                  sluice reports apply - < weekly.json
                """)
        @Argument(
            help: "File with a report, YAML or JSON; - reads standard input.", completion: .file(extensions: ["yaml", "yml", "json"]))
        var file: String
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            let document = try DocumentFile.read(file)
            let id = try DocumentFile.id(of: document, file)
            _ = try await target.client.call("PUT", "/v1/reports/\(id)", document.encode())
            Terminal.note("saved \(id)")
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a report.",
            discussion: """
                Example:
                  sluice reports delete checkout-weekly
                """)
        @Argument(help: ArgumentHelp("Id of the report.", valueName: "id")) var id: String
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            _ = try await target.client.call("DELETE", "/v1/reports/\(id)")
            Terminal.note("deleted \(id)")
        }
    }

    struct Send: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a report now and send it to its channels.",
            discussion: """
                Covers the days before today. The schedule goes on as before.

                Example:
                  sluice reports send checkout-weekly
                """)
        @Argument(help: ArgumentHelp("Id of the report.", valueName: "id")) var id: String
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            let answer = try JSONParser.parse(try await target.client.call("POST", "/v1/reports/\(id)/send", seconds: 60))
            let channels = (answer["channels"]?.asArray ?? []).compactMap { $0.asString?.string.printable }
            Terminal.note(
                channels.isEmpty ? "\(id): made, but it has no channels" : "\(id): on its way to \(channels.joined(separator: ", "))")
        }
    }
}

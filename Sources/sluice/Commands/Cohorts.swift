import ArgumentParser
import FunnelModel

struct Cohorts: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, show, save, delete and sync cohorts that a webhook gets.",
        discussion: """
            A cohort is a list of users, such as those who dropped at step 3 since yesterday. It is \
            sent to a channel of the kind webhook and kept up to date. COHORTS.md describes the \
            members of a cohort. Looking needs an API key of the role read, the rest one of the role \
            admin, in the variable SLUICE_KEY or in --key-file.

            Examples:
              sluice cohorts apply left-checkout.yaml
              sluice cohorts sync left-checkout
              sluice cohorts list
            """,
        subcommands: [List.self, Get.self, Apply.self, Delete.self, Sync.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the cohorts, one a line, with their users and the next run of each.",
            discussion: """
                Examples:
                  sluice cohorts list
                  sluice cohorts list --format json
                """)
        @Option(help: "How the list is printed: table or json.") var format = ListFormat.table
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            let answer = try await target.client.call("GET", "/v1/cohorts")
            if format == .json { return Terminal.out(json: answer) }
            let cohorts = try JSONParser.parse(answer)["cohorts"]?.asArray ?? []
            if cohorts.isEmpty { return Terminal.note("no cohorts; 'sluice cohorts apply FILE' saves one") }
            for cohort in cohorts { Terminal.out(Self.line(cohort)) }
        }

        private static func line(_ cohort: JSONValue) -> String {
            func text(_ value: JSONValue?) -> String { value?.asString?.string.printable ?? "" }
            let state = cohort["state"]
            var line = "\(text(cohort["id"])): \(text(cohort["funnel_id"])), every \(text(cohort["every"])) to \(text(cohort["channel"]))"
            if let members = state?["members"]?.asInteger { line += "; \(members) users" }
            line += "; next \(text(state?["next"]))"
            let problem = text(state?["problem"])
            return problem.isEmpty ? line : line + "; the last attempt failed: \(problem)"
        }
    }

    struct Get: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print a cohort as JSON, with all defaults and its state.",
            discussion: """
                The output can be saved again with 'sluice cohorts apply', which ignores the state.

                Example:
                  sluice cohorts get left-checkout > cohort.json
                """)
        @Argument(help: ArgumentHelp("Id of the cohort.", valueName: "id")) var id: String
        @OptionGroup var target: HTTPTarget

        func run() async throws { Terminal.out(json: try await target.client.call("GET", "/v1/cohorts/\(id)")) }
    }

    struct Apply: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Save the cohort in a file under its id.",
            discussion: """
                Creates the cohort, or replaces the saved one. A new cohort, and one with another \
                channel than before, sends all users; another change sends the difference.

                Examples:
                  sluice cohorts apply left-checkout.yaml
                  sluice cohorts apply - < cohort.json
                """)
        @Argument(
            help: "File with a cohort, YAML or JSON; - reads standard input.", completion: .file(extensions: ["yaml", "yml", "json"]))
        var file: String
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            let document = try DocumentFile.read(file)
            let id = try DocumentFile.id(of: document, file)
            _ = try await target.client.call("PUT", "/v1/cohorts/\(id)", document.encode())
            Terminal.note("saved \(id)")
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a cohort; its receiver keeps the users.",
            discussion: """
                Example:
                  sluice cohorts delete left-checkout
                """)
        @Argument(help: ArgumentHelp("Id of the cohort.", valueName: "id")) var id: String
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            _ = try await target.client.call("DELETE", "/v1/cohorts/\(id)")
            Terminal.note("deleted \(id)")
        }
    }

    struct Sync: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Begin a run of a cohort now.",
            discussion: """
                A page that waits for its retry is sent now, and a run follows.

                Example:
                  sluice cohorts sync left-checkout
                """)
        @Argument(help: ArgumentHelp("Id of the cohort.", valueName: "id")) var id: String
        @OptionGroup var target: HTTPTarget

        func run() async throws {
            _ = try await target.client.call("POST", "/v1/cohorts/\(id)/sync")
            Terminal.note("\(id): a run begins")
        }
    }
}

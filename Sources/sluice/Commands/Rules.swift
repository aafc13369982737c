import ArgumentParser
import EventRules
import FunnelModel
import ServiceRuntime

struct Rules: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check, apply and show normalisation rules.",
        discussion: """
            Rules rename, merge and drop events and properties when ingest takes them. \
            RULES.md describes them. 'check' needs no cluster. 'apply' needs an API key of the \
            role admin, 'get' one of the role read, in the variable SLUICE_KEY or in \
            --key-file.

            Examples:
              sluice rules check rules.yaml events.ndjson
              sluice rules apply rules.yaml
              sluice rules get
            """,
        subcommands: [Check.self, Apply.self, Get.self])

    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what rules make of events; sends nothing.",
            discussion: """
                FILE has rules, as YAML or JSON. EVENTS has native events, one a line, as \
                POST /v1/events takes them; gzip too. The table shows the first 20 events \
                that the rules change, then the counts. Before the arrow is what was sent; \
                after it is what a shard would store.

                The exit status is 0 if every event would be stored or dropped, 3 if an \
                event would be rejected, and 1 if the rules have faults or a file cannot be \
                read.

                Examples:
                  sluice rules check rules.yaml events.ndjson
                  zcat events.ndjson.gz | sluice rules check rules.yaml - --format json
                """)

        enum Format: String, ExpressibleByArgument, CaseIterable { case table, json }

        @Argument(help: "File with rules; - reads standard input.", completion: .file(extensions: ["yaml", "yml", "json"])) var file: String
        @Argument(help: "NDJSON file with events; - reads standard input.", completion: .file()) var events: String
        @Option(
            help: ArgumentHelp(
                "Endpoint whose rule for missing timestamps applies; events are native ones with each.", valueName: "endpoint")
        )
        var endpoint: EventEndpoint = .events
        @Option(
            help: ArgumentHelp(
                "A table of the first events that change, or json with one line for each that changes.", valueName: "format"))
        var format: Format = .table

        func validate() throws {
            if file == "-", events == "-" {
                throw ValidationError("the rules and the events cannot both be standard input: name a file for one")
            }
        }

        func run() throws {
            let tables = RuleTables(try RuleFile.read(file))
            var check = RuleCheck(tables, endpoint: endpoint, isTable: format == .table)
            try check.read(events)
            if check.hasRejected { throw ExitCode(3) }
        }
    }
}

extension EventEndpoint: ExpressibleByArgument {}

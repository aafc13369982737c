import ArgumentParser
import FunnelModel
import FunnelProtocol
import RPC
import ReportTables

struct Times: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Report how long users took between two steps.",
        usage: """
            sluice times <id> [--from-step <step>] [--to-step <step>] [<options>]
            sluice times --steps <names> [--from-step <step>] [--to-step <step>] [<options>]
            """,
        discussion: """
            Prints the median, percentiles and a histogram of the users whose chosen attempt \
            has both steps. The coordinator chooses \
            the edges of the histogram: round durations, on a linear or a logarithmic scale.

            Examples:
              sluice times shop
              sluice times shop --from-step Visit --to-step "Add to Cart"
              sluice times shop --from-step 2 --to-step 3 --bins 50 --format csv
            """)

    struct Own: ParsableArguments {
        @Option(help: ArgumentHelp("Step where the time begins: a name, or a number from 1; the first step by default.", valueName: "step"))
        var fromStep: String?
        @Option(help: ArgumentHelp("Step where the time ends, after --from-step; the last step by default.", valueName: "step"))
        var toStep: String?
        @Option(help: ArgumentHelp("Bars of the histogram, at most: 5 to 100.", valueName: "number")) var bins = 20
    }

    @OptionGroup(title: "Report") var own: Own
    @OptionGroup var question: QuestionOptions

    func validate() throws { try checkNumber("--bins", own.bins, in: 5...100) }

    func run() async throws {
        var document = try question.document()
        if let fromStep = own.fromStep { document.set("from", QueryDocument.step(fromStep), by: "--from-step") }
        if let toStep = own.toStep { document.set("to", QueryDocument.step(toStep), by: "--to-step") }
        document.set("bins", .count(own.bins), by: "--bins")
        try await question.show(.times, document, table: { TimesTable($0).text }, csv: ReportTable.times)
    }
}

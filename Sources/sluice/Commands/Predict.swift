import ArgumentParser
import FunnelModel
import FunnelProtocol
import RPC
import ReportTables

struct Predict: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Report what correlates with reaching a step.",
        usage: """
            sluice predict <id> [--reaching <step>] [<options>]
            sluice predict --steps <names> [--reaching <step>] [<options>]
            """,
        discussion: """
            Among the users at the step before, compares those who did an event, or had a \
            value of a property, with those who did not. The q-value is corrected for the \
            number of tests. A correlation is not a cause.

            Examples:
              sluice predict shop
              sluice predict shop --reaching "Add to Cart" --k 50
              sluice predict shop --reaching 3 --format csv
            """)

    static let rowsAllowed = 1...Limits.predictorRows
    static let usualRows = 20

    struct Own: ParsableArguments {
        @Option(
            help: ArgumentHelp(
                "Step whose conversion is predicted: a name, or a number from 2; the last step by default.", valueName: "step"))
        var reaching: String?
        @Option(name: .customLong("k"), help: ArgumentHelp("Predictors shown: 1 to 1,000.", valueName: "number"))
        var rows = Predict.usualRows
    }

    @OptionGroup(title: "Report") var own: Own
    @OptionGroup var question: QuestionOptions

    func validate() throws { try checkNumber("--k", own.rows, in: Self.rowsAllowed) }

    func run() async throws { try await Self.show(question, reaching: own.reaching, rows: own.rows) }

    static func show(_ question: QuestionOptions, reaching: String?, rows: Int) async throws {
        var document = try question.document()
        if let reaching { document.set("step", QueryDocument.step(reaching), by: "--reaching") }
        document.set("k", .count(rows), by: "--k")
        try await question.show(.predictors, document, table: { PathsTable($0).text }, csv: ReportTable.predictors)
    }
}

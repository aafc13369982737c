import ArgumentParser
import FunnelModel
import FunnelProtocol
import RPC
import ReportTables

struct Query: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Report users, conversion and times of each step.",
        usage: """
            sluice query <id> [<options>]
            sluice query --steps <names> [<options>]
            sluice query --file <file> [<options>]
            """,
        discussion: """
            The funnel is a saved one, one in a file, or given by options. Conditions on \
            steps, exclusions and held properties are members of a definition: save it, or \
            give it with --file. Only one of --breakdown, --trend and --variants can be \
            given; --segment and --compare combine with each of them.

            Related commands: paths, predict, times, explain, users.

            Examples:
              sluice query --steps "Visit,Add to Cart,Purchase" --window 7d
              sluice query shop --breakdown plan --touch step:2
              sluice query shop --trend week --time-zone Europe/Berlin --format csv
              sluice query shop --start 2026-02-01 --end 2026-02-28 \\
                  --compare previous_period
              sluice query shop --variants experiment.checkout --control old
              sluice query shop --segment pro=pro.json --segment buyers=buyers.json

            A file of --segment holds "where", "cohort" or both, for example:
              {"where": [{"property": "plan", "op": "=", "value": "pro"}]}
              {"cohort": {"reached": {"funnel_id": "checkout", "step": "Purchase"}}}
            """)

    @OptionGroup(title: "Report") var parts: ReportParts
    @OptionGroup var question: QuestionOptions
    @OptionGroup(visibility: .hidden) var old: DeprecatedReportOptions

    func validate() throws {
        if let report = old.given.first {
            if let other = parts.given.first { throw ValidationError("\(other) does not combine with \(report): remove one of the two") }
            return try old.validate(rows: parts.rows, format: question.answer.format)
        }
        try parts.check(question.range)
    }

    func run() async throws {
        if !old.given.isEmpty { return try await old.run(question, rows: parts.rows) }
        var document = try question.document()
        try parts.write(to: &document)
        try await question.show(
            .query, document, table: { FunnelTable($0).text(width: Terminal.width) }, csv: ReportTable.shownOfFunnel)
    }
}

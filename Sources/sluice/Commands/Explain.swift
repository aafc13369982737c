import ArgumentParser
import FunnelModel
import FunnelProtocol
import RPC

struct Explain: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Explain why one user converted or stopped.",
        usage: """
            sluice explain <id> --user <user> [<options>]
            sluice explain --steps <names> --user <user> [<options>]
            """,
        discussion: """
            The table lists up to 200 events of the user. A mark ● shows the event that was \
            matched to a step; "fits" names the steps that an event could fill. Other \
            attempts follow, each with the reason why it was not chosen.

            Examples:
              sluice explain shop --user ann
              sluice explain --steps "Visit,Purchase" --window 7d --user ann
              sluice explain shop --user ann --format json
            """)

    struct Own: ParsableArguments {
        @Option(help: ArgumentHelp("User id, exactly as it was sent.", valueName: "user")) var user: String
    }

    @OptionGroup(title: "Report") var own: Own
    @OptionGroup var question: QuestionOptions

    func validate() throws {
        guard (1...Limits.userIDBytes).contains(own.user.utf8.count) else {
            throw ValidationError("--user must have 1 to \(Limits.userIDBytes) bytes, not \(own.user.utf8.count)")
        }
        try Self.check(question.answer.format)
    }

    static func check(_ format: AnswerOptions.Format) throws {
        if format == .csv { throw ValidationError("--format csv is not available for the explanation of a user: use table or json") }
    }

    func run() async throws { try await Self.show(question, user: own.user) }

    static func show(_ question: QuestionOptions, user: String) async throws {
        var document = try question.document()
        document.set("user_id", .text(user), by: "--user")
        try await question.show(.explain, document, table: { Explanation($0).text }, csv: { _ in [] })
    }
}

import ArgumentParser
import FunnelModel
import FunnelProtocol
import RPC

extension Users {
    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List who reached a step, dropped at it, or converted.",
            usage: """
                sluice users list <id> --reached <step> [<options>]
                sluice users list <id> --dropped <step> [<options>]
                sluice users list <id> --open <step> [<options>]
                sluice users list <id> --converted [<options>]
                """,
            discussion: """
                Prints one id a line, in the order of their bytes. The list is as long as the \
                count in the report of "sluice query". It is read in pages of 10,000 users, and \
                each page is a query of its own.

                Examples:
                  sluice users list shop --dropped 3
                  sluice users list shop --reached "Add to Cart" --limit 100
                  sluice users list shop --converted --start 2026-02-01 --format csv
                """)

        struct Own: ParsableArguments {
            @Option(help: ArgumentHelp("Users who reached this step: a name, or a number from 1.", valueName: "step"))
            var reached: String?
            @Option(
                help: ArgumentHelp(
                    "Users who reached the step before this one, and not this one. Not for step 1 or optional steps.", valueName: "step"))
            var dropped: String?
            @Option(help: ArgumentHelp("Of the users who dropped at this step, those who can still convert.", valueName: "step"))
            var open: String?
            @Flag(help: "Users who reached the last step.") var converted = false
            @Option(help: ArgumentHelp("Users listed, at most; all by default.", valueName: "number")) var limit: Int?
            @Option(
                help: ArgumentHelp(
                    "Only users after this id, byte by byte: continues a list that --limit ended. Give its --as-of too.",
                    valueName: "user"))
            var after: String?

            /// The outcomes asked for, each with its option and step.
            var asked: [(outcome: ListOutcome, option: String, step: JSONValue)] {
                let steps: [(ListOutcome, String, String?)] = [
                    (.reached, "--reached", reached), (.dropped, "--dropped", dropped), (.open, "--open", open),
                ]
                let byStep = steps.compactMap { outcome, option, step in step.map { (outcome, option, QueryDocument.step($0)) } }
                return byStep + (converted ? [(.converted, "--converted", 1)] : [])
            }
        }

        @OptionGroup(title: "Users") var own: Own
        @OptionGroup var question: QuestionOptions

        func validate() throws {
            let options = own.asked.map(\.option)
            if options.isEmpty {
                throw ValidationError("no users are chosen: give --reached, --dropped or --open with a step, or --converted")
            }
            if options.count > 1 { throw ValidationError("\(options.joined(separator: " and ")) exclude each other: give one of them") }
            if let limit = own.limit, limit < 1 { throw ValidationError("--limit must be at least 1, not \(limit)") }
        }

        func run() async throws {
            guard let (outcome, option, step) = own.asked.first else { return }
            var document = try question.document()
            document.set("outcome", .text(outcome.rawValue), by: option)
            document.set("step", step, by: option)
            if let after = own.after { document.set("after", .text(after), by: "--after") }
            var list = UserListOutput(question.answer.format)
            while true {
                let left = own.limit.map { $0 - list.count } ?? Int.max
                document.set("limit", .count(min(left, Limits.userListPage)))
                let page = try UserListPage(frames: try await question.answer.ask(.users, document))
                list.write(page)
                guard let next = page.next, list.count < own.limit ?? Int.max else { break }
                // Every page is of one instant.
                document.set("after", .string(next), by: "--after")
                document.set("as_of", .text(page.asOf), by: "--as-of")
            }
            list.end()
            guard list.isEmpty, own.after == nil, let funnel = document.funnel else { return }
            await EmptySteps(nil, of: funnel)?.warn(question.answer.http)
        }
    }
}

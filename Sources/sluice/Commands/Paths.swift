import ArgumentParser
import FunnelModel
import FunnelProtocol
import RPC
import ReportTables
import ServiceRuntime

struct Paths: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Report what users did next, or between two steps.",
        usage: """
            sluice paths <id> --after <step> [<options>]
            sluice paths <id> --between <step,step> [<options>]
            """,
        discussion: """
            A path is the first events of a user after the last matched step, or between \
            two matched steps. Every user is in exactly one path.

            Examples:
              sluice paths shop --after 3
              sluice paths shop --after Purchase --length 2 --k 50
              sluice paths shop --between 1,3 --format csv
            """)

    static let lengthsAllowed = 1...Limits.pathLength
    static let usualLength = 3
    static let rowsAllowed = 1...Limits.pathRows
    static let usualRows = 20

    struct Own: ParsableArguments {
        @Option(
            help: ArgumentHelp(
                "Users who dropped at this step: they reached the step before it and not the step. A name, or a number from 1.",
                valueName: "step"))
        var after: String?
        @Option(
            help: ArgumentHelp(
                "Users who did both steps: names or numbers, the earlier one first. A name with a comma needs its number.",
                valueName: "step,step"))
        var between: String?
        @Option(help: ArgumentHelp("Events of a path: 1 to 5.", valueName: "number")) var length = Paths.usualLength
        @Option(name: .customLong("k"), help: ArgumentHelp("Paths shown: 1 to 100.", valueName: "number")) var rows = Paths.usualRows

        func origin() throws -> Origin? { try Origin(after: after, between: between, option: "--between") }
    }

    @OptionGroup(title: "Report") var own: Own
    @OptionGroup var question: QuestionOptions

    /// Where the paths begin and end.
    enum Origin {
        case dropped(String)
        case between([String])

        /// Nil if neither is given.
        /// - Parameter option: the one of `between`, for errors.
        init?(after: String?, between: String?, option: String) throws {
            if let after {
                self = .dropped(after)
            } else if let between {
                self = .between(try Paths.steps(between, option: option))
            } else {
                return nil
            }
        }
    }

    func validate() throws {
        if own.after != nil, own.between != nil { throw ValidationError("--after and --between exclude each other: give one of them") }
        guard try own.origin() != nil else {
            throw ValidationError("no step is given: give --after STEP, or --between STEP,STEP")
        }
        try checkNumber("--length", own.length, in: Self.lengthsAllowed)
        try checkNumber("--k", own.rows, in: Self.rowsAllowed)
    }

    /// Two steps, separated by a comma.
    static func steps(_ text: String, option: String) throws -> [String] {
        let steps = text.split(separator: ",").map { String($0.trimmingSpaces) }
        guard steps.count == 2 else {
            throw ValidationError("\(option) must be two steps separated by a comma, such as 1,3, not \"\(text.printable)\"")
        }
        return steps
    }

    func run() async throws {
        guard let origin = try own.origin() else { return }
        try await Self.show(question, origin, length: own.length, rows: own.rows)
    }

    static func show(_ question: QuestionOptions, _ origin: Origin, length: Int, rows: Int) async throws {
        var document = try question.document()
        switch origin {
        case .dropped(let step):
            document.set("from", ["dropped": QueryDocument.step(step)])
            document.name("from.dropped", by: "--after")
        case .between(let steps):
            document.set("from", ["between": .array(steps.map(QueryDocument.step))])
            document.name("from.between", by: "--between")
        }
        document.set("length", .count(length), by: "--length")
        document.set("k", .count(rows), by: "--k")
        try await question.show(.paths, document, table: { PathsTable($0).text }, csv: ReportTable.paths)
    }
}

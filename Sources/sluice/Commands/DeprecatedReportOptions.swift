import ArgumentParser
import EventFiles
import Foundation
import FunnelModel

/// Options of `sluice query` for reports that are commands of their own since 0.2. They still work, and `--help` does not list them.
struct DeprecatedReportOptions: ParsableArguments {
    @Option(help: "Use: sluice explain --user.") var explain: String?
    @Option(help: "Use: sluice paths --after.") var pathsAfter: String?
    @Option(help: "Use: sluice paths --between.") var pathsBetween: String?
    @Option(help: "Use: sluice paths --length.") var length: Int?
    @Option(help: "Use: sluice predict --reaching.") var predict: String?

    /// The options given that choose a report.
    var given: [String] {
        let all = [
            ("--explain", explain), ("--paths-after", pathsAfter), ("--paths-between", pathsBetween), ("--predict", predict),
        ]
        return all.filter { $0.1 != nil }.map(\.0)
    }

    func validate() throws {
        let given = given
        if given.count > 1 { throw ValidationError("\(given.joined(separator: " and ")) exclude each other: give one of them") }
        if length != nil, pathsAfter == nil, pathsBetween == nil {
            throw ValidationError("--length is an option of another report: sluice paths --after STEP, or --between STEP,STEP")
        }
    }

    /// What the commands of these reports check.
    func validate(rows: Int?, format: AnswerOptions.Format) throws {
        if explain != nil {
            try Explain.check(format)
            if rows != nil { throw ValidationError("--k does not combine with --explain: remove one of the two") }
        } else if predict != nil {
            try checkNumber("--k", rows, in: Predict.rowsAllowed)
        } else {
            try checkNumber("--k", rows, in: Paths.rowsAllowed)
            try checkNumber("--length", length, in: Paths.lengthsAllowed)
            if let pathsBetween { _ = try Paths.steps(pathsBetween, option: "--paths-between") }
        }
    }

    /// Writes on standard error what to type instead, and prints the report as its own command does.
    func run(_ question: QuestionOptions, rows: Int?) async throws {
        if let hint = Self.hint(ProcessInfo.processInfo.arguments) { Terminal.note(hint) }
        if let explain {
            try await Explain.show(question, user: explain)
        } else if let predict {
            try await Predict.show(question, reaching: predict, rows: rows ?? Predict.usualRows)
        } else if let origin = try Paths.Origin(after: pathsAfter, between: pathsBetween, option: "--paths-between") {
            try await Paths.show(question, origin, length: length ?? Paths.usualLength, rows: rows ?? Paths.usualRows)
        }
    }

    private static let replacements = [
        (old: "--explain", command: "explain", new: "--user"), ("--paths-after", "paths", "--after"),
        ("--paths-between", "paths", "--between"), ("--predict", "predict", "--reaching"),
    ]

    /// The command that takes the place of another one, with the same arguments.
    /// - Parameter arguments: of the process, the program's name first.
    static func hint(_ arguments: [String]) -> String? {
        let words = arguments.drop { $0 != "query" }.dropFirst()
        for (old, command, new) in replacements {
            guard words.contains(where: { $0 == old || $0.hasPrefix(old + "=") }) else { continue }
            let replaced = words.map { word in
                word == old ? new : word.hasPrefix(old + "=") ? new + word.dropFirst(old.count) : word
            }
            return "sluice query \(old) is now: sluice \(command) \(replaced.map(shellWord).joined(separator: " "))".printable
        }
        return nil
    }
}

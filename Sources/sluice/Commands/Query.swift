import ArgumentParser
import FunnelModel
import FunnelProtocol
import RPC

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

    enum TrendUnit: String, ExpressibleByArgument, CaseIterable { case hour, day, week, month }

    enum Comparison: String, ExpressibleByArgument, CaseIterable { case previousPeriod = "previous_period" }

    enum Exposure: String, ExpressibleByArgument, CaseIterable { case first, attempt }

    @Option(
        help: ArgumentHelp("Report each value of this property of the chosen attempt, or of user.NAME, in a row.", valueName: "property"))
    var breakdown: String?
    @Option(
        help: ArgumentHelp(
            "Event whose property counts, with --breakdown or --variants: first, last or step:N; first by default.", valueName: "event"),
        completion: .list(["first", "last", "step:"]))
    var touch: String?
    @Option(
        name: .customLong("k"),
        help: ArgumentHelp("Values shown, with --breakdown: 1 to 1,000; 10 by default.", valueName: "number"))
    var rows: Int?
    @Option(help: ArgumentHelp("Report each of these periods in a row, by the time of step 1.", valueName: "unit"))
    var trend: TrendUnit?
    @Option(help: ArgumentHelp("Report the range of the same length before as well. Needs --start and --end.", valueName: "period"))
    var compare: Comparison?
    @Option(help: ArgumentHelp("Test an experiment: the property whose values are its variants.", valueName: "property"))
    var variants: String?
    @Option(
        help: ArgumentHelp(
            "Variant that the others are compared with, for --variants; by default \"control\", or else the first value.",
            valueName: "value"))
    var control: String?
    @Option(
        help: ArgumentHelp(
            "Variant of a user who saw several, for --variants: the one seen first, or that of the chosen attempt; first by default.",
            valueName: "rule"))
    var exposure: Exposure?
    @Option(
        help: ArgumentHelp(
            "Report the funnel over some users as well: a name, and a JSON file that selects them. Repeat the option for more, up to 10.",
            valueName: "name=file"))
    var segment: [String] = []
    @OptionGroup var question: QuestionOptions
    @OptionGroup(visibility: .hidden) var old: DeprecatedReportOptions

    func validate() throws {
        if let report = old.given.first {
            if let other = ownOptions.first { throw ValidationError("\(other) does not combine with \(report): remove one of the two") }
            return try old.validate(rows: rows, format: question.answer.format)
        }
        try checkNumber("--k", rows, in: 1...Limits.breakdownRows)
        if rows != nil, breakdown == nil { throw ValidationError("--k needs --breakdown: it is the number of values shown") }
        if touch != nil, breakdown == nil, variants == nil { throw ValidationError("--touch needs --breakdown or --variants") }
        if control != nil, variants == nil { throw ValidationError("--control needs --variants") }
        if exposure != nil, variants == nil { throw ValidationError("--exposure needs --variants") }
        let parts = [("--breakdown", breakdown != nil), ("--trend", trend != nil), ("--variants", variants != nil)].filter(\.1).map(\.0)
        if parts.count > 1 { throw ValidationError("\(parts.joined(separator: " and ")) exclude each other: give one of them") }
        if compare != nil, question.range.start == nil || question.range.end == nil {
            throw ValidationError("--compare needs --start and --end")
        }
        _ = try segment.map(Self.nameAndFile)
    }

    /// The options given that only this report has.
    private var ownOptions: [String] {
        let given = [
            ("--breakdown", breakdown != nil), ("--touch", touch != nil), ("--trend", trend != nil), ("--compare", compare != nil),
            ("--variants", variants != nil), ("--control", control != nil), ("--exposure", exposure != nil),
            ("--segment", !segment.isEmpty),
        ]
        return given.filter(\.1).map(\.0)
    }

    func run() async throws {
        if !old.given.isEmpty { return try await old.run(question, rows: rows) }
        var document = try question.document()
        if let trend { document.set("trend", ["by": .text(trend.rawValue)], by: "--trend") }
        if let compare { document.set("compare", .text(compare.rawValue), by: "--compare") }
        if let breakdown {
            write("breakdown", of: breakdown, [("k", rows.map { .count($0) }, "--k")], to: &document)
        }
        if let variants {
            let more: [(ByteString, JSONValue?, String)] = [
                ("control", control.map { .text($0) }, "--control"), ("exposure", exposure.map { .text($0.rawValue) }, "--exposure"),
            ]
            write("variants", of: variants, more, to: &document)
        }
        if !segment.isEmpty { document.set("segments", .array(try segment.map(Self.segment)), by: "--segment") }
        try await question.show(
            .query, document, table: { FunnelTable($0).text(width: Terminal.width) }, csv: { ReportCSV($0).text })
    }

    /// Writes a part that goes by a property.
    private func write(
        _ key: ByteString, of property: String, _ more: [(key: ByteString, value: JSONValue?, option: String)],
        to document: inout QueryDocument
    ) {
        var members: [JSONValue.Member] = []
        let touch: JSONValue? = touch.map { .text($0) }
        for (name, value, option) in [("property", .text(property), "--\(key.string)"), ("touch", touch, "--touch")] + more {
            guard let value else { continue }
            members.append(.init(name, value))
            document.name("\(key.string).\(name.string)", by: option)
        }
        document.set(key, .object(members), by: "--\(key.string)")
    }

    private static func nameAndFile(_ text: String) throws -> (name: String, file: String) {
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2 else {
            throw ValidationError("--segment must be NAME=FILE, such as pro=pro.json, not \"\(text.printable)\"")
        }
        return (parts[0], parts[1])
    }

    private static func segment(_ text: String) throws -> JSONValue {
        let (name, file) = try nameAndFile(text)
        return .object([.init("name", .text(name))] + (try QueryDocument.members(ofFile: file, option: "--segment")))
    }
}

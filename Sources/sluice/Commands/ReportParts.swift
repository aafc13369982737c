import ArgumentParser
import FunnelModel

/// The parts of a report that `sluice query` adds to counts and times, beside the whole or of some users.
struct ReportParts: ParsableArguments {
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

    /// Throws if options do not go together. Of those that choose a part, only one may be given.
    func check(_ range: RangeOptions) throws {
        try checkNumber("--k", rows, in: 1...Limits.breakdownRows)
        if rows != nil, breakdown == nil { throw ValidationError("--k needs --breakdown: it is the number of values shown") }
        if touch != nil, breakdown == nil, variants == nil { throw ValidationError("--touch needs --breakdown or --variants") }
        if control != nil, variants == nil { throw ValidationError("--control needs --variants") }
        if exposure != nil, variants == nil { throw ValidationError("--exposure needs --variants") }
        let parts = [("--breakdown", breakdown != nil), ("--trend", trend != nil), ("--variants", variants != nil)].filter(\.1).map(\.0)
        if parts.count > 1 { throw ValidationError("\(parts.joined(separator: " and ")) exclude each other: give one of them") }
        if compare != nil, range.start == nil || range.end == nil {
            throw ValidationError("--compare needs --start and --end")
        }
        _ = try segment.map(Self.nameAndFile)
    }

    /// The options given, but for --k.
    var given: [String] {
        let given = [
            ("--breakdown", breakdown != nil), ("--touch", touch != nil), ("--trend", trend != nil), ("--compare", compare != nil),
            ("--variants", variants != nil), ("--control", control != nil), ("--exposure", exposure != nil),
            ("--segment", !segment.isEmpty),
        ]
        return given.filter(\.1).map(\.0)
    }

    func write(to document: inout QueryDocument) throws {
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

import ArgumentParser
import Foundation
import FunnelModel
import FunnelProtocol
import RPC
import ServiceRuntime

struct Query: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Ask a funnel: a saved one, one in a file, or steps given here.",
        discussion: """
            Examples:
              sluice query shop
              sluice query --steps "Visit,Add to Cart,Purchase" --window 7d --order flexible:1h
              sluice query --file funnel.json --start 2026-01-01 --end 2026-01-31 --format json
              sluice query shop --breakdown plan --touch step:2
              sluice query shop --trend week --time-zone Europe/Berlin --format csv
              sluice query shop --explain ann
              sluice query shop --paths-after 2 --length 3
              sluice query shop --paths-between 1,3 --format json
              sluice query shop --predict Purchase
              sluice query --steps "Visit,Add to Cart,Purchase" --order any --count-by sessions --session-gap 30m
              sluice query shop --start 2026-02-01 --end 2026-02-28 --compare previous_period
              sluice query shop --variants experiment.checkout --control old
              sluice query shop --segment pro=pro.json --segment buyers=buyers.json
            where pro.json holds {"where": [{"property": "plan", "op": "=", "value": "pro"}]}, and
            buyers.json {"cohort": {"reached": {"funnel_id": "checkout", "step": "Purchase"}}}.
            Conditions on steps, exclusions and held properties come from a definition: --file. A saved funnel has its own:
            --window, --order, --clock, --anchor, --entry and --preset go without an id.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case table, json, csv }

    @Argument(help: "Id of a saved funnel.") var funnelID: String?
    @Option(help: "File with a definition, as JSON.") var file: String?
    @Option(help: "Step names, separated by commas.") var steps: String?
    @Option(name: .customLong("step"), help: "A step name; may be given again, and may hold commas.") var step: [String] = []
    @Option(help: "Conversion window: 30d, 12h, …") var window: String?
    @Option(help: "sequential, strict, any, or flexible:LIMIT such as flexible:1h.") var order: String?
    @Option(help: "second or microsecond.") var clock: String?
    @Option(help: "first_step or previous_step.") var anchor: String?
    @Option(help: "shortest, earliest or first.") var entry: String?
    @Option(help: "A rule set, such as amplitude/1.") var preset: String?
    @Option(help: "users, attempts, sessions or property:NAME: what is counted.") var countBy: String?
    @Option(help: "The longest pause within a session: 30m, …") var sessionGap: String?
    @Option(help: "First day or instant of step 1.") var start: String?
    @Option(help: "Last day (inclusive) or instant (exclusive) of step 1.") var end: String?
    @Option(help: "IANA time zone of the days.") var timeZone: String?
    @Option(help: "Instant that decides which attempts are still open.") var asOf: String?
    @Option(help: "A property of the chosen attempt to break the users down by.") var breakdown: String?
    @Option(help: "first, last or step:N: whose event's property; with --breakdown or --variants.") var touch: String?
    @Option(name: .customLong("k"), help: "Values, paths or predictors shown.") var rows: Int?
    @Option(help: "hour, day, week or month: the funnel by the time of step 1.") var trend: String?
    @Option(help: "A user id: what the funnel makes of this one user, and why.") var explain: String?
    @Option(help: "A step, by name or number: what users did next who dropped there.") var pathsAfter: String?
    @Option(help: "Two steps' numbers, such as 1,3: what users did between them.") var pathsBetween: String?
    @Option(help: "Events of a path, at most; with --paths-after or --paths-between.") var length: Int?
    @Option(help: "A step, by name or number: what those who reach it did before.") var predict: String?
    @Option(help: "previous_period: beside it the range of the same length before; needs --start and --end.") var compare: String?
    @Option(help: "A property that tells an experiment's variants apart.") var variants: String?
    @Option(help: "The value that the other variants are compared with.") var control: String?
    @Option(help: "first or attempt: a user counts for the variant seen first, or for that of the attempt counted.")
    var exposure: String?
    @Option(help: "NAME=FILE: the same over some users; FILE has \"where\", \"cohort\" or both, as JSON. May be given again.")
    var segment: [String] = []
    @Flag(help: "Take an answer that lacks shards; it says which.") var allowPartial = false
    @Option(help: "error or leave_out: what becomes of users with too many events, or whose search takes too much work.")
    var heavyUsers: String?
    @Option(help: "table, json or csv: rows of a breakdown, a trend, segments or variants, else the steps.")
    var format: Format = .table
    @Option(help: "The coordinator's wire address.") var to = "127.0.0.1:8091"
    @OptionGroup var key: KeyOptions

    private var call: CallPath {
        if explain != nil { return .explain }
        if pathsAfter != nil || pathsBetween != nil { return .paths }
        return predict == nil ? .query : .predictors
    }

    func run() async throws {
        let client = try WireClient(to, key)
        let body = JSONValue.object(try members()).encoded
        let answer: [UInt8]
        do {
            answer = try await client.call(call, body, timeout: .seconds(60))
        } catch {
            await client.shutdown()
            throw Failure(error)
        }
        await client.shutdown()
        let report = try JSONParser.parse(answer)
        switch format {
        case .json: Terminal.out(json: answer)
        case .csv:
            Terminal.out(ReportCSV(report).text)
            if let missing = FunnelTable(report).missing { Terminal.note(missing) }
        case .table:
            switch call {
            case .explain: Terminal.out(Explanation(report).text)
            case .paths, .predictors: Terminal.out(PathsTable(report).text)
            default: Terminal.out(FunnelTable(report).text(width: Terminal.width))
            }
        }
    }

    private func members() throws -> [JSONValue.Member] {
        var members: [JSONValue.Member] = []
        if let funnelID {
            guard file == nil, steps == nil, step.isEmpty, [window, order, clock, anchor, entry, preset].allSatisfy({ $0 == nil }) else {
                throw ValidationError("a funnel id goes without --file, --steps and the options of a definition: it has its own")
            }
            members.append(.init("funnel_id", .text(funnelID)))
        } else {
            members.append(.init("funnel", try definition()))
        }
        for (name, value) in [
            ("start", start), ("end", end), ("time_zone", timeZone), ("as_of", asOf), ("count_by", countBy), ("session_gap", sessionGap),
            ("compare", compare), ("heavy_users", heavyUsers),
        ] {
            if let value { members.append(.init(ByteString(name), .text(value))) }
        }
        if call != .query, format == .csv {
            throw ValidationError("--explain, --paths-after, --paths-between and --predict are tables or json")
        }
        if [explain, pathsAfter, pathsBetween, predict].compactMap(\.self).count > 1 {
            throw ValidationError("only one of --explain, --paths-after, --paths-between and --predict")
        }
        if let explain { members.append(.init("user_id", .text(explain))) }
        if let pathsAfter { members.append(.init("from", ["dropped": Self.step(pathsAfter)])) }
        if let pathsBetween {
            let steps = pathsBetween.split(separator: ",").map { Self.step(String($0.trimmingSpaces)) }
            members.append(.init("from", ["between": .array(steps)]))
        }
        if let length {
            guard call == .paths else { throw ValidationError("--length goes with --paths-after or --paths-between") }
            members.append(.init("length", .count(length)))
        }
        if let predict { members.append(.init("step", Self.step(predict))) }
        if let rows, call == .paths || call == .predictors { members.append(.init("k", .count(rows))) }
        if allowPartial { members.append(.init("allow_partial", true)) }
        if let trend { members.append(.init("trend", ["by": .text(trend)])) }
        if !segment.isEmpty { members.append(.init("segments", .array(try segment.map(segment(_:))))) }
        if breakdown == nil, variants == nil, touch != nil { throw ValidationError("--touch goes with --breakdown or --variants") }
        if breakdown == nil, rows != nil, call == .query || call == .explain {
            throw ValidationError("--k goes with --breakdown, --paths-after, --paths-between or --predict")
        }
        if variants == nil, control != nil { throw ValidationError("--control goes with --variants") }
        if variants == nil, exposure != nil { throw ValidationError("--exposure goes with --variants") }
        for (name, property) in [("breakdown", breakdown), ("variants", variants)] as [(ByteString, String?)] {
            guard let property else { continue }
            var asked: [JSONValue.Member] = [.init("property", .text(property))]
            if let touch { asked.append(.init("touch", .text(touch))) }
            if name == "breakdown", let rows { asked.append(.init("k", .count(rows))) }
            if name == "variants", let control { asked.append(.init("control", .text(control))) }
            if name == "variants", let exposure { asked.append(.init("exposure", .text(exposure))) }
            members.append(.init(name, .object(asked)))
        }
        return members
    }

    /// A step by its number, or else its name.
    private static func step(_ text: String) -> JSONValue { Int(text).map { .count($0) } ?? .text(text) }

    /// `NAME=FILE` as a segment of the query.
    private func segment(_ text: String) throws -> JSONValue {
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2 else { throw ValidationError("--segment is NAME=FILE; \"\(text)\" is not") }
        return .object([.init("name", .text(parts[0]))] + (try Self.object(parts[1], "--segment")))
    }

    /// The members of the JSON object in a file.
    private static func object(_ file: String, _ option: String) throws -> [JSONValue.Member] {
        guard let bytes = DurableFile.read(file) else { throw ValidationError("cannot read \(option) \(file)") }
        do throws(JSONError) {
            if let object = try JSONParser.parse(bytes).asObject { return object }
        } catch {
            throw ValidationError("\(option) \(file): \(error)")
        }
        throw ValidationError("\(option) \(file) must hold one JSON object")
    }

    private func definition() throws -> JSONValue {
        var members: [JSONValue.Member] = []
        if let file { members = try Self.object(file, "--file") }
        func set(_ key: ByteString, _ value: JSONValue) {
            members.removeAll { $0.key == key }
            members.append(.init(key, value))
        }
        let names = step + (steps.map { $0.split(separator: ",").map { String($0.trimmingSpaces) } } ?? [])
        if !names.isEmpty { set("steps", .array(names.map { .text($0) })) }
        guard file != nil || !names.isEmpty else { throw ValidationError("give a funnel id, --file or --steps") }
        if let window { set("window_duration", .text(window)) }
        if let order {
            let parts = order.split(separator: ":", maxSplits: 1).map(String.init)
            set("conversion_order", parts.count == 2 && parts[0] == "flexible" ? ["flexible": ["limit": .text(parts[1])]] : .text(order))
        }
        for (key, value) in [("clock", clock), ("window_anchor", anchor), ("entry", entry), ("preset", preset)] {
            if let value { set(ByteString(key), .text(value)) }
        }
        return .object(members)
    }
}

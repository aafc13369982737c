import ArgumentParser
import FunnelModel
import ServiceRuntime

/// The funnel that a command asks about: a saved one by its id, one in a file, or steps given here.
struct DefinitionOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("Id of a saved funnel. Without an id, give --steps, --step or --file.", valueName: "id"))
    var funnelID: String?
    @Option(
        help: ArgumentHelp("JSON file with a definition. The options --steps to --preset replace its members.", valueName: "file"),
        completion: .file(extensions: ["json"]))
    var file: String?
    @Option(help: ArgumentHelp("Step names, separated by commas.", valueName: "names")) var steps: String?
    @Option(help: ArgumentHelp("One step name, which may contain commas. Repeat the option for each step.", valueName: "name"))
    var step: [String] = []
    @Option(
        help: ArgumentHelp(
            "Conversion window: an integer and a unit (us, ms, s, m, h or d), at most 366d; 30d by default.", valueName: "duration"))
    var window: String?
    @Option(
        help: ArgumentHelp(
            "Order of the steps: sequential (the default), strict, any, or flexible:LIMIT with a duration of at most 1d.",
            valueName: "order"),
        completion: .list(orders + ["flexible:1h"]))
    var order: String?
    @Option(help: ArgumentHelp("Granularity of order and times; second by default.", valueName: "clock"))
    var clock: FunnelDefinition.Clock?
    @Option(help: ArgumentHelp("Step that the window is measured from; first_step by default.", valueName: "anchor"))
    var anchor: FunnelDefinition.WindowAnchor?
    @Option(help: ArgumentHelp("Attempt that represents a user who has several; shortest by default.", valueName: "entry"))
    var entry: FunnelDefinition.Entry?
    @Option(help: ArgumentHelp("Rules of another system; sluice/1 by default.", valueName: "preset")) var preset: Preset?
    @Option(
        help: ArgumentHelp("Unit that is counted: users (the default), attempts, sessions or property:NAME.", valueName: "unit"),
        completion: .list(["users", "attempts", "sessions", "property:"]))
    var countBy: String?
    @Option(
        help: ArgumentHelp(
            "Longest pause within a session, for --count-by sessions: a duration of at most 366d; 30m by default.", valueName: "duration"))
    var sessionGap: String?

    func validate() throws {
        let own = optionsOfDefinition
        if let funnelID {
            guard own.isEmpty else {
                throw ValidationError(
                    "\(own.joined(separator: ", ")) cannot change the saved funnel \"\(funnelID.printable)\": leave the id out and give "
                        + "--steps or --file, or remove \(own.count == 1 ? "the option" : "these options")")
            }
        } else if file == nil, stepNames.isEmpty {
            throw ValidationError("no funnel is given: name a saved funnel by its id, or give --steps, --step or --file")
        }
        try checkOrder()
    }

    private static let orders = ["sequential", "strict", "any"]

    /// Checked here, since the coordinator names orders as a definition spells them.
    private func checkOrder() throws {
        guard let order, !Self.orders.contains(order) else { return }
        if order == "flexible" || order == "flexible:" {
            throw ValidationError(
                "--order flexible needs a limit, such as --order flexible:1h: a step may precede the step before it by less than that")
        }
        guard !order.hasPrefix("flexible:") else { return }
        let nearest = NearestNames.of(order, among: Self.orders + ["flexible:1h"], count: 1)
        throw ValidationError(
            "--order must be sequential, strict, any or flexible:LIMIT, such as flexible:1h, not \"\(order.printable)\""
                + (nearest.first.map { "; did you mean \($0)?" } ?? ""))
    }

    /// The options given that a saved funnel has no use for: it has its own steps and rules.
    private var optionsOfDefinition: [String] {
        let given = [
            ("--file", file != nil), ("--steps", steps != nil), ("--step", !step.isEmpty), ("--window", window != nil),
            ("--order", order != nil), ("--clock", clock != nil), ("--anchor", anchor != nil), ("--entry", entry != nil),
            ("--preset", preset != nil),
        ]
        return given.filter(\.1).map(\.0)
    }

    private var stepNames: [String] { step + (steps.map { $0.split(separator: ",").map { String($0.trimmingSpaces) } } ?? []) }

    func write(to document: inout QueryDocument) throws {
        if let funnelID {
            document.set("funnel_id", .text(funnelID), by: "<id>")
        } else {
            document.set("funnel", try definition(&document))
        }
        if let countBy { document.set("count_by", .text(countBy), by: "--count-by") }
        if let sessionGap { document.set("session_gap", .text(sessionGap), by: "--session-gap") }
    }

    private func definition(_ document: inout QueryDocument) throws -> JSONValue {
        var members: [JSONValue.Member] = []
        if let file { members = try QueryDocument.members(ofFile: file, option: "--file") }
        func set(_ key: ByteString, _ value: JSONValue, by option: String) {
            members.removeAll { $0.key == key }
            members.append(.init(key, value))
            document.name("funnel.\(key.string)", by: option)
        }
        let names = stepNames
        if !names.isEmpty { set("steps", .array(names.map { .text($0) }), by: steps == nil ? "--step" : "--steps") }
        if let window { set("window_duration", .text(window), by: "--window") }
        if let order {
            let parts = order.split(separator: ":", maxSplits: 1).map(String.init)
            set(
                "conversion_order", parts.count == 2 && parts[0] == "flexible" ? ["flexible": ["limit": .text(parts[1])]] : .text(order),
                by: "--order")
        }
        if let clock { set("clock", .text(clock.rawValue), by: "--clock") }
        if let anchor { set("window_anchor", .text(anchor.rawValue), by: "--anchor") }
        if let entry { set("entry", .text(entry.rawValue), by: "--entry") }
        if let preset { set("preset", .text(preset.rawValue), by: "--preset") }
        return .object(members)
    }
}

extension FunnelDefinition.Clock: ExpressibleByArgument {}
extension FunnelDefinition.WindowAnchor: ExpressibleByArgument {}
extension FunnelDefinition.Entry: ExpressibleByArgument {}
extension Preset: ExpressibleByArgument {}

import Foundation
import FunnelModel
import TestSupport
import Testing

extension ClusterSuite {
    /// The scenarios of `sluice generate`, and their definitions in `deploy/funnels`.
    struct ScenarioTests {
        /// With a property, a value whose users convert more often and one whose users convert less often.
        private static let scenarios: [(name: String, property: String?, more: JSONValue, less: JSONValue)] = [
            ("signup", "device", "desktop", "mobile"), ("shop", nil, nil, nil), ("leads", "source", "referral", "ads"),
            ("campaign", "utm_source", "newsletter", "facebook"),
        ]

        private func sluice(_ arguments: [String]) async throws -> String {
            let done = try await Command.run("sluice", arguments)
            #expect(done.status == 0, "\(arguments): \(done.err)")
            return done.out
        }

        @Test func everyScenarioIsCountedByItsDefinition() async throws {
            try await Cluster.with(shards: 2) { cluster in
                // All in one project: no event of one scenario may count in the funnel of another.
                for scenario in Self.scenarios {
                    let file = cluster.directory.appendingPathComponent("\(scenario.name).ndjson").path
                    _ = try await sluice(
                        ["generate", "--scenario", scenario.name, "--users", "800", "--from", "2025-09-01", "--out", file])
                    _ = try await sluice(["load", file, "--to", cluster.ingestWire])
                    let definition = Repository.root.appendingPathComponent("deploy/funnels/\(scenario.name).json").path
                    _ = try await sluice(["funnels", "apply", definition, "--to", cluster.coordinatorHTTP])
                }
                for scenario in Self.scenarios { try await check(scenario.name, cluster) }
                for case (let name, let property?, let more, let less) in Self.scenarios {
                    let rows = try await report(name, cluster, ["--breakdown", property])["breakdown"]?["rows"]?.asArray
                    func conversion(_ value: JSONValue) -> Double? { rows?.first { $0["value"] == value }?["conversion"]?.asDouble }
                    #expect(try #require(conversion(more)) > 1.2 * (try #require(conversion(less))), "\(name): \(property)")
                }
            }
        }

        private func report(_ name: String, _ cluster: Cluster, _ options: [String] = []) async throws -> JSONValue {
            let text = try await sluice(["query", name, "--to", cluster.coordinatorWire, "--format", "json"] + options)
            return try JSONParser.parse(Array(text.utf8))
        }

        private func check(_ name: String, _ cluster: Cluster) async throws {
            let counts = Report(try await report(name, cluster)).counts
            let text = try String(contentsOf: cluster.directory.appendingPathComponent("\(name).ndjson"), encoding: .utf8)
            let users = try ChainCount.users(of: text)
            let definition = try Repository.json("deploy/funnels/\(name).json")
            #expect(try counts == ChainCount(definition).counts(users), "\(name)")
            // Every step loses users, and some get through.
            #expect(counts.count == 5 && counts[0] > 700 && counts[4] > 50, "\(name): \(counts)")
            let required = zip(counts, definition["steps"]?.asArray ?? []).filter { $1["optional"] != true }.map(\.0)
            #expect(zip(required, required.dropFirst()).allSatisfy { $0 > $1 }, "\(name): \(counts)")
            // Each rule of the definition makes a difference to this data.
            for rule: ByteString in ["event_types", "conversion_order", "exclude"] where definition[rule] != nil {
                let without = JSONValue.object((definition.asObject ?? []).filter { $0.key != rule })
                #expect(try counts != ChainCount(without).counts(users), "\(name): \(rule)")
            }
        }

        @Test func theSameOptionsGiveTheSameBytes() async throws {
            let options = ["--users", "200", "--seed", "7"]
            let shop = try await sluice(["generate"] + options)
            // The bytes that release 0.1.0 generated: demos and tests rely on them.
            #expect(XXH64.hash(Array(shop.utf8)) == 0xC050_82B6_82E9_7294)
            #expect(try await sluice(["generate", "--scenario", "shop"] + options) == shop)
            for scenario in ["signup", "leads", "campaign"] {
                let command = ["generate", "--scenario", scenario, "--users", "200", "--seed"]
                let once = try await sluice(command + ["7"])
                #expect(try await sluice(command + ["7"]) == once, "\(scenario)")
                #expect(try await sluice(command + ["8"]) != once, "\(scenario)")
                // Some events are delivered twice, and some users come back on another day.
                let lines = once.split(separator: "\n")
                #expect(Set(lines).count < lines.count, "\(scenario)")
                let days = try ChainCount.users(of: once).map { Set($0.map { $0.second / 86_400 }).count }
                #expect(days.contains(1) && days.contains { $0 > 1 }, "\(scenario)")
            }
            let unknown = try await Command.run("sluice", ["generate", "--scenario", "shops"])
            #expect(unknown.status != 0 && unknown.err.contains("campaign"), "\(unknown.err)")
        }
    }
}

/// A second opinion: counts the users of a funnel by trying every chain of events. Follows FUNNEL.md sections 2 to 4 and 7, for the
/// rules that the definitions of `deploy/funnels` have; others are errors.
private struct ChainCount {
    struct Event {
        var name: ByteString
        var second: Int64
        var properties: JSONValue
    }

    private struct Filter {
        var events: [ByteString]
        var conditions: [JSONValue]

        func admits(_ event: Event) throws -> Bool {
            try events.contains(event.name) && conditions.allSatisfy { try holds($0, event.properties) }
        }

        private func holds(_ condition: JSONValue, _ properties: JSONValue) throws -> Bool {
            let found = properties[condition["property"]?.asString ?? ""]
            switch condition["op"] {
            case "exists": return found != nil
            case "=": return found == condition["value"]
            case ">=":
                guard let found = found?.asDouble, let bound = condition["value"]?.asDouble else { return false }
                return found >= bound
            case "contains":
                guard let found = found?.asString, let part = condition["value"]?.asString else { return false }
                return found.string.contains(part.string)
            default: throw Trouble("a condition that this count does not know")
            }
        }
    }

    private struct Step {
        var filter: Filter
        var isOptional: Bool
        var window: Int64?
    }

    private struct Exclusion {
        var filter: Filter
        var after: Int
        var before: Int
    }

    /// An event of a chain. Steps are counted from 0.
    private struct Link {
        var step: Int
        var event: Int
    }

    private let steps: [Step]
    private let exclusions: [Exclusion]
    private let window: Int64
    /// A step is later than the step before it by more than this.
    private let differenceAbove: Int64

    init(_ definition: JSONValue) throws {
        let known: Set<ByteString> = [
            "funnel_id", "steps", "event_types", "window_duration", "conversion_order", "exclude", "probability",
        ]
        let unknown = (definition.asObject ?? []).map(\.key).filter { !known.contains($0) }
        if !unknown.isEmpty { throw Trouble("members that this count does not know: \(unknown)") }
        let joined = definition["event_types"]?.asObject ?? []
        steps = try (definition["steps"]?.asArray ?? []).map { step in
            let name = step.asString ?? step["name"]?.asString ?? ""
            let events = Self.names(step["events"]) ?? [name]
            let more = joined.filter { $0.value.asString == name }.map(\.key)
            return Step(
                filter: Filter(events: events + more, conditions: step["where"]?.asArray ?? []), isOptional: step["optional"] == true,
                window: try step["window_duration"].map(Self.seconds))
        }
        exclusions = (definition["exclude"]?.asArray ?? []).map { exclusion in
            Exclusion(
                filter: Filter(events: Self.names(exclusion["events"]) ?? [], conditions: exclusion["where"]?.asArray ?? []),
                after: Int(exclusion["after"]?.asInteger ?? 0) - 1, before: Int(exclusion["before"]?.asInteger ?? 0) - 1)
        }
        window = try Self.seconds(definition["window_duration"] ?? "30d")
        differenceAbove = try definition["conversion_order"].map { -(try Self.seconds($0["flexible"]?["limit"] ?? "")) } ?? 0
    }

    private static func names(_ list: JSONValue?) -> [ByteString]? { list?.asArray?.compactMap(\.asString) }

    private static func seconds(_ duration: JSONValue) throws -> Int64 {
        let text = duration.asString?.string ?? ""
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3_600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }), let number = Int64(text.dropLast()) else { throw Trouble("duration \(text)") }
        return number * unit
    }

    /// The events of each user. Lines that are equal are deliveries of one event.
    static func users(of text: String) throws -> [[Event]] {
        var users: [ByteString: [Event]] = [:]
        for line in Set(text.split(separator: "\n")) {
            let row = try JSONParser.parse(Array(line.utf8))
            let time = try Timestamp.parse(try #require(row["timestamp"]?.asString))
            let event = Event(
                name: try #require(row["event"]?.asString), second: time / 1_000_000, properties: try #require(row["properties"]))
            users[try #require(row["user_id"]?.asString), default: []].append(event)
        }
        return Array(users.values)
    }

    func counts(_ users: [[Event]]) throws -> [Int] {
        var counts = steps.map { _ in 0 }
        for events in users {
            guard let best = try deepest(events), let last = best.last else { continue }
            for (i, step) in steps.enumerated() where step.isOptional ? best.contains(i) : last >= i { counts[i] += 1 }
        }
        return counts
    }

    /// The steps of the deepest chain, and of these of one with the most optional steps.
    private func deepest(_ events: [Event]) throws -> [Int]? {
        let fitting = try steps.map { step in try events.indices.filter { try step.filter.admits(events[$0]) } }
        let excluded = try exclusions.map { exclusion in try events.filter { try exclusion.filter.admits($0) } }
        var best: [Int]?
        func extend(_ chain: [Link]) {
            guard let first = chain.first, let last = chain.last else { return }
            if !isBroken(chain, events, excluded) {
                let new = chain.map(\.step)
                if (last.step, new.count) > (best?.last ?? -1, best?.count ?? 0) { best = new }
            }
            for i in steps.indices where i > last.step {
                for next in fitting[i] where !chain.contains(where: { $0.event == next }) {
                    let sincePrevious = events[next].second - events[last.event].second
                    if sincePrevious > differenceAbove, events[next].second - events[first.event].second <= window,
                        sincePrevious <= steps[i].window ?? .max
                    {
                        extend(chain + [Link(step: i, event: next)])
                    }
                }
                if !steps[i].isOptional { return }
            }
        }
        for first in fitting.first ?? [] { extend([Link(step: 0, event: first)]) }
        return best
    }

    private func isBroken(_ chain: [Link], _ events: [Event], _ excluded: [[Event]]) -> Bool {
        zip(exclusions, excluded).contains { exclusion, excluded in
            // Of a step that was skipped, the step done before it or after it takes the place.
            guard let depth = chain.last?.step, depth > exclusion.after,
                let from = chain.lastIndex(where: { $0.step <= exclusion.after }),
                let to = chain.firstIndex(where: { $0.step >= min(exclusion.before, depth) })
            else { return false }
            let seconds = chain[from...to].map { events[$0.event].second }
            return excluded.contains { seconds[0] < $0.second && $0.second < seconds[seconds.count - 1] && !seconds.contains($0.second) }
        }
    }
}

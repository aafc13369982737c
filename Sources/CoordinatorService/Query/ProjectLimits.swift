import FunnelModel
import Synchronization

/// How many event names and property keys a project has, over all shards, where it comes near a limit, and which of its files
/// are damaged.
struct ProjectLimits: Sendable {
    /// Names of one kind.
    struct Use: Equatable, Sendable {
        /// A name on two shards counts once.
        var count = 0
        var mostOnAShard = 0
        /// Of each shard, by the least of their settings.
        var limit = 0

        var json: JSONValue { ["count": .count(count), "most_on_a_shard": .count(mostOnAShard), "limit": .count(limit)] }
    }

    var events = Use()
    var properties = Use()
    var warnings: [String] = []

    /// - Parameter shards: by number; nil where one did not answer.
    init?(_ shards: [ProjectNames?]) {
        var sum: ProjectNames?
        for (number, names) in shards.enumerated() {
            guard let names else { continue }
            sum = sum?.merging(names) ?? names
            events.mostOnAShard = max(events.mostOnAShard, names.events.count)
            properties.mostOnAShard = max(properties.mostOnAShard, names.properties.count)
            warn(
                "event names", names.events.count, of: names.eventsMax, shard: number, "event-names-max", "events with new ones are refused"
            )
            warn(
                "property keys", names.properties.count, of: names.propertiesMax, shard: number, "property-keys-max",
                "properties with new ones are left out")
            for file in names.damaged {
                warnings.append("shard \(number) has a damaged file; queries that need it fail, and merges leave it out: \(file.string)")
            }
        }
        guard let sum else { return nil }
        (events.count, events.limit) = (sum.events.count, sum.eventsMax)
        (properties.count, properties.limit) = (sum.properties.count, sum.propertiesMax)
    }

    private mutating func warn(_ what: String, _ count: Int, of most: Int, shard: Int, _ setting: String, _ effect: String) {
        guard ProjectNames.isNear(count, most: most) else { return }
        let when = count >= most ? "" : "soon "
        warnings.append("shard \(shard) has \(count) \(what) of the project, at most \(most) (\(setting)): \(when)\(effect)")
    }
}

/// The limits of projects as last heard: whoever looks at the status again and again does not have all names sent each time.
final class SharedLimits: Sendable {
    private static let age = Duration.seconds(10)
    private static let projectsMax = 1_000

    private let known = Mutex<[UInt32: (limits: ProjectLimits, asked: ContinuousClock.Instant)]>([:])
    private let ask: @Sendable (UInt32) async -> [ProjectNames?]

    init(_ ask: @escaping @Sendable (UInt32) async -> [ProjectNames?]) { self.ask = ask }

    /// Nil where no shard has answered.
    func limits(project: UInt32) async -> ProjectLimits? {
        if let known = known.withLock({ $0[project] }), .now - known.asked < Self.age { return known.limits }
        let limits = ProjectLimits(await ask(project))
        known.withLock { known in
            if known.count >= Self.projectsMax { known.removeAll() }
            // Without an answer from any shard, the next caller asks again.
            known[project] = limits.map { (limits: $0, asked: .now) }
        }
        return limits
    }
}

import FunnelModel
import Synchronization

/// The event names and property keys of a project over all shards, with warnings of limits that are near and of damaged files.
struct ProjectLimits: Sendable {
    /// The number of event names, or of property keys.
    struct Use: Equatable, Sendable {
        /// A name on two shards counts once.
        var count = 0
        var mostOnAShard = 0
        /// Limit of one shard; the min of the shards' settings.
        var limit = 0

        var json: JSONValue { ["count": .count(count), "most_on_a_shard": .count(mostOnAShard), "limit": .count(limit)] }
    }

    var events = Use()
    var properties = Use()
    var warnings: [String] = []
    /// By shard number, the bytes that its last start cut off its log; nil if it did not answer.
    var tornBytes: [UInt64?] = []

    /// Adds up the names of the shards, in order of their numbers; a shard that did not answer is nil. Nil if none did.
    init?(_ shards: [ProjectNames?]) {
        var sum: ProjectNames?
        for (number, names) in shards.enumerated() {
            tornBytes.append(names?.tornBytes)
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

/// A cache of projects' limits, so that a caller who asks for the status often does not have all names sent each time.
final class SharedLimits: Sendable {
    private static let age = Duration.seconds(10)
    private static let projectsMax = 1_000

    private let known = Mutex<[UInt32: (limits: ProjectLimits, asked: ContinuousClock.Instant)]>([:])
    private let ask: @Sendable (UInt32) async -> [ProjectNames?]

    init(_ ask: @escaping @Sendable (UInt32) async -> [ProjectNames?]) { self.ask = ask }

    /// Not older than 10 s; nil if no shard has answered.
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

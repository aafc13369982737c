/// What is asked about what users do next to the steps of a funnel (`Protocol/FUNNEL.md`, section 6).
package struct PathQuestion: Equatable, Sendable {
    /// Where paths begin; steps count from 1.
    package enum Origin: Equatable, Sendable {
        /// After the last event of those who dropped at the step.
        case dropped(Int)
        /// After the event of the first step, up to that of the second, of those who did both.
        case between(Int, Int)
    }

    /// Which events make up a path.
    package enum Events: Equatable, Sendable {
        case all
        case only([ByteString])
        case except([ByteString])
    }

    package var origin: Origin
    /// Events of a path, at most.
    package var length: Int
    package var events: Events

    package init(_ origin: Origin, length: Int, events: Events = .all) {
        self.origin = origin
        self.length = length
        self.events = events
    }
}

/// Users by path; those of disjoint users add up.
package struct PathCounts: Equatable, Sendable {
    /// By the names of a path's events.
    package var users: [[ByteString]: UInt64] = [:]

    /// Bytes of a path on the wire, at most, without its names: the number of events, their codes, the users.
    package static let bytesPerPath = 1 + 3 * Limits.pathLength + 7
    /// Bytes there beside a name's own.
    package static let bytesPerName = 2

    package init() {}

    package mutating func merge(_ other: PathCounts) { users.merge(other.users, uniquingKeysWith: +) }

    /// Paths by their names, byte by byte; a path comes before those that it begins.
    package static func isAscending(_ a: [ByteString], _ b: [ByteString]) -> Bool { a.lexicographicallyPrecedes(b) }
}

extension FunnelDefinition {
    /// The nearest step before a step, both counted from 1, that may not be skipped.
    package func requiredStep(before step: Int) -> Int { (steps[..<(step - 1)].lastIndex { !$0.isOptional } ?? 0) + 1 }
}

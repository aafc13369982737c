/// A question for paths: what users do after a step, or between two steps (`FUNNEL.md` section 6, "Paths").
package struct PathQuestion: Equatable, Sendable {
    /// Where paths begin and end; steps are 1-based.
    package enum Origin: Equatable, Sendable {
        /// After the last event of the attempt, for users who dropped at the step.
        case dropped(Int)
        /// Between the events of the two steps, for users who did both.
        case between(Int, Int)
    }

    /// Which events make up a path.
    package enum Events: Equatable, Sendable {
        case all
        case only([ByteString])
        case except([ByteString])
    }

    package var origin: Origin
    /// Max number of events of a path.
    package var length: Int
    package var events: Events

    package init(_ origin: Origin, length: Int, events: Events = .all) {
        self.origin = origin
        self.length = length
        self.events = events
    }
}

/// Numbers of users by path. Counts of disjoint users add up.
package struct PathCounts: Equatable, Sendable {
    /// By the names of a path's events.
    package var users: [[ByteString]: UInt64] = [:]

    /// Max bytes of a path on the wire without its names: the number of events, their codes, the number of users.
    package static let bytesPerPath = 1 + 3 * Limits.pathLength + 7
    /// Max bytes of a name on the wire in addition to its own.
    package static let bytesPerName = 2

    package init() {}

    package mutating func merge(_ other: PathCounts) { users.merge(other.users, uniquingKeysWith: +) }

    /// Whether path `a` is before `b`: by the bytes of their names in turn; a path is before those that it begins.
    package static func isAscending(_ a: [ByteString], _ b: [ByteString]) -> Bool { a.lexicographicallyPrecedes(b) }
}

extension FunnelDefinition {
    /// The nearest required step before a step; both are 1-based.
    package func requiredStep(before step: Int) -> Int { (steps[..<(step - 1)].lastIndex { !$0.isOptional } ?? 0) + 1 }
}

import FunnelModel

/// Events that each project stored on the current UTC day, as a value. The time is passed in.
package struct DayCounts: Equatable, Sendable {
    /// Max events of a project on a day.
    package let most: Int
    /// Days since 1970.
    private var day: Int64 = 0
    private var counts: [UInt32: Int] = [:]

    package init(most: Int) { self.most = most }

    private static let daySeconds: Int64 = 86_400
    /// How far a clock may be set back over midnight.
    private static let setBackSeconds: Int64 = 600

    /// Seconds until the project may store events again; nil if it may now. The request that reaches the limit is stored whole.
    /// - Parameter now: seconds since 1970.
    package func wait(of project: UInt32, now: Int64) -> Int? {
        guard isSame(now), counts[project, default: 0] >= most else { return nil }
        return Int((day + 1) * Self.daySeconds - now)
    }

    /// Whether the time is on the counted day. A clock that was set back a little does not begin the day before again; one that was set
    /// back by more was wrong before.
    private func isSame(_ now: Int64) -> Bool {
        let today = now / Self.daySeconds
        return today == day || today == day - 1 && now % Self.daySeconds >= Self.daySeconds - Self.setBackSeconds
    }

    /// Adds events that were stored.
    package mutating func add(_ events: Int, of project: UInt32, now: Int64) {
        if !isSame(now) { (day, counts) = (now / Self.daySeconds, [:]) }
        counts[project, default: 0] += events
    }

    package func count(of project: UInt32) -> Int { counts[project, default: 0] }

    /// The most of any project.
    package var largest: Int { counts.values.max() ?? 0 }

    // MARK: - Over restarts

    package var document: JSONValue {
        let projects = counts.sorted { $0.key < $1.key }.map { JSONValue.Member(ByteString("\($0.key)"), .count($0.value)) }
        return ["day": .integer(day), "events": .object(projects)]
    }

    /// The counts of a document; none if it is not one.
    /// - Parameter now: seconds since 1970. Counts of a day after it are those of a clock that was wrong.
    package init(most: Int, document: JSONValue, now: Int64) {
        self.init(most: most)
        guard let day = document["day"]?.asInteger, day == now / Self.daySeconds else { return }
        self.day = day
        for member in document["events"]?.asObject ?? [] {
            guard let project = UInt32(member.key.string), let count = member.value.asInteger, (0..<1 << 60).contains(count) else {
                continue
            }
            counts[project] = Int(count)
        }
    }
}
